from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_core.vibe.refs import (
    MAX_BYTES,
    MAX_REVISION,
    AugUri,
    Ref,
    RefFault,
    check_branch,
    check_id,
    is_reserved,
    parse_reference,
)

segments = st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True).filter(lambda s: s not in {".", ".."})
paths = st.lists(segments, min_size=1, max_size=5).map("/".join)
revisions = st.integers(1, MAX_REVISION)
fragments = st.none() | st.from_regex(
    r"(/([A-Za-z0-9._!$&'()*+,;=:@?-]|%20|%C3%A9|~0|~1){0,6}){0,4}", fullmatch=True
)
refs = st.builds(Ref, paths, paths, revisions)
aug_uris = st.one_of(
    st.builds(AugUri, st.none() | paths, paths, st.none() | revisions, st.just(value=False), fragments),
    st.builds(AugUri, paths, paths, revisions, st.just(value=True), fragments),
)


@given(refs)
def test_a_printed_ref_parses_to_itself(ref: Ref) -> None:
    assert Ref.parse(str(ref)) == ref
    assert parse_reference(str(ref)) == AugUri.parse(f"aug:{ref}") == ref.uri
    assert ref.uri.ref == ref


@given(aug_uris)
def test_a_printed_uri_parses_to_itself(uri: AugUri) -> None:
    assert AugUri.parse(str(uri)) == uri
    assert parse_reference(str(uri), with_fragment=True) == uri


