"""Addresses of databases, read before the driver reads them: its errors quote parts of a password."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from refinery_core.settings import CannotStart

_SCHEMES: Final = frozenset({"postgresql", "postgres"})
_IS_HOSTS: Final = re.compile(
    r"(?:(?:[\w.%-]*|\[[0-9A-Fa-f:.]+])(?::[0-9]{1,5})?,)*(?:[\w.%-]*|\[[0-9A-Fa-f:.]+])(?::[0-9]{1,5})?"
).fullmatch


def see_address(url: str) -> None:
    """
    See that an address can be read, and in one way only.

    Raises:
        CannotStart: it cannot; the sentence quotes nothing of it.
    """
    try:
        parts = urlsplit(url)
        login, _, hosts = parts.netloc.rpartition("@")
        behind = f"{parts.path}{parts.query}{parts.fragment}"
        fit = parts.scheme in _SCHEMES and "@" not in login + behind and not parts.fragment
    except ValueError:
        fit = False
    if not fit or not _IS_HOSTS(hosts):
        raise CannotStart(
            "The address of the database cannot be read; it is postgresql://USER:PASSWORD@HOST:PORT/NAME, "
            "where a password has %40 for '@', %2F for '/', %3F for '?' and %23 for '#'."
        )


def has_password(url: str) -> bool:
    """Whether an address brings a password of its own."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return (bool(at) and ":" in login) or "password=" in parts.query
