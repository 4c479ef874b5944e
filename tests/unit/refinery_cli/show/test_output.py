from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args
from uuid import UUID

import orjson
import pytest
from rich.console import Console

from refinery_cli.options import context_of, moment_of, request_id_of
from refinery_cli.show.bar import progress
from refinery_cli.show.failures import Usage, repeatable, report
from refinery_cli.show.output import (
    Form,
    console,
    json_text,
    print_facts,
    print_stream,
    print_table,
    printable,
)
from refinery_cli.show.plain import plain
from refinery_cli.verbs.lineage import drawn
from refinery_cli.verbs.verify import known_of
from refinery_client.answers import Dependency, LineageStep
from refinery_client.refusals import NotServed, Unreachable
from refinery_core.errors import InvalidReference, RefineryError, SolutionInvalid, VibeNotFound, Violation
from refinery_core.vibe.model import Context, Edge, EdgeType, VibeType

Capsys = pytest.CaptureFixture[str]
COLUMNS = {"name": lambda item: item[0], "value": lambda item: item[1]}


def test_a_table_in_a_pipe_is_aligned_and_neither_cut_nor_coloured(capsys: Capsys) -> None:
    print_table(COLUMNS, [("a" * 200, 1), ("b", "x\ny")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.index(cell) for line, cell in zip(lines, ("value", "1", "x"), strict=True)] == [202] * 3
    assert lines[2].endswith("x\\ny")


def test_what_a_terminal_would_obey_is_shown_and_not_obeyed(capsys: Capsys) -> None:
    print_table(COLUMNS, [("\x1b[31mred\u202e", "\x9b1m")])
    print_facts({"name": "\x1b]0;title\x07"})
    assert not set(capsys.readouterr().out) & set("\x1b\x07\x9b\u202e")
    assert orjson.loads(json_text("\x9b\u202e\x1b", pretty=True)) == "\x9b\u202e\x1b"
    assert json_text("\x9b", pretty=False) == '"\\u009b"'
    assert printable("a\nb") == "a\nb"


async def numbers() -> AsyncIterator[tuple[str, int]]:
    for number in range(5):
        yield "n", number


@pytest.mark.parametrize(
    ("form", "limit", "expected", "cut"),
    [
        ("json", 0, "[\n  0,\n  1,\n  2,\n  3,\n  4\n]\n", False),
        ("json", 2, "[\n  0,\n  1\n]\n", True),
        ("jsonl", 3, "0\n1\n2\n", True),
        ("jsonl", 5, "0\n1\n2\n3\n4\n", False),
        ("text", 1, "name  value\nn     0\n", True),
    ],
)
async def test_a_list_comes_in_the_form_asked_for_and_says_whether_it_was_cut(
    capsys: Capsys, form: str, limit: int, expected: str, cut: bool
) -> None:
    assert await print_stream(form, COLUMNS, numbers(), lambda item: item[1], limit=limit) is cut  # type: ignore[arg-type]
    assert capsys.readouterr().out == expected


def test_progress_in_a_pipe_is_silent(capsys: Capsys) -> None:
    with progress("verifying") as told:
        told(1, 2)
    assert capsys.readouterr() == ("", "")


def test_an_answer_is_plain_json_under_the_names_of_the_contract() -> None:
    time = datetime(2026, 11, 21, 10, tzinfo=timezone(timedelta(hours=1)))
    assert plain([Dependency("main@a?1", 1, True), b"\x01\xff", UUID(int=0), time, EdgeType.SCHEMA]) == [
        {"ref": "main@a?1", "depth": 1, "floating": True},
        "01ff",
        "00000000-0000-0000-0000-000000000000",
        "2026-11-21T09:00:00Z",
        "schema",
    ]


def test_a_refusal_is_one_sentence_with_its_reason(capsys: Capsys) -> None:
    report(VibeNotFound(reference="aug:/x"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: No Vibe is named 'aug:/x' in this context. (VIBE_NOT_FOUND)\n"


def test_violations_are_listed_below_the_sentence(capsys: Capsys) -> None:
    violations = (Violation("/a", "/properties/a", "is too low"), Violation("", "", "is too small"))
    report(SolutionInvalid(field="solution", violations=violations, count="2"))
    assert capsys.readouterr().err.splitlines()[1:] == ["  /a: is too low", "  (root): is too small"]


@pytest.mark.parametrize(
    ("refusal", "hint"),
    [
        (Unreachable(service="process", problem="x"), "Is 'refinery up' running? The address is --process."),
        (NotServed(service="resolver"), "The address is --resolver."),
        (
            InvalidReference(field="process", value="processes/hello", problem="x"),
            "What the id means now is said as aug:/processes/hello",
        ),
    ],
)
def test_below_a_refusal_stands_what_may_help(capsys: Capsys, refusal: RefineryError, hint: str) -> None:
    report(refusal)
    assert capsys.readouterr().err.splitlines()[1:] == [hint]


def test_a_refusal_for_a_program_is_one_object_on_one_line(capsys: Capsys) -> None:
    violation = Violation("/a", "/properties/a", "is too low")
    invalid = SolutionInvalid(field="solution", violations=(violation,), count="1")
    unreachable = Unreachable(service="ledger", problem="\x1b[31m")
    with pytest.raises(Unreachable), repeatable(UUID(int=0)):
        raise unreachable
    for form in get_args(Form)[1:]:
        report(invalid, form)
        report(unreachable, form)
        out, err = capsys.readouterr()
        assert out == ""
        first, second = map(orjson.loads, err.splitlines())
        assert (first["code"], first["reason"]) == ("INVALID_ARGUMENT", "SOLUTION_INVALID")
        assert first["message"] == invalid.message
        assert first["metadata"] == {"field": "solution", "count": "1", "first": "/a: is too low"}
        assert first["violations"] == [plain(violation)]
        assert second["metadata"] == {"service": "ledger", "problem": "\x1b[31m"}
        assert second["hints"][-1] == f"To send the same again, add: --request-id {UUID(int=0)}"


def step(ref: str, depth: int, *edges: Edge) -> LineageStep:
    return LineageStep(ref, depth, VibeType.RECORD, 1, edges)


def test_lineage_is_a_tree_in_which_every_vibe_stands_once() -> None:
    walk = [
        step("main@a?1", 0),
        step("main@b?1", 1, Edge("main@a?1", "main@b?1", EdgeType.SCHEMA)),
        step("main@c?1", 1, Edge("main@a?1", "main@c?1", EdgeType.TARGET)),
        step(
            "main@d?1",
            2,
            Edge("main@b?1", "main@d?1", EdgeType.SCHEMA),
            Edge("main@b?1", "main@d?1", EdgeType.AUTHOR),
            Edge("main@c?1", "main@d?1", EdgeType.AUTHOR),
        ),
    ]
    console = Console(width=80)
    with console.capture() as captured:
        console.print(drawn(walk))
    assert captured.get().splitlines() == [
        "main@a?1  RECORD",
        "├── schema main@b?1  RECORD",
        "│   └── schema, author main@d?1  RECORD *",
        "└── target main@c?1  RECORD",
    ]


def test_lineage_downwards_hangs_the_younger_below_the_older() -> None:
    walk = [step("main@a?1", 0), step("main@b?1", 1, Edge("main@b?1", "main@a?1", EdgeType.SCHEMA))]
    assert [str(child.label) for child in drawn(walk).children] == ["schema main@b?1  RECORD"]


def test_no_ref_of_a_tree_in_a_pipe_is_cut(capsys: Capsys) -> None:
    long = f"main@{'executions/' * 20}x?1"
    console().print(drawn([step("main@a?1", 0), step(long, 1, Edge("main@a?1", long, EdgeType.TARGET))]))
    assert capsys.readouterr().out.splitlines() == ["main@a?1  RECORD", f"└── target {long}  RECORD"]


def test_a_moment_is_a_position_or_a_time() -> None:
    assert context_of("dev/x", "12") == Context("dev/x", 12)
    assert context_of("main", None) == Context("main", None)
    assert moment_of("2026-11-21T10:00:00+01:00", "--as-of") == datetime(2026, 11, 21, 9, tzinfo=UTC)
    local = moment_of("2026-11-21", "--as-of")
    assert isinstance(local, datetime)
    assert local.tzinfo is not None


@pytest.mark.parametrize("text", ["yesterday", "-1", "", "1.5", "٣"])
def test_what_is_neither_position_nor_time_is_told(text: str) -> None:
    with pytest.raises(Usage, match="neither a position nor a time"):
        moment_of(text, "--as-of")


def test_a_request_id_is_a_uuid() -> None:
    assert request_id_of(None) is None
    with pytest.raises(Usage, match="'7' is not a UUID"):
        request_id_of("7")


def test_an_expectation_is_position_and_chain() -> None:
    assert known_of(f"7:{'ab' * 32}", "--expect") == (7, b"\xab" * 32)
    for wrong in ("7", "7:ab", f"0:{'ab' * 32}", f"x:{'ab' * 32}", f"7:{'xy' * 32}"):
        with pytest.raises(Usage, match="is not POSITION:CHAIN"):
            known_of(wrong, "--expect")
