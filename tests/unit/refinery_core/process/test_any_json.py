from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_cli.read.yaml import read_yaml
from refinery_core.process.checker import ProcessFault, read_capability, read_process
from refinery_core.process.faults import ExpressionFault
from refinery_core.process.jq.lint import lint
from refinery_core.process.kinds import KINDS
from refinery_core.process.tasks import COMMON

EXAMPLES = [
    read_yaml(path.read_text(), path.name)
    for path in sorted((Path(__file__).parents[4] / "examples").glob("*.yaml"))
]
WORDS = [
    *KINDS,
    *COMMON,
    "catch",
    "with",
    "http",
    "aug:/x",
    "${ .a }",
    "PT1S",
    "error",
    "in",
    "when",
    "uri",
    "",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
PIECES = [
    ".",
    ".a",
    "..",
    "$x",
    "$y",
    "|",
    ",",
    ":",
    ";",
    "?",
    "//",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "+",
    "-",
    "=",
    "==",
    "as",
    "if",
    "then",
    "else",
    "end",
    "try",
]
PIECES += [
    "catch",
    "reduce",
    "foreach",
    "label",
    "map(.a)",
    '"a\\(.b)"',
    '"',
    "\\(",
    "#",
    "@csv",
    "env",
    "1",
    "range(",
    "\\",
    "é",
    "?//",
    "break",
    "$",
    "::",
]
JQ = st.lists(st.sampled_from([*PIECES, " "]), max_size=12).map("".join)


def read_or_refuse(solution: Any) -> None:
    before = copy.deepcopy(solution)
    for read in (read_process, read_capability):
        fault = _fault(read, solution)
        assert fault is None or (fault.problem and _leads_somewhere(solution, fault.path)), fault
    assert solution == before


def _fault(read: Callable[[Any], object], solution: Any) -> ProcessFault | None:
    try:
        read(solution)
    except ProcessFault as fault:
        return fault
    return None


def _leads_somewhere(value: Any, path: str) -> bool:
    for token in path.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            return False
    return True


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_is_read_or_refused_at_a_place_that_it_has(solution: Any) -> None:
    read_or_refuse(solution)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_may_stand_where_a_task_does(task: Any) -> None:
    document = {"dsl": "1.0.3", "namespace": "a", "name": "a", "version": "1.0.0"}
    read_or_refuse({"document": document, "do": [{"t": task}], "use": {"functions": {"f": task}}})


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(EXAMPLES), JSON, st.randoms(use_true_random=False))
def test_an_example_with_anything_put_anywhere_is_read_or_refused(
    example: Any, anything: Any, choice: random.Random
) -> None:
    mutant = copy.deepcopy(example)
    node, key = mutant, choice.choice(list(mutant))
    while isinstance(node[key], dict | list) and node[key] and choice.random() < 0.85:
        node = node[key]
        key = choice.choice(list(node)) if isinstance(node, dict) else choice.randrange(len(node))
    if isinstance(node, dict) and choice.random() < 0.2:
        del node[key]
    else:
        node[key] = anything
    read_or_refuse(mutant)


@settings(max_examples=500, deadline=None)
@given(JQ | st.text(max_size=30))
def test_any_text_is_an_expression_or_refused_at_an_offset_that_it_has(text: str) -> None:
    try:
        lint(text, {"x"})
        offset = 0
    except ExpressionFault as fault:
        offset = fault.offset
    assert 0 <= offset <= len(text)


@pytest.mark.parametrize("levels", [100, 900])
def test_what_is_nested_beyond_all_measure_is_refused(levels: int) -> None:
    deep: Any = 1
    for number in range(levels):
        deep = [deep] if number % 2 else {"do": deep}
    with pytest.raises(ProcessFault):
        read_process(deep)
    document = {"dsl": "1.0.3", "namespace": "a", "name": "a", "version": "1.0.0"}
    with pytest.raises(ProcessFault):
        read_process({"document": document, "do": [{"t": {"set": {"a": deep}}}]})
