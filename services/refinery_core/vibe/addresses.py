"""Resolves an address inside a schema against its base: RFC 3986, section 5.2.

`postgres/functions/resolve_address.sql` does the same.
"""

from __future__ import annotations

import re

_PARTS = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)


def resolve_address(base: str, address: str) -> tuple[str, str]:
    """The absolute address without its fragment, and the fragment, as written, "" if there is none.

    A base without a scheme, or empty, is taken as it is: two relative addresses can still be equal.
    """
    scheme, authority, path, query, fragment = _split(address)
    if scheme is None:
        base_scheme, base_authority, base_path, base_query, _ = _split(base)
        scheme = base_scheme
        if authority is None:
            authority = base_authority
            if not path:
                path = base_path
                query = base_query if query is None else query
            elif not path.startswith("/"):
                path = _merged(base_authority, base_path, path)
    absolute = "" if scheme is None else f"{scheme}:"
    absolute += "" if authority is None else f"//{authority}"
    absolute += _without_dots(path)
    absolute += "" if query is None else f"?{query}"
    return absolute, fragment or ""


def _split(address: str) -> tuple[str | None, str | None, str, str | None, str | None]:
    match = _PARTS.fullmatch(address)
    assert match is not None
    scheme, authority, path, query, fragment = match.groups()
    return scheme, authority, path, query, fragment


def _merged(authority: str | None, base_path: str, path: str) -> str:
    if authority is not None and not base_path:
        return f"/{path}"
    return base_path[: base_path.rfind("/") + 1] + path


def _without_dots(path: str) -> str:
    if "." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for place, segment in enumerate(segments):
        if segment not in {".", ".."}:
            kept.append(segment)
            continue
        if segment == ".." and len(kept) > (1 if path.startswith("/") else 0):
            kept.pop()
        if place == len(segments) - 1:
            kept.append("")
    return "/".join(kept)
