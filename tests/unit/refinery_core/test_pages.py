from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from refinery_core.errors import InvalidPageToken
from refinery_core.pages import Room, open_token, page_token
from refinery_core.vibe.model import Context


def taken(room: Room, *sizes: int) -> int:
    return next((count for count, size in enumerate(sizes) if not room.takes(size)), len(sizes))


def test_an_answer_takes_items_until_it_is_full() -> None:
    assert taken(Room(10), 4, 4, 2, 1) == 3
    assert taken(Room(10), 4, 7) == 1
    assert taken(Room(10)) == 0


def test_an_answer_takes_its_first_item_however_large_and_no_other() -> None:
    assert taken(Room(10), 11, 0, 0) == 1
    assert taken(Room(10), 10, 0, 1) == 2


def test_after_an_item_that_did_not_fit_a_smaller_one_is_not_taken_instead() -> None:
    room = Room(10)
    assert [room.takes(size) for size in (5, 6, 1)] == [True, False, False]


# --- Tokens ---------------------------------------------------------------------------------


MAIN = Context()


@dataclass(frozen=True)
class Filter:
    branch: str = ""
    context: Context = MAIN


def grown() -> Any:
    """The same filter in a later release, which has a member more."""
    return make_dataclass("Filter", [("owner", str, "")], bases=(Filter,), frozen=True)


def test_a_token_opens_for_its_filter_and_no_other() -> None:
    token = page_token(Filter("dev"), 7, ["a", 1])
    assert open_token(token, Filter("dev"), (str, int)) == (7, ["a", 1])
    for other in (
        Filter("main"),
        Filter(),
        Filter("dev", Context("dev")),
        ("dev",),
        grown()("dev", owner="x"),
    ):
        with pytest.raises(InvalidPageToken):
            open_token(token, other, (str, int))


def test_a_token_opens_in_a_release_whose_filter_has_a_member_more() -> None:
    for filter_ in (Filter(), Filter("dev"), Filter("dev", Context("dev", datetime(2026, 1, 1, tzinfo=UTC)))):
        token = page_token(filter_, 7, ["a"])
        assert open_token(token, grown()(filter_.branch, filter_.context), (str,)) == (7, ["a"])
