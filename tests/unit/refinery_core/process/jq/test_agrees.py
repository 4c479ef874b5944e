"""The lint accepts only expressions that jq accepts."""

from __future__ import annotations

from typing import Any

import jq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinery_core.process.faults import ExpressionFault
from refinery_core.process.jq.functions import ALLOWED, FORMATS, REFUSED
from refinery_core.process.jq.lint import lint
from tests.unit.refinery_core.process.jq.test_lint import ALLOWED as EXPRESSIONS
from tests.unit.refinery_core.process.jq.test_lint import VISIBLE

VARIABLES: dict[str, Any] = dict.fromkeys(VISIBLE)
LITERALS = {"true/0", "false/0", "null/0"}


def compiles(text: str) -> bool:
    try:
        jq.compile(text, args=VARIABLES)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_jq_knows_what_the_lint_allows(text: str) -> None:
    assert compiles(text)


def test_jq_has_every_function_and_format_that_is_allowed() -> None:
    functions = set(jq.compile("builtins").input_value(None).first())
    assert ALLOWED - functions == LITERALS
    assert all(compiles(format_) for format_ in FORMATS)


def test_no_function_is_both_allowed_and_refused() -> None:
    assert {name.partition("/")[0] for name in ALLOWED} & REFUSED.keys() == {"recurse"}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_jq_compiles_whatever_of_their_fragments_the_lint_allows(data: st.DataObject) -> None:
    left, right = (data.draw(st.sampled_from(EXPRESSIONS)) for _ in range(2))
    cut = data.draw(st.integers(0, len(left)))
    glue = data.draw(
        st.sampled_from(["", " ", "|", ",", "+", "==", ".", "//", "as $q|", "[", "]", "{", "}", "(", ")"])
    )
    text = left[:cut] + glue + right[data.draw(st.integers(0, len(right))) :]
    try:
        lint(text, VISIBLE)
    except ExpressionFault:
        return
    assert compiles(text), text
