"""A reader: the rules of all Roles that somebody holds, as lists ask them."""

from __future__ import annotations

import pytest

from refinery_core.vibe.roles import Reader, Rule

RULES = (
    Rule(("read",), ("a/**", "exact"), types=("RECORD",)),
    Rule(("read",), ("b/**",), branches=("dev/**",)),
    Rule(("read",), ("**",), branches=("open",), types=("ROLE",)),
    Rule(("refine",), ("c/**",)),
)


@pytest.mark.parametrize(
    ("id_", "branches", "type_", "seen"),
    [
        ("a/1", ["main"], "RECORD", True),
        ("a/1", ["main"], "ROLE", False),
        ("a", ["main"], "RECORD", False),
        ("ab/1", ["main"], "RECORD", False),
        ("exact", ["main"], "RECORD", True),
        ("exact/1", ["main"], "RECORD", False),
        ("b/1", ["main"], "RECORD", False),
        ("b/1", ["main", "dev/1"], "PROCESS", True),
        ("b/1", ["dev"], "PROCESS", False),
        ("anything", ["open"], "ROLE", True),
        ("anything", ["open"], "RECORD", False),
        ("c/1", ["main"], "RECORD", False),
    ],
)
def test_a_vibe_is_seen_where_one_rule_allows_all_of_it(
    id_: str, branches: list[str], type_: str, seen: bool
) -> None:
    assert Reader(RULES).sees(id_, branches, type_) == seen
    assert Reader(RULES[:1]).joined(Reader(RULES[1:])).sees(id_, branches, type_) == seen


def test_only_a_rule_without_bounds_reads_everything() -> None:
    assert Reader([Rule(("read",))]).everything
    assert not Reader([Rule(("read",), types=("RECORD",))]).everything
    assert not Reader([Rule(("read",), branches=("main",))]).everything
    assert not Reader([Rule(("read",), ("a/**",))]).everything


def test_rules_about_the_same_branches_and_types_are_asked_as_one() -> None:
    """A list asks for each row, so that fifty rules may not take fifty times as long."""
    rules = [Rule(("read",), (f"desks/{number}/**",), ("main",), ("RECORD",)) for number in range(50)]
    reader = Reader(rules)
    assert len(reader._scopes) == 1
    assert reader.sees("desks/49/1", ["main"], "RECORD")
    assert not reader.sees("desks/50/1", ["main"], "RECORD")


def test_a_watch_learns_whether_it_may_ever_see_anything() -> None:
    reader = Reader(RULES)
    assert reader.may_see("a/1", "")
    assert reader.may_see("", "main")
    assert reader.may_see("b/", "dev/1")
    assert reader.may_see("c/", "open")  # Of the rule about all ids.
    assert not reader.may_see("c/", "main")
    assert not Reader().may_see("", "")
