from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from process_worker.engine.ports import Busy, EvaluationFault, Killed, Starved
from process_worker.jq import evaluator as expressions
from process_worker.jq.evaluator import Evaluator
from process_worker.jq.parent import Child
from refinery_core.process.parts import Expression
from refinery_core.vibe.documents import from_value, parse
from refinery_core.vibe.numbers import DOUBLE_INTEGER, MAX_INTEGER, MIN_INTEGER
from tests.cases.numbers import KEPT, named
from tests.support.processes import cpu_seconds

SECONDS = 0.3
PATIENCE = 60.0
"""Seconds that only a mistake reaches."""
BOMBS = {
    "loops for ever": "0 | until(false; . + 1)",
    "counts for ever": "[range(1e12)] | length",
    "grows for ever": '[limit(10; repeat("x" * 100000000))]',
    "nests for ever": "reduce range(1e6) as $i (0; [.])",
    "recurses for ever": "def f: [f]; f",
}


SLOW, SLOW_RESULT = Expression("reduce range(300000) as $i (0; . + 1)"), 300_000
"""Innocent, and some tenths of a second of CPU time."""


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    with Evaluator(children=2, seconds=SECONDS) as evaluator:
        yield evaluator


def evaluate(evaluator: Evaluator, text: str, value: Any = None, **variables: Any) -> Any:
    expressions = [Expression(text, frozenset(variables))]
    (result,) = evaluator.evaluate(expressions, value, variables, patience=PATIENCE)
    return result


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A machine without time for it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("text", "value", "result"),
    [
        (".a + 1", {"a": 1}, 2),
        (".", {"ü": "\u2028"}, {"ü": "\u2028"}),
        ("empty", 1, None),
        ("[.[]?]", 1, []),
        (". # the rest is a comment", 1, 1),
        ("$n + $input.n", None, 5),
        ("9007199254740991", None, 9007199254740991),
    ],
)
def test_an_expression_gives_one_value(evaluator: Evaluator, text: str, value: Any, result: Any) -> None:
    assert evaluate(evaluator, text, value, n=2, input={"n": 3}) == result


def test_expressions_that_read_the_same_share_a_round_trip(evaluator: Evaluator) -> None:
    expressions = [Expression(f".a + {n}") for n in range(50)]
    assert evaluator.evaluate(expressions, {"a": 1}, {}) == [n + 1 for n in range(50)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (".a", "Cannot index number"),
        ("$nobody", "$nobody is not defined"),
        ("1, 2", "more than one result"),
        ('error("so there")', "so there"),
        (".a |", "syntax error"),
        ('"x" * 2000000', "larger than"),
        ("reduce range(100) as $i (0; [.])", "64 levels"),
        ("reduce range(20000) as $i (0; [.])", "nested too deeply"),
        ("[" * 3_000 + "]" * 3_000, "nested too deeply"),
        ('import "a" as $b; 1', "syntax error"),
        ("halt", "not available"),
        ("now", "not available"),
        ("input", "not available"),
        ('"a" | modulemeta', "not available"),
    ],
)
def test_what_is_wrong_is_said(evaluator: Evaluator, text: str, problem: str) -> None:
    with pytest.raises(EvaluationFault) as caught:
        evaluate(evaluator, text, 5)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("literal", KEPT, ids=named)
def test_a_number_that_is_passed_on_stays_what_it_is(evaluator: Evaluator, literal: str) -> None:
    document = parse(literal)
    for text in (".", ".[0]", "{a: .[0]} | .a", "$n", "[.[] | select(. == $n)] | .[0]", "map(.) | max"):
        result = evaluate(evaluator, text, [document.value], n=document.value)
        kept = result[0] if text == "." else result
        assert from_value(kept) == document
        assert type(kept) is type(document.value)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (". == 9007199254740992", False),
        (". == 9007199254740993", True),
        (". > 9007199254740992", True),
        ("[., 9007199254740992, 9007199254740993] | unique", [9007199254740992, 9007199254740993]),
        ("tostring", "9007199254740993"),
        (r'"/items/\(.)"', "/items/9007199254740993"),
        ("tojson | fromjson", 9007199254740993),
        ('"18446744073709551615" | tonumber', 18446744073709551615),
        ("-.", -9007199254740993),
        ("9007199254740993", 9007199254740993),
        ("1152921504606846977.0", 1152921504606846977),
        ("[1e18, 1e20]", [10**18, 1e20]),
        ('"9007199254740992, 1e+99"', "9007199254740992, 1e+99"),
        ("[. > 0, 9007199254740990 + 1]", [True, 9007199254740991]),
        ("3.0", 3),
    ],
)
def test_a_large_number_is_compared_and_written_by_all_its_digits(
    evaluator: Evaluator, text: str, result: Any
) -> None:
    assert evaluate(evaluator, text, 9007199254740993) == result


