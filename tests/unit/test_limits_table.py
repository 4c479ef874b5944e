"""The table of limits in docs/guides/operating.md is complete and true: it is compared with the code."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ledger_service
import process_worker
import refinery_core
import resolver_service
from refinery_core.postgres.pool import open_pool
from refinery_core.vibe.numbers import MIN_INTEGER

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "operating.md"

NOT_IN_THE_TABLE = {
    "ledger_service.commit.MAX_REQUESTS": "how refines are batched; no request is refused for it",
    "ledger_service.commit.MAX_MILLISECONDS": "the same",
    "ledger_service.lineage.MAX_EDGES": "what one step of a walk reads; it is cut, and says so",
    "ledger_service.reads.MAX_INT4": "the largest number that PostgreSQL takes",
    "ledger_service.refine.MAX_ATTEMPTS": "refused as CONTENTION, which says how many",
    "process_worker.door.wire.MAX_TEXT": "refused as INVALID_FIELD, which says how much",
    "process_worker.door.wire.MAX_NOTE_BYTES": "refused as INVALID_FIELD, which says how much",
    "process_worker.door.wire.MAX_ATTRIBUTES": "refused as INVALID_FIELD, which says how many",
    "process_worker.engine.state.MAX_CONSUMED": "remembered ids of events; none is refused for it",
    "process_worker.activities.outside.gateway.MAX_REDIRECTS": "a fault, which says so",
    "refinery_core.errors.MAX_METADATA_VALUE": "how much of a value a message shows",
    "refinery_core.fields.MAX_LINE": "follows from the length of a ref",
    "refinery_core.process.durations.MAX_MILLISECONDS": "a hundred years",
    "refinery_core.process.jq.cursor.MAX_DEPTH": "levels of an expression, which has 8 KiB",
    "refinery_core.process.jq.rules.MAX_RANGE": "what an expression may ask for by a literal; it has 2 s",
    "refinery_core.process.jq.tokens.MAX_NESTED_STRINGS": "levels of an expression, which has 8 KiB",
    "refinery_core.process.reading.MAX_DATA_DEPTH": "the levels of a document",
    "refinery_core.process.reading.MAX_EXPRESSIONS": "bytes of all expressions of a process, which has 1 MiB",
    "refinery_core.serving.refusals.MAX_DETAILS_BYTES": "how much of a refusal travels",
    "refinery_core.serving.refusals.MAX_SENTENCE_BYTES": "how much of a refusal travels",
    "refinery_core.vibe.refs.MAX_REVISION": "the largest number that PostgreSQL takes",
    "resolver_service.dependencies.MAX_DEPTH": "the largest number that PostgreSQL takes",
    "resolver_service.wire.MAX_VIOLATION_BYTES": "how much of the violations travels",
    "resolver_service.wire.MAX_PART_BYTES": "how much travels in one message of a stream",
}
"""Constants that look like limits, and why no operator needs to know them."""

ROWS = {
    "a message, in or out": "{core.wire.MAX_MESSAGE_BYTES:MiB}",
    "a document": "{core.vibe.documents.MAX_BYTES:MiB}, {core.vibe.documents.MAX_DEPTH} levels; "
    "integers of 64 bits (-2^63 to 2^64-1), other numbers doubles written without losing digits, "
    "exponents within "
    "±{core.vibe.documents.MAX_EXPONENT}",
    "a ref or reference": "{core.vibe.refs.MAX_BYTES} bytes",
    "drafts of a refine": "{ledger.wire.MAX_DRAFTS}; drafts × inputs "  # noqa: RUF001 - as the guide has it
    "{ledger.wire.MAX_DRAFTS_TIMES_INPUTS}; {ledger.wire.MAX_BRANCHES} branches a draft",
    "a refine, as stored": "{ledger.extent.MAX_BYTES:MiB} of documents, "
    "{ledger.extent.MAX_EDGES} references, {ledger.extent.MAX_LINES} lookups on branches and on "
    "those that they were forked from, {ledger.extent.MAX_ANSWER_BYTES:MiB} of answer; "
    "{ledger.extent.MAX_MILLISECONDS} ms under the lock, as estimated for all of these together "
    "([why](../decisions/0016-what-a-refine-becomes.md))",
    "branches from a branch to main, both counted": "{ledger.branches.MAX_LEVELS}",
    "references of a schema": "{core.stored.sources.MAX_LEVELS} levels, "
    "{core.vibe.documents.MAX_BYTES:MiB} resolved",
    "patterns in schemas": "regular expressions that run in linear time: no look-around, no back references",
    "compiled patterns of a schema together": "{core.schema.validator.MAX_PATTERN_BYTES:MiB}",
    "looks at the values of a document by its schema": "{core.schema.validator._MOST_ESTIMATED} as "
    "estimated, or else {core.schema.validator.MOST_LOOKS} as counted "
    "([why](../decisions/0011-bounded-looks.md))",
    "violations in an answer": "{core.serving.refusals.MAX_VIOLATIONS} in a refusal, "
    "{resolver.schemas.MAX_VIOLATIONS} in ValidateSolution",
    "a page": "{core.pages.MAX_SIZE}, {core.pages.DEFAULT_SIZE} by default; "
    "{core.pages.PAGE_BYTES:MiB}; {ledger.candidates.MOST_LEFT_OUT} that do not match",
    "a document as `value`": "{core.wire._VALUE_CHARACTERS:KiB}, {core.wire._VALUE_LEVELS} levels; "
    "numbers within ±(2^53-1)",
    "BatchGetVibes": "{ledger.reads.MAX_BATCH} references, and as many of them as a message holds",
    "a lineage": "{ledger.lineage.MAX_DEPTH} edges away, {ledger.lineage.MAX_VIBES} Vibes",
    "dependents more than one edge away": "{resolver.downwards.MOST} Vibes",
    "an impact": "{resolver.impact.MAX_VIBES} Vibes",
    "a statement in the database": "8 s",
    "a process": "{core.process.reading.MAX_TASKS} tasks, "
    "{core.process.reading.MAX_TASK_DEPTH} levels; expressions of {core.process.jq.lint.MAX_BYTES:KiB}",
    "references of an execution": "{worker.door.freeze.MAX_REFERENCES} references, "
    "{worker.door.freeze.MAX_INPUTS} targets and budgets",
    "an expression": "{worker.jq.evaluator.SECONDS:s} of CPU; {worker.jq.child.MEMORY_BYTES:MiB}; "
    "a result of {worker.jq.child.RESULT_BYTES:MiB}",
    "data of a task, and the context": "{worker.engine.bounds.MAX_SIZE:MiB} of characters, 64 levels",
    "a call of an HTTP or gRPC capability": "{worker.activities.outside.gateway.SECONDS:s}, 1 MiB",
    "direct calls of capabilities": "{worker.door.capabilities.MAX_CALLS} at once, in one process",
    "events that are sent to an execution": "{worker.engine.contract.MAX_EVENTS}; "
    "{worker.engine.contract.MAX_EVENTS_BYTES:MiB} at a time",
    "the events in an answer about an execution": "its last {worker.engine.contract.MAX_EVENTS}, "
    "{worker.door.wire._STORY_BYTES:MiB} in GetExecution",
    "a payload in Temporal's history": "{worker.workflow.messages.MAX_INLINE_BYTES:KiB}; "
    "a larger one is stored as a RECORD, and the history holds its ref",
    "a bearer token": "{core.serving.authentication.tokens.MAX_TOKEN_BYTES:KiB}",
    "CheckAccess": "{ledger.access.MAX_GROUPS} groups",
    "the name of a principal": "{core.serving.authentication.names.MAX_BYTES} bytes",
    "a key set of an issuer": "{core.serving.authentication.keys.MAX_BYTES:MiB}, "
    "{core.serving.authentication.keys.MAX_KEYS} keys",
    "large requests": "from {core.serving.large.LARGE_BYTES:KiB} or {ledger.intake.LARGE_DRAFTS} drafts on: "
    "{core.serving.large.LARGE_AT_ONCE} at once",
    "requests with documents in one process": "{core.serving.large.WAITING_BYTES:MiB}",
    "a RefineStream in flight": "{ledger.intake.STREAM_IN_FLIGHT} refines, {ledger.intake.STREAM_BYTES:MiB}",
    "calls that wait to be accepted": "from {core.serving.connections.MAX_WAITING_CALLS} on some, "
    "from {core.serving.connections.MAX_WAITING_CALLS_AT_ALL} on all are dropped",
    "calls at once": "{core.serving.capacity.MAX_CALLS} in one process, "
    "{core.serving.capacity.MAX_CALLS_OF_ONE} over one connection",
    "streams at once": "{core.serving.capacity.MAX_STREAMS} in one process, "
    "{core.serving.capacity.MAX_STREAMS_OF_ONE} over one connection",
}
"""The rows of the table; in braces the constant that holds a limit, and its unit."""

SAME = (
    ("ledger_service.prepare.MAX_VIOLATIONS", "refinery_core.serving.refusals.MAX_VIOLATIONS"),
    ("resolver_service.impact.MAX_VIOLATIONS", "refinery_core.serving.refusals.MAX_VIOLATIONS"),
)
"""Limits of one thing in two places."""

_PLACE = re.compile(r"\{([\w.]+)(?::(\w+))?\}")
_SHORT = {
    "core": "refinery_core",
    "ledger": "ledger_service",
    "resolver": "resolver_service",
    "worker": "process_worker",
}
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "s": 1}
PACKAGES = (refinery_core, ledger_service, resolver_service, process_worker)


def full(name: str) -> str:
    package, _, rest = name.partition(".")
    return f"{_SHORT.get(package, package)}.{rest}"


def value(name: str) -> Any:
    module, _, constant = full(name).rpartition(".")
    return getattr(importlib.import_module(module), constant)


def filled(place: re.Match[str]) -> str:
    name, unit = place.groups()
    return f"{value(name) / _UNITS[unit]:g} {unit}" if unit else f"{value(name):,}"


def table() -> dict[str, str]:
    lines = GUIDE.read_text().partition("## Limits")[2].partition("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {what: limit for what, limit, _ in cells[2:]}


def test_the_table_of_limits_says_what_the_code_holds() -> None:
    assert table() == {what: _PLACE.sub(filled, limit) for what, limit in ROWS.items()}
    assert (MIN_INTEGER, value("refinery_core.vibe.numbers.MAX_INTEGER")) == (-(2**63), 2**64 - 1)
    assert inspect.signature(open_pool).parameters["statement_timeout"].default == 8.0
    assert {(value(one), value(other)) for one, other in SAME if value(one) != value(other)} == set()


def test_every_limit_of_the_code_is_in_the_table_or_concerns_no_operator() -> None:
    told = {full(place[1]) for limit in ROWS.values() for place in _PLACE.finditer(limit)}
    told |= {name for pair in SAME for name in pair} | {"refinery_core.vibe.numbers.MAX_INTEGER"}
    limits = {name for package in PACKAGES for name in _limits(package)}
    assert limits - told - set(NOT_IN_THE_TABLE) == set()
    assert set(NOT_IN_THE_TABLE) - limits == set(), "these are gone"
    assert set(NOT_IN_THE_TABLE) & told == set()


def _limits(package: Any) -> Iterator[str]:
    """The full names of the constants that begin with MAX_, each where it is defined."""
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if found.name.endswith("__main__"):
            continue
        source = importlib.util.find_spec(found.name)
        assert source is not None
        assert source.origin is not None
        text = Path(source.origin).read_text()
        for match in re.finditer(r"^(MAX_[A-Z0-9_]+)(?:: Final(?:\[[^]]*\])?)? = ", text, re.MULTILINE):
            yield f"{found.name}.{match[1]}"
