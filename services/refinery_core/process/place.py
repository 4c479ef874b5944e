"""A JSON value with its JSON pointer: reads it as what it should be, or refuses it there."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from refinery_core.process.faults import ProcessFault
from refinery_core.process.suggestions import suggestion
from refinery_core.texts import cut
from refinery_core.vibe.pointers import escaped

_TYPES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
_IS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch


@dataclass(frozen=True, slots=True)
class Place:
    """A JSON value at a JSON pointer. The arguments `what` name the value in a refusal."""

    value: Any
    path: str = ""

    def refuse(self, problem: str) -> NoReturn:
        """Refuse the value."""
        raise ProcessFault(self.path, problem)

    def refuse_type(self, what: str, wanted: str) -> NoReturn:
        """Refuse the value: it is of another JSON type."""
        self.refuse(f"{what} needs to be {wanted}, not {_TYPES.get(type(self.value), 'a number')}")

    def at(self, key: str | int) -> Place:
        """The value under a key or an index."""
        return Place(self.value[key], f"{self.path}/{escaped(str(key))}")

    def pairs(self, what: str) -> dict[str, Place]:
        """The members of an object that may have any members."""
        if not isinstance(self.value, dict):
            self.refuse_type(what, "an object")
        return {key: self.at(key) for key in self.value}

    def members(self, what: str, known: Collection[str], required: Sequence[str] = ()) -> dict[str, Place]:
        """The members of an object that may have only these."""
        found = self.pairs(what)
        for key, place in found.items():
            if key not in known:
                place.refuse(unknown(f"{what} has no", key, known))
        for key in required:
            if key not in found:
                self.refuse(f"{what} needs '{key}'")
        return found

    def one_of(self, what: str, keys: Sequence[str], others: Collection[str] = ()) -> str:
        """The one key of several that an object has; it needs exactly one."""
        found = [key for key in self.members(what, (*keys, *others)) if key in keys]
        if len(found) != 1:
            wanted = " or ".join(f"'{key}'" for key in keys)
            has = "both" if len(found) == 2 and len(keys) == 2 else f"{len(found)} of them"
            self.refuse(f"{what} needs {wanted}" + (f", not {has}" if found else ""))
        return found[0]

    def items(self, what: str, *, empty: bool = False) -> list[Place]:
        """The items of a list."""
        if not isinstance(self.value, list):
            self.refuse_type(what, "a list")
        if not self.value and not empty:
            self.refuse(f"{what} is empty")
        return [self.at(index) for index in range(len(self.value))]

    def item(self, what: str) -> tuple[str, Place]:
        """The name and the value of a list item, which is an object with one member."""
        found = self.pairs(what)
        if len(found) != 1:
            self.refuse(f"{what} has exactly one key, its name, not {len(found)}")
        return next(iter(found.items()))

    def text(self, what: str) -> str:
        """A string that is not empty."""
        if not isinstance(self.value, str):
            self.refuse_type(what, "a string")
        if not self.value:
            self.refuse(f"{what} is empty")
        return self.value

    def constant(self, what: str) -> str:
        """A string that is the same at every execution: no expression."""
        text = self.text(what)
        if "${" in text:
            self.refuse(f"{what} is fixed when the document is refined, so it cannot be an expression")
        return text

    def choice(self, what: str, options: Collection[str]) -> str:
        """One of several words."""
        text = self.text(what)
        if text not in options:
            self.refuse(unknown(f"{what} cannot be", text, options))
        return text

    def named(self, what: str, known: Collection[str], where: str) -> str:
        """The name of a definition in the document."""
        text = self.text(what)
        if text not in known:
            near = suggestion(text, known)
            hint = "" if near is None else f"; perhaps you mean '{near}'"
            self.refuse(f"there is no {what} '{cut(text)}' in {where}{hint}")
        return text

    def variable(self, what: str, reserved: Collection[str]) -> str:
        """The name of a variable that the document defines."""
        text = self.text(what).removeprefix("$")
        if not _IS_NAME(text):
            self.refuse(f"{what} needs to be a name of letters, digits and '_', not '{cut(text)}'")
        if text in reserved:
            self.refuse(f"{what} cannot be '{text}': ${text} means something already")
        return text

    def secret(self, what: str) -> str:
        """The name of a secret; one with a `-` cannot be read by an expression, and can be named."""
        text = self.text(what)
        if not _IS_NAME(text.replace("-", "_")):
            self.refuse(f"{what} needs to be a name of letters, digits, '_' and '-', not '{cut(text)}'")
        return text

    def integer(self, what: str, low: int, high: int) -> int:
        """A whole number within bounds."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.refuse_type(what, "a whole number")
        if not low <= self.value <= high:
            self.refuse(f"{what} needs to be from {low} to {high}")
        return self.value

    def flag(self, what: str) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            self.refuse_type(what, "true or false")
        return self.value


def unknown(beginning: str, key: str, known: Collection[str]) -> str:
    """A phrase that names an unknown word, and suggests a known one."""
    near = suggestion(key, known)
    if near is not None:
        return f"{beginning} '{cut(key)}'; perhaps you mean '{near}'"
    return f"{beginning} '{cut(key)}', only {', '.join(known)}"
