"""The rules for jq expressions beyond the grammar, with the sentences of their refusals."""

from __future__ import annotations

from typing import NoReturn

from refinery_core.process.faults import ExpressionFault
from refinery_core.process.jq.functions import ALLOWED, REFUSED, REFUSED_VARIABLES
from refinery_core.process.jq.tokens import Kind, Token
from refinery_core.process.suggestions import suggestion

MAX_RANGE = 1_000_000


def check_range(name: Token, arguments: list[tuple[Token, ...]]) -> None:
    """A range with literal bounds is bounded by MAX_RANGE; one over data is bounded by that data."""
    for argument in arguments:
        for token in argument:
            if token.kind is Kind.NUMBER and float(token.text) > MAX_RANGE:
                raise ExpressionFault(token.offset, f"a range has at most {MAX_RANGE} steps")
    if len(arguments) == 3:
        step = [token for token in arguments[2] if token.text != "-"]
        if len(step) != 1 or step[0].kind is not Kind.NUMBER or not float(step[0].text):
            raise ExpressionFault(name.offset, "the step of a range is a number other than 0, written out")


def refuse_variable(token: Token) -> None:
    """Refuse the variables of jq that reach outside."""
    if (reason := REFUSED_VARIABLES.get(token.text[1:])) is not None:
        raise ExpressionFault(token.offset, f"{token.text} is not allowed: {reason}")


def unknown_variable(name: str, visible: list[str]) -> str:
    """Refuse a variable that is not there."""
    if name == "secrets":
        return "$secrets can only be read in an authentication"
    near = suggestion(name, visible)
    if near is not None:
        return f"there is no ${name} here; perhaps you mean ${near}"
    return f"there is no ${name} here; there is {', '.join(f'${known}' for known in sorted(visible))}"


def refuse_function(name: Token, function: str) -> NoReturn:
    """Refuse a call with its reason."""
    if (reason := REFUSED.get(name.text)) is not None:
        raise ExpressionFault(name.offset, f"'{name.text}' is not allowed: {reason}")
    arities = [known.rpartition("/")[2] for known in sorted(ALLOWED) if known.startswith(f"{name.text}/")]
    if arities:
        problem = f"'{name.text}' takes {' or '.join(arities)} arguments, not {function.rpartition('/')[2]}"
        raise ExpressionFault(name.offset, problem)
    near = suggestion(function, ALLOWED)
    hint = "" if near is None else f"; perhaps you mean {near}"
    raise ExpressionFault(name.offset, f"there is no function {function[:40]} here{hint}")