@pytest.mark.parametrize(
    "text",
    [
        ". + 0", ". - .", "1 + .", ". * 1", ". / 1000", ". % 1000", "-1 - .", ". - 9007199254740992",
        "{a: .} | .a -= 1", "-(-. - 1)", "18446744073709551615 | -. - 1",
        "[., -5] | add", "add([., 1][])", "[limit(2; range(.; . + 9))]", "[1, 2] | map(. * 9007199254740993)",
        '"18446744073709551615" | tonumber % 10', "reduce range(3) as $i (9e17; . * 2)",
    ],
)  # fmt: skip
def test_nothing_is_computed_with_a_large_number(evaluator: Evaluator, text: str) -> None:
    with pytest.raises(EvaluationFault, match="jq computes with doubles, and"):
        evaluate(evaluator, text, 9007199254740993)


@pytest.mark.parametrize(
    "text",
    [
        "floor", "[trunc]", "{a: [round]}", "1e18 / 2", "9007199254740991 + 1", "1e18 + 1",
        "9007199254740993 * 1", "pow(2; 60)", "pow(2; 64)",
        "3000000000 * 4000000000", "-(9007199254740991 + 1)",
        "def computed: false; def tojson: 1; floor",
    ],
)  # fmt: skip
def test_a_large_number_that_jq_computed_is_a_fault(evaluator: Evaluator, text: str) -> None:
    with pytest.raises(EvaluationFault, match="which jq computed with doubles"):
        evaluate(evaluator, text, 9007199254740993)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("[(1, 2) + (10, 20), (1, 2) - (10, 20)]", [11, 12, 21, 22, -9, -8, -19, -18]),
        ("[7 % 4, 6 * 7, 7 / 2, -7 % 4]", [3, 42, 3.5, -3]),
        ('"a" + "b", [1] + [2], {a: 1} + {b: 2}, [1, 2] - [2], "ab" * 2, "a,b" / "," | tojson', None),
        ('[[1, 2, 3], ["a", "b"], []] | map(add)', [6, "ab", None]),
        ("[add(1, 2)]", [3]),
        ("[1e20 / 1e19 * 1e5, 2e20 * 2, pow(2; 65)]", [1e6, 4e20, 2.0**65]),
        ("-9223372036854775808 | [., -.]", [-(2**63), 2**63]),
    ],
)
def test_beside_a_large_number_all_else_is_computed_as_ever(
    evaluator: Evaluator, text: str, result: Any
) -> None:
    together = Expression(f"[{text}]" if result is None else text)
    alone, beside = (
        evaluator.evaluate([together], value, {}, patience=PATIENCE) for value in (1, 9007199254740993)
    )
    assert alone == beside
    assert result is None or beside == [result]


@given(st.integers(DOUBLE_INTEGER + 1, MAX_INTEGER) | st.integers(MIN_INTEGER, -DOUBLE_INTEGER - 1))
@example(1152921504606920000 + 128)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_computed_number_is_told_from_one_passed_on(evaluator: Evaluator, number: int) -> None:
    assert evaluate(evaluator, ".", number) == number
    with pytest.raises(EvaluationFault, match="which jq computed"):
        evaluate(evaluator, "floor", number)


@pytest.mark.parametrize("text", ["18446744073709551617", "1e400", '"-9223372036854775809" | tonumber'])
def test_a_number_that_no_document_holds_is_a_fault(evaluator: Evaluator, text: str) -> None:
    with pytest.raises(EvaluationFault, match=r"beyond 64 bits|no double holds"):
        evaluate(evaluator, text)


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_ends_its_child_and_nothing_else(evaluator: Evaluator, text: str) -> None:
    before = evaluator.pids
    burnt = cpu_seconds_of_children()
    with pytest.raises(Killed) as caught:
        evaluate(evaluator, text)
    assert not isinstance(caught.value, Busy)
    assert evaluate(evaluator, ". + 1", 1) == 2
    assert len(evaluator.pids) == 2
    assert len(evaluator.pids - before) == 1
    # This includes the CPU time of the child's start.
    assert cpu_seconds_of_children() - burnt < SECONDS + 2.0


