"""Settings of a service: one frozen dataclass, read from the environment as REFINERY_… variables."""

from __future__ import annotations

import contextlib
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


class Secret:
    """A secret that is read when it is needed: from a file, again when it has changed."""

    def __init__(self, text: str = "", path: str | None = None) -> None:
        """
        Take the text, or the file.

        Raises:
            ValueError: the file cannot be read, or is empty; the sentence does not quote it.
        """
        self._text = text if path is None else _content(path)
        self._path = path

    def read(self) -> str:
        """Give it as it is now; where its file cannot be read any more, as it was."""
        if self._path is not None:
            with contextlib.suppress(ValueError):
                self._text = _content(self._path)
        return self._text


def setting(
    what: str, default: Any = dataclasses.MISSING, *, at_least: float | None = None, secret: bool = False
) -> Any:
    """One field of a settings class: what it is for, what holds where it is not set, the least number."""
    metadata = {"what": what, "at_least": at_least, "secret": secret}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret, kw_only=True)


def from_environment(kind: type[S], environ: Mapping[str, str] | None = None) -> S:
    """
    Read a settings dataclass: the field `pool_size` is the variable REFINERY_POOL_SIZE.

    Fields are int, float, bool, str, Secret or a Literal of words in small letters, or one of these or None.
    An empty variable counts as not set. A secret is the variable REFINERY_…, or the content of the file that
    REFINERY_…_FILE names.

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
        path = environ.get(f"{variable}_FILE", "") if field.metadata.get("secret") else ""
        if text or path:
            try:
                if field.metadata.get("secret"):
                    secret = _secret(variable, text, path)
                    values[field.name] = secret if _is_secret(hints[field.name]) else secret.read()
                else:
                    values[field.name] = _read(text, hints[field.name], field.metadata.get("at_least"))
            except ValueError as fault:
                faults.append(f"{variable} {fault}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            faults.append(f"{variable} is not set ({what})" if what else f"{variable} is not set")
    if faults:
        raise CannotStart("; ".join(faults) + ".")
    return kind(**values)


def secret_variable(variable: str, environ: Mapping[str, str] | None = None) -> str | None:
    """
    Read one secret: the variable, or the content of the file that <variable>_FILE names; None without both.

    Raises:
        CannotStart: both are set, or the file cannot be read.
    """
    environ = os.environ if environ is None else environ
    text, path = environ.get(variable, ""), environ.get(f"{variable}_FILE", "")
    if not text and not path:
        return None
    try:
        return _secret(variable, text, path).read()
    except ValueError as fault:
        raise CannotStart(f"{variable} {fault}.") from None


def _secret(variable: str, text: str, path: str) -> Secret:
    if text and path:
        raise ValueError(f"and {variable}_FILE are both set; set one of them")
    return Secret(text, path or None)


def _content(path: str) -> str:
    try:
        content = Path(path).read_bytes().decode().strip()
    except OSError as fault:
        raise ValueError(f"cannot be read from {path}: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"cannot be read from {path}: it is not UTF-8") from None
    if not content:
        raise ValueError(f"cannot be read from {path}: it is empty")
    return content


def _is_secret(hint: Any) -> bool:
    return hint is Secret or Secret in typing.get_args(hint)


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
