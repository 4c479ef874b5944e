"""The one parser and the one printer of refs and `aug:` references.

    ref        = branch "@" id "?" revision            main@schemas/user?1
    aug-uri    = "aug:" ( absolute / branched / canonical ) [ "#" json-pointer ]
    absolute   = "/" id [ "?" revision ]               aug:/schemas/user
    branched   = "~" branch "/" id [ "?" revision ]    aug:~dev%2Ffeature-x/user-profile
    canonical  = ref                                   aug:main@schemas/user?1
    branch, id = segment *( "/" segment )              in branched, the branch's "/" is written %2F
    segment    = 1*( ALPHA / DIGIT / "-" / "_" / "." ), not "." or ".."
    revision   = 1..2147483647 without leading zeros

Case-sensitive, ASCII, at most 512 bytes. Every reference has exactly one spelling:
`parse(str(x)) == x` and `str(parse(text)) == text`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NoReturn, Self

from refinery_core.vibe.pointers import PointerFault, pointer_tokens

MAX_BYTES = 512
MAX_REVISION = 2_147_483_647
SCHEME = "aug:"
EXECUTIONS = "executions/"
SCHEDULES = "schedules/"
"""The folders of the RECORDs of executions and schedules."""

_CACHED = 8_192

# "[…]+" is possessive so that the look-ahead, which keeps "." and ".." out, sees whole segments.
_SEGMENT = r"(?!\.\.?(?![A-Za-z0-9._-]))[A-Za-z0-9._-]++"
_PATH = rf"{_SEGMENT}(?:/{_SEGMENT})*+"
_ESCAPED_PATH = rf"{_SEGMENT}(?:%2F{_SEGMENT})*+"
_REVISION = r"\?([1-9][0-9]{0,9})"
_FRAGMENT = r"#((?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*+)?)"

_IS_PATH = re.compile(_PATH).fullmatch
_IS_REF = re.compile(rf"({_PATH})@({_PATH}){_REVISION}").fullmatch
_IS_AUG_URI = re.compile(
    rf"aug:(?:/({_PATH})(?:{_REVISION})?"
    rf"|~({_ESCAPED_PATH})/({_PATH})(?:{_REVISION})?"
    rf"|({_PATH})@({_PATH}){_REVISION})(?:{_FRAGMENT})?"
).fullmatch


class RefFault(PointerFault):
    """A text that is not what the grammar asks for; `problem` is a short phrase for people."""


@dataclass(frozen=True, slots=True)
class Ref:
    """The permanent name of one Vibe. The constructor does not check its arguments; `parse` does."""

    branch: str
    id: str
    revision: int

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read `main@schemas/user?1`; raise RefFault for anything else."""
        return _parse_ref(text)

    def __str__(self) -> str:
        return f"{self.branch}@{self.id}?{self.revision}"

    @property
    def uri(self) -> AugUri:
        """The same Vibe as a canonical `aug:` URI."""
        return AugUri(branch=self.branch, id=self.id, revision=self.revision, canonical=True)


@dataclass(frozen=True, slots=True)
class AugUri:
    """A reference to a Vibe, or with a fragment to a part of its schema.

    `branch` is None where the context's branch is meant, `revision` where the latest is.
    `fragment` is a JSON pointer still as written; None means that there is no "#". A canonical
    URI names one Vibe whatever the context; it has both a branch and a revision.
    """

    branch: str | None
    id: str
    revision: int | None
    canonical: bool = False
    fragment: str | None = None

    @classmethod
    def parse(cls, text: str) -> AugUri:
        """Read an `aug:` URI; raise RefFault for anything else."""
        return _parse_aug_uri(text)

    def __str__(self) -> str:
        if self.canonical:
            text = f"{SCHEME}{self.branch}@{self.id}"
        elif self.branch is None:
            text = f"{SCHEME}/{self.id}"
        else:
            text = f"{SCHEME}~{self.branch.replace('/', '%2F')}/{self.id}"
        if self.revision is not None:
            text = f"{text}?{self.revision}"
        return text if self.fragment is None else f"{text}#{self.fragment}"

    @property
    def floats(self) -> bool:
        """Whether it means the latest revision in the caller's context."""
        return self.revision is None

    @property
    def without_fragment(self) -> Self:
        """The Vibe that it refers to, or to a part of which it refers."""
        return self if self.fragment is None else replace(self, fragment=None)

    @property
    def ref(self) -> Ref | None:
        """The ref that a canonical URI spells out; None where a context has to decide."""
        if not self.canonical or self.branch is None or self.revision is None:
            return None
        return Ref(self.branch, self.id, self.revision)


def parse_reference(text: str, *, with_fragment: bool = False) -> AugUri:
    """Read what a request may name a Vibe with: a bare ref or an `aug:` URI.

    A fragment is refused, because most requests mean a whole Vibe, unless `with_fragment`.
    """
    if not text.startswith(SCHEME):
        return _parse_ref(text).uri
    uri = _parse_aug_uri(text)
    if uri.fragment is not None and not with_fragment:
        raise RefFault("a fragment names a part of a schema, but a whole Vibe is meant here")
    return uri


