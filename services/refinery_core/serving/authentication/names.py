"""Names that a Role can hold: principals and groups."""

from __future__ import annotations

from typing import Final

from refinery_core.errors import Unauthenticated

MAX_BYTES: Final = 512
KINDS: Final = ("spiffe://", "x509:", "jwt:")
"""The beginnings of the names of principals; those of groups begin with `group:`."""


def principal(name: str, source: str) -> str:
    """
    Give the name back, if it can be a principal. `source` is the certificate or the token.

    Raises:
        Unauthenticated: it is too long, is not printable, or ends with the wildcard of a Role's members.
    """
    if not is_name(name):
        raise Unauthenticated(
            problem=f"the name in the {source} is longer than {MAX_BYTES} bytes, ends with '*' or is not "
            f"printable; use a {source} with another name"
        )
    return name


def is_name(name: str) -> bool:
    """Whether a Role can name it. A name that ends with `*` would be read there as many names."""
    return name.isprintable() and not name.endswith("*") and len(name.encode()) <= MAX_BYTES