@given(aug_uris.map(str) | refs.map(str), st.data())
def test_a_mutated_reference_is_refused_or_prints_as_it_was_written(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    upto = data.draw(st.integers(at, min(len(text), at + 3)))
    junk = data.draw(st.text(st.sampled_from("@?/~#%.:aug2Ff0\x00é \n\u202e") | st.characters(), max_size=4))
    mutated = text[:at] + junk + text[upto:]
    for parse in (Ref.parse, AugUri.parse):
        try:
            assert str(parse(mutated)) == mutated
        except RefFault as fault:
            assert fault.problem  # noqa: PT017 - most mutants are refused, some are not


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main@schemas/user?1", AugUri("main", "schemas/user", 1, canonical=True)),
        ("aug:main@schemas/user?1", AugUri("main", "schemas/user", 1, canonical=True)),
        ("aug:/schemas/user", AugUri(None, "schemas/user", None)),
        ("aug:/common/schemas/address?1", AugUri(None, "common/schemas/address", 1)),
        ("aug:~dev/user-profile", AugUri("dev", "user-profile", None)),
        ("aug:~dev%2Ffeature-x/user/profile?2", AugUri("dev/feature-x", "user/profile", 2)),
        ("main@a?2147483647", AugUri("main", "a", 2147483647, canonical=True)),
        ("aug:/...", AugUri(None, "...", None)),
    ],
)
def test_a_request_may_name_a_vibe_in_every_form_of_the_grammar(text: str, expected: AugUri) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ("main", "it has no '@' between branch and id"),
        ("main@a", "it has no '?' and revision; 'aug:~<branch>/<id>' means the latest"),
        ("main@a?", "the revision is not a number from 1 on without leading zeros"),
        ("main@a?0", "the revision is not a number from 1 on without leading zeros"),
        ("main@a?01", "the revision is not a number from 1 on without leading zeros"),
        ("main@a?-1", "the revision is not a number from 1 on without leading zeros"),
        ("main@a?1e3", "the revision is not a number from 1 on without leading zeros"),
        ("main@a?1?2", "the revision is not a number from 1 on without leading zeros"),
        ("main@a?1\n", "the revision is not a number from 1 on without leading zeros"),
        ("main@a?\u0661", "it has a character outside ASCII"),
        ("main@a?2147483648", "the revision is more than 2147483647"),
        ("main@a?99999999999", "the revision is more than 2147483647"),
        ("main@a@b?1", "the id has the character '@'"),
        ("@a?1", "the branch is empty"),
        ("main@?1", "the id is empty"),
        ("main@a//b?1", "a segment is empty"),
        ("main@/a?1", "a segment is empty"),
        ("main@a/?1", "a segment is empty"),
        ("main@a/../b?1", "a segment is '..'"),
        ("main@.?1", "a segment is '.'"),
        ("main@%2e%2e/a?1", "the id has the character '%'"),
        ("main@a\x00?1", "the id has the character '\\x00'"),
        ("ma in@a?1", "the branch has the character ' '"),
        ("main@\u202ea?1", "it has a character outside ASCII"),
        ("main@" + "a" * 10_240 + "?1", "it is longer than 512 bytes"),
        ("AUG:/a", "it has no '@' between branch and id"),
        ("aug:", "after 'aug:' comes '/<id>', '~<branch>/<id>' or '<branch>@<id>?<revision>'"),
        ("aug:a", "after 'aug:' comes '/<id>', '~<branch>/<id>' or '<branch>@<id>?<revision>'"),
        ("aug:main@a", "it has no '?' and revision; 'aug:~<branch>/<id>' means the latest"),
        ("aug:/", "the id is empty"),
        ("aug:/a?", "the revision is not a number from 1 on without leading zeros"),
        ("aug:/a//b", "a segment is empty"),
        ("aug:~dev", "there is no id after the branch (write a '/' in a branch as %2F)"),
        ("aug:~/a", "the branch is empty"),
        ("aug:~dev%2ffeature/a", "a '/' in a branch is written %2F, not %2f"),
        ("aug:~dev%2F/a", "a segment is empty"),
        ("aug:~dev%2F../a", "a segment is '..'"),
        ("aug:~dev%41/a", "the branch has the character '%'"),
        ("aug:/a#x", "the fragment is not a JSON pointer: it does not start with '/'"),
        ("aug:/a#/~2", "the fragment is not a JSON pointer: a '~' is not followed by 0 or 1"),
        ("aug:/a#/%7E", "the fragment is not a JSON pointer: a '~' is not followed by 0 or 1"),
        ("aug:/a#/%FF", "the fragment is not UTF-8 once it is decoded"),
        ("aug:/a#/%zz", "the fragment has a character that is not percent-encoded"),
        ("aug:/a#/b#/c", "the fragment has a character that is not percent-encoded"),
        ("aug:/a#/b", "a fragment names a part of a schema, but a whole Vibe is meant here"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(RefFault) as refused:
        parse_reference(text)
    assert refused.value.problem == problem


def test_512_bytes_are_the_most() -> None:
    longest = "main@" + "a" * (MAX_BYTES - len("main@?1")) + "?1"
    assert str(Ref.parse(longest)) == longest
    with pytest.raises(RefFault, match="longer than 512 bytes"):
        Ref.parse(longest.replace("?1", "?10"))
    check_id("a" * MAX_BYTES)
    with pytest.raises(RefFault, match="longer than 512 bytes"):
        check_branch("a" * (MAX_BYTES + 1))


def test_an_empty_fragment_is_not_an_absent_one() -> None:
    assert AugUri.parse("aug:/a#").fragment == ""
    assert AugUri.parse("aug:/a").fragment is None
    assert str(AugUri.parse("aug:/a#")) == "aug:/a#"
    assert AugUri.parse("aug:/a#/b").without_fragment == AugUri.parse("aug:/a")


def test_only_a_reference_without_revision_floats() -> None:
    assert AugUri.parse("aug:~dev/a").floats
    assert not AugUri.parse("aug:/a?1").floats
    assert AugUri.parse("aug:/a?1").ref is None
    assert AugUri.parse("aug:main@a?1").ref == Ref("main", "a", 1)


def test_ids_and_branches_are_paths() -> None:
    for good in ("a", "dev/feature-x", "A.b_c-1/..."):
        check_id(good)
        check_branch(good)
    for bad in ("", "/", "a/", "a b", "a?1", "..", "é", "a\n"):
        for check in (check_id, check_branch):
            with pytest.raises(RefFault):
                check(bad)


def test_ids_under_system_are_reserved() -> None:
    assert is_reserved("system")
    assert is_reserved("system/branches/dev")
    assert not is_reserved("systems/a")
    assert not is_reserved("a/system")