def check_id(text: str) -> None:
    """Raise RefFault unless it can be the id of a Vibe."""
    _check_path(text, "id")


def check_branch(text: str) -> None:
    """Raise RefFault unless it can be the name of a branch."""
    _check_path(text, "branch")


def is_reserved(id_: str) -> bool:
    """Whether only Refinery itself writes this id."""
    return id_ == "system" or id_.startswith("system/")


@lru_cache(_CACHED)
def _parse_ref(text: str) -> Ref:
    match = _IS_REF(text)
    if match is None or len(text) > MAX_BYTES:
        _refuse_ref(text)
    branch, id_, revision = match.groups()
    return Ref(branch, id_, _revision(revision))


@lru_cache(_CACHED)
def _parse_aug_uri(text: str) -> AugUri:
    match = _IS_AUG_URI(text)
    if match is None or len(text) > MAX_BYTES:
        _refuse_aug_uri(text)
    parts = match.groups()
    fragment = parts[8]
    if fragment is not None:
        _check_fragment(fragment)
    if parts[0] is not None:
        return AugUri(None, parts[0], _revision_or_none(parts[1]), fragment=fragment)
    if parts[2] is not None:
        branch = parts[2].replace("%2F", "/")
        return AugUri(branch, parts[3], _revision_or_none(parts[4]), fragment=fragment)
    return AugUri(parts[5], parts[6], _revision(parts[7]), canonical=True, fragment=fragment)


def _revision_or_none(digits: str | None) -> int | None:
    return None if digits is None else _revision(digits)


def _revision(digits: str) -> int:
    revision = int(digits)
    if revision > MAX_REVISION:
        raise RefFault(f"the revision is more than {MAX_REVISION}")
    return revision


def _check_fragment(fragment: str) -> None:
    try:
        pointer_tokens(fragment)
    except PointerFault as fault:
        raise RefFault(fault.problem) from None


def _check_path(text: str, name: str) -> None:
    if _IS_PATH(text) is None or len(text) > MAX_BYTES:
        _refuse_unreadable(text)
        _refuse_path(text, name)


# --- Why a text was refused: only ever computed for a text that was ---------------------------


def _refuse_ref(text: str) -> NoReturn:
    _refuse_unreadable(text)
    _refuse_unless_ref(text)
    raise RefFault("it does not read <branch>@<id>?<revision>")


def _refuse_aug_uri(text: str) -> NoReturn:
    _refuse_unreadable(text)
    if not text.startswith(SCHEME):
        raise RefFault(f"it does not start with '{SCHEME}'")
    rest, hash_, fragment = text.removeprefix(SCHEME).partition("#")
    if rest.startswith("/"):
        _refuse_unless_path_and_revision(rest[1:])
    elif rest.startswith("~"):
        branch, slash, path = rest[1:].partition("/")
        if not slash:
            raise RefFault("there is no id after the branch (write a '/' in a branch as %2F)")
        if "%2f" in branch:
            raise RefFault("a '/' in a branch is written %2F, not %2f")
        _refuse_path(branch.replace("%2F", "/"), "branch")
        _refuse_unless_path_and_revision(path)
    elif "@" in rest:
        _refuse_unless_ref(rest)
    else:
        raise RefFault(f"after '{SCHEME}' comes '/<id>', '~<branch>/<id>' or '<branch>@<id>?<revision>'")
    if hash_:
        _check_fragment(fragment)
        raise RefFault("the fragment has a character that is not percent-encoded")
    raise RefFault("it is not an 'aug:' URI")


def _refuse_unreadable(text: str) -> None:
    if not text:
        raise RefFault("it is empty")
    if not text.isascii():
        raise RefFault("it has a character outside ASCII")
    if len(text) > MAX_BYTES:
        raise RefFault(f"it is longer than {MAX_BYTES} bytes")


def _refuse_unless_ref(text: str) -> None:
    branch, at, rest = text.partition("@")
    if not at:
        raise RefFault("it has no '@' between branch and id")
    _refuse_path(branch, "branch")
    if "?" not in rest:
        raise RefFault("it has no '?' and revision; 'aug:~<branch>/<id>' means the latest")
    _refuse_unless_path_and_revision(rest)


def _refuse_unless_path_and_revision(text: str) -> None:
    path, question, revision = text.partition("?")
    _refuse_path(path, "id")
    if not question or re.fullmatch("[1-9][0-9]{0,9}", revision):
        return
    if re.fullmatch("[1-9][0-9]+", revision):
        raise RefFault(f"the revision is more than {MAX_REVISION}")
    raise RefFault("the revision is not a number from 1 on without leading zeros")


def _refuse_path(path: str, name: str) -> None:
    if not path:
        raise RefFault(f"the {name} is empty")
    for segment in path.split("/"):
        if not segment:
            raise RefFault("a segment is empty")
        if segment in {".", ".."}:
            raise RefFault(f"a segment is '{segment}'")
        if odd := re.search(r"[^A-Za-z0-9._-]", segment):
            raise RefFault(f"the {name} has the character {odd.group()!r}")
