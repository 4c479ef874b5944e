"""A cursor over the tokens of a jq expression, which refuses unexpected ones."""

from __future__ import annotations

from typing import NoReturn

from refinery_core.process.faults import ExpressionFault
from refinery_core.process.jq.tokens import Kind, Token

MAX_DEPTH = 48


class Cursor:
    """A place among the tokens."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        """The next token."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """Take the next token."""
        token = self.next
        if token.kind is not Kind.END:
            self.at += 1
        return token

    def sees(self, *texts: str) -> bool:
        """Whether the next token is one of these symbols or words."""
        return self.next.kind in (Kind.SYMBOL, Kind.WORD) and self.next.text in texts

    def took(self, *texts: str) -> bool:
        """Take the next token if it is one of these."""
        taken = self.sees(*texts)
        if taken:
            self.at += 1
        return taken

    def expect(self, text: str) -> None:
        """Take the next token; refuse it if it is another."""
        if not self.took(text):
            self.unexpected(f"where '{text}' should be")

    def unexpected(self, instead: str = "") -> NoReturn:
        """Refuse a token."""
        token = self.next
        if token.text == "?//":
            raise ExpressionFault(token.offset, "'?//' stands only between patterns; write '? //'")
        found = "it ends" if token.kind is Kind.END else f"'{token.text[:20]}' stands"
        raise ExpressionFault(token.offset, f"{found} {instead or 'where it should not'}")

    def deeper(self) -> None:
        """Go one level down; refuse too many."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionFault(self.next.offset, f"it is nested more than {MAX_DEPTH} deep")
