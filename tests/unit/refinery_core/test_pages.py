from __future__ import annotations

from refinery_core.pages import Room


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