def cpu_seconds_of_children() -> float:
    """Of those that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_an_evaluation_goes_on_while_nobody_waits_for_it_and_is_joined_by_whoever_asks_again() -> None:
    with Evaluator(children=1) as short:
        (pid,) = short.pids
        with stopped(pid):
            for _ in range(23):
                with pytest.raises(Busy, match="the machine was too busy"):
                    short.evaluate([SLOW], None, {}, patience=0.01)
        assert short.evaluate([SLOW], None, {}, patience=PATIENCE) == [SLOW_RESULT]
        assert short.pids == {pid}, "the one child had all the time that it needed"
        before = cpu_seconds(pid)
        assert short.evaluate([SLOW], None, {}, patience=0.0) == [SLOW_RESULT]
        assert cpu_seconds(pid) == before, "it was kept"


def test_nothing_is_computed_twice_however_often_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bytes] = []
    give = Child.give

    def counted(child: Child, request: bytes) -> None:
        given.append(request)
        give(child, request)

    monkeypatch.setattr(Child, "give", counted)
    with Evaluator(children=2) as short:
        before, asked, answer = short.pids, 0, None
        while answer is None:
            asked += 1
            with contextlib.suppress(Busy):
                answer = short.evaluate([SLOW], None, {}, patience=0.001)
        assert answer == [SLOW_RESULT]
        assert short.pids == before
    assert asked > 10
    assert len(given) == 1


async def test_who_has_time_looks_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "_LOOK", 0.01)
    with Evaluator(children=1) as short:
        looks = 0
        evaluate_once = short.evaluate

        def counted(*arguments: Any, patience: float) -> Any:
            nonlocal looks
            looks += 1
            return evaluate_once(*arguments, patience=patience)

        monkeypatch.setattr(short, "evaluate", counted)
        (pid,) = short.pids
        with stopped(pid):
            waiting = asyncio.create_task(short.evaluate_patiently([SLOW], None, {}))
            while looks < 10:
                await asyncio.sleep(0.01)
        assert await waiting == [SLOW_RESULT]
        assert short.pids == {pid}


def test_who_gets_no_time_at_all_is_given_up_and_not_blamed() -> None:
    with Evaluator(children=1, far=0.2) as short:
        (pid,) = short.pids
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(Busy, match="the machine was too busy"):
            short.evaluate([SLOW], None, {}, patience=0.0)
        with pytest.raises(Starved, match="too little CPU time"):
            short.evaluate([SLOW], None, {}, patience=PATIENCE)
        assert evaluate(short, "[1, 2] | add") == 3
        assert pid not in short.pids


def test_a_child_that_cannot_be_started_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOMEM, "no room")

    with Evaluator(children=1, seconds=SECONDS) as short:
        with monkeypatch.context() as context:
            context.setattr(subprocess, "Popen", cannot)
            with pytest.raises(Killed):
                evaluate(short, BOMBS["loops for ever"])
            for _ in range(3):
                with pytest.raises(Busy, match="no child can be started"):
                    evaluate(short, "1")
        assert evaluate(short, "1") == 1


def burn(evaluator: Evaluator, number: int = 0) -> threading.Thread:
    def bomb() -> None:
        with pytest.raises(Killed):
            evaluate(evaluator, f"{number} | {BOMBS['loops for ever']}")

    thread = threading.Thread(target=bomb)
    thread.start()
    return thread


def test_other_threads_go_on_while_a_bomb_burns(evaluator: Evaluator) -> None:
    burning = burn(evaluator)
    answers = 0
    while burning.is_alive():
        assert evaluate(evaluator, ".", answers) == answers
        answers += 1
    assert answers > 50


def test_bombs_in_every_child_take_no_more_than_their_time(evaluator: Evaluator) -> None:
    burnt = cpu_seconds_of_children()
    bombs = [burn(evaluator, number) for number in range(6)]
    for bomb in bombs:
        bomb.join()
    assert cpu_seconds_of_children() - burnt < 6 * (SECONDS + 2.0)
    assert evaluate(evaluator, ".", 1) == 1


def test_the_environment_does_not_leak(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFINERY_DATABASE_URL", "secret")
    with Evaluator(children=1) as fresh:
        for text in ("env", "$ENV", "{} | $ENV", "env | keys"):
            assert not evaluate(fresh, text)
        (pid,) = fresh.pids
        environ = Path(f"/proc/{pid}/environ")
        if environ.exists():
            assert evaluate(fresh, "1") == 1
            assert b"REFINERY" not in environ.read_bytes()


def test_children_end_with_the_evaluator() -> None:
    with Evaluator(children=2) as short:
        pids = short.pids
        assert evaluate(short, "1") == 1
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_three_thousand_small_evaluations_take_a_second_at_most(evaluator: Evaluator) -> None:
    evaluate(evaluator, ".a + 1", {"a": 0})
    started = time.process_time()
    clock = time.monotonic()
    for n in range(3_000):
        assert evaluate(evaluator, ".a + 1", {"a": n}) == n + 1
    print(f"{3_000 / (time.monotonic() - clock):,.0f} evaluations per second")
    print(f"{time.process_time() - started:.2f} s of CPU")
    assert time.process_time() - started < 1.0
