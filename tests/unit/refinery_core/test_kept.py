from __future__ import annotations

import threading

from refinery_core.kept import Kept


def test_what_was_used_longest_ago_makes_room_for_what_is_new() -> None:
    kept: Kept[str, str] = Kept(100)
    kept.keep("a", "A", 40)
    kept.keep("b", "B", 40)
    assert kept.get("a") == "A"
    kept.keep("c", "C", 40)
    assert [kept.get(key) for key in "abc"] == ["A", None, "C"]
    assert (len(kept), kept.bytes) == (2, 80)


def test_the_number_of_values_is_bounded_too() -> None:
    kept: Kept[str, str] = Kept(most=2)
    for key in "abc":
        kept.keep(key, key.upper())
    assert [kept.get(key) for key in "abc"] == [None, "B", "C"]


def test_a_value_that_is_larger_than_the_room_is_not_kept_and_costs_nothing() -> None:
    kept: Kept[str, str] = Kept(100)
    kept.keep("a", "A", 100)
    kept.keep("large", "L", 101)
    assert (kept.get("large"), kept.get("a")) == (None, "A")
    kept.keep("a", "B", 40)
    assert (kept.get("a"), kept.bytes) == ("B", 40)
    kept.keep("a", "too large", 101)
    assert (kept.get("a"), kept.bytes) == (None, 0)


def test_a_value_is_forgotten() -> None:
    kept: Kept[str, str] = Kept(100)
    for key in "abc":
        kept.keep(key, key.upper(), 10)
    kept.forget("b")
    kept.forget("never kept")
    assert (kept.get("b"), kept.bytes) == (None, 20)


def test_the_latest_are_those_used_last() -> None:
    kept: Kept[str, str] = Kept(100)
    for key in "abc":
        kept.keep(key, key.upper(), 10)
    kept.get("a")
    assert kept.latest(2) == [("a", "A"), ("c", "C")]


def test_threads_share_it() -> None:
    kept: Kept[int, int] = Kept(1_000, most=10)

    def churn(offset: int) -> None:
        for number in range(2_000):
            kept.keep((number + offset) % 30, number, 7)
            kept.get(number % 30)

    threads = [threading.Thread(target=churn, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(kept), kept.bytes) == (10, 70)
