from __future__ import annotations

from refinery_core.answers import Answers


def test_what_was_asked_for_longest_ago_makes_room_for_what_is_new() -> None:
    answers: Answers[str] = Answers(100)
    answers.keep("a", "A", 40)
    answers.keep("b", "B", 40)
    assert answers.get("a") == "A"
    answers.keep("c", "C", 40)
    assert [answers.get(question) for question in "abc"] == ["A", None, "C"]


def test_an_answer_that_is_larger_than_the_room_is_not_kept_and_costs_nothing_later() -> None:
    answers: Answers[str] = Answers(100)
    answers.keep("large", "L", 101)
    assert answers.get("large") is None
    answers.keep("a", "A", 100)
    answers.keep("a", "A", 100)
    assert answers.get("a") == "A"
