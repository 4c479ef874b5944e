"""Settings of a service: one frozen dataclass, read from the environment as REFINERY_… variables."""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

PREFIX = "REFINERY_"

_TRUTH = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}

S = TypeVar("S")


class CannotStart(Exception):  # noqa: N818 -- reads as the sentence that it is
    """A sentence for the operator: why this process cannot do its work. It ends with exit code 1."""


def setting(what: str, default: Any = dataclasses.MISSING, *, at_least: float | None = None) -> Any:
    """One field of a settings class: what it is for, what holds where it is not set, the least number."""
    return dataclasses.field(default=default, metadata={"what": what, "at_least": at_least}, kw_only=True)


def from_environment(kind: type[S], environ: Mapping[str, str] | None = None) -> S:
    """
    Read a settings dataclass: the field `pool_size` is the variable REFINERY_POOL_SIZE.

    Fields are int, float, bool, str or a Literal of words in small letters, or one of these or None. An
    empty variable counts as not set.

    Raises:
        CannotStart: naming every variable that is missing or cannot be read.
    """
    environ = os.environ if environ is None else environ
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # S is a dataclass by contract
        variable = PREFIX + field.name.upper()
        text = environ.get(variable, "")
        what = field.metadata.get("what", "")
        if text:
            try:
                values[field.name] = _read(text, hints[field.name], field.metadata.get("at_least"))
            except ValueError as fault:
                faults.append(f"{variable} {fault}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            faults.append(f"{variable} is not set ({what})" if what else f"{variable} is not set")
    if faults:
        raise CannotStart("; ".join(faults) + ".")
    return kind(**values)


def content_of(path: str) -> bytes:
    """
    Read a file that a setting names.

    Raises:
        CannotStart: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as fault:
        raise CannotStart(f"{path} cannot be read: {fault.strerror}.") from fault


def _read(text: str, hint: Any, at_least: float | None) -> Any:
    options = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = (option for option in options if option is not types.NoneType)
        return _read(text, hint, at_least)
    if typing.get_origin(hint) is Literal:
        if text.lower() not in options:
            raise ValueError(f"is '{text}', but must be one of {', '.join(map(str, options))}")
        return text.lower()
    if hint is bool:
        if text.lower() not in _TRUTH:
            raise ValueError(f"is '{text}', but must be 1 or 0")
        return _TRUTH[text.lower()]
    if hint in (int, float):
        try:
            number = hint(text)
        except ValueError:
            raise ValueError(f"is '{text}', but must be {'a whole' if hint is int else 'a'} number") from None
        if at_least is not None and not number >= at_least:  # Nor may it be NaN.
            raise ValueError(f"is '{text}', but must be at least {at_least:g}")
        return number
    return text
