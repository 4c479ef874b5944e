r"""The tokens of a jq expression, those in `\( … )` inside strings included."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from refinery_core.process.faults import ExpressionFault

MAX_NESTED_STRINGS = 16


class Kind(enum.Enum):
    """The kind of a token."""

    NUMBER = "a number"
    STRING = "a string"
    FIELD = "a field"
    VARIABLE = "a variable"
    FORMAT = "a format"
    WORD = "a word"
    SYMBOL = "a symbol"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression; `inside` holds the expressions that a string interpolates."""

    kind: Kind
    text: str
    offset: int
    inside: tuple[tuple[Token, ...], ...] = ()


_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_IS_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)|(?P<comment>\#[^\n]*)"
    r"|(?P<NUMBER>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"|(?P<FIELD>\.{_NAME})|(?P<VARIABLE>\${_NAME})|(?P<FORMAT>@[A-Za-z0-9]+)"
    rf"|(?P<WORD>{_NAME}(?:::{_NAME})*)"
    r"|(?P<SYMBOL>\?//|//=|\|=|==|!=|<=|>=|\+=|-=|\*=|/=|%=|//|\.\.|[\[\](){}|,.:;?=<>+\-*/%])"
    r"""|(?P<quote>")"""
).match
_IS_STRING_PART = re.compile(
    r"""(?P<plain>[^"\\]+)|(?P<escape>\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))|(?P<open>\\\()|(?P<quote>")"""
).match


def tokens_of(text: str) -> tuple[Token, ...]:
    """The tokens of an expression, and END after them; raises ExpressionFault where it is not jq."""
    found, _ = _cut(text, 0, 0)
    return found


def _cut(text: str, at: int, strings: int) -> tuple[tuple[Token, ...], int]:
    """The tokens from a place on: to the end of the text, or to the closing bracket inside a string."""
    found: list[Token] = []
    start, brackets = at, 0
    while at < len(text):
        match = _IS_TOKEN(text, at)
        if match is None or match.lastgroup is None:
            raise ExpressionFault(at, f"{text[at]!r} cannot stand here")
        if match.lastgroup == "quote":
            token, at = _string(text, at, strings)
            found.append(token)
            continue
        piece = match.group()
        if match.lastgroup == "comment":
            # Versions of jq disagree on the end of such a comment, so code might hide in it.
            if "\\" in piece or "\r" in piece:
                raise ExpressionFault(at, "a comment holds a backslash or a carriage return")
        elif match.lastgroup != "space":
            brackets += (piece == "(") - (piece == ")")
            if strings and brackets < 0:
                return (*found, Token(Kind.END, "", at)), match.end()
            found.append(Token(Kind[match.lastgroup], piece, at))
        at = match.end()
    if strings:
        raise ExpressionFault(start - 2, r"a '\(' is not closed")
    return (*found, Token(Kind.END, "", at)), at


def _string(text: str, start: int, strings: int) -> tuple[Token, int]:
    if strings >= MAX_NESTED_STRINGS:
        raise ExpressionFault(start, f"strings are nested more than {MAX_NESTED_STRINGS} deep")
    inside: list[tuple[Token, ...]] = []
    at = start + 1
    while at < len(text):
        match = _IS_STRING_PART(text, at)
        if match is None:
            raise ExpressionFault(at, "a backslash in a string begins no escape that jq knows")
        at = match.end()
        if match.lastgroup == "quote":
            return Token(Kind.STRING, text[start:at], start, tuple(inside)), at
        if match.lastgroup == "open":
            part, at = _cut(text, at, strings + 1)
            inside.append(part)
    raise ExpressionFault(start, "a string is not closed")
