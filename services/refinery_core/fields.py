"""Reads the fields that requests have in common, strictly: names, contexts, positions, bounds."""

from __future__ import annotations

from collections.abc import Iterable

from refinery.vibe.v1 import vibe_pb2 as pb
from refinery_core import wire
from refinery_core.errors import InvalidField, InvalidReference, ReservedId
from refinery_core.vibe.model import Context
from refinery_core.vibe.refs import (
    MAX_BYTES,
    MAX_REVISION,
    SCHEME,
    AugUri,
    RefFault,
    check_branch,
    check_id,
    is_reserved,
    parse_reference,
)

MAX_LINE = MAX_BYTES - len(f"{SCHEME}@?{MAX_REVISION}")
"""Bytes of a branch and an id: references to each of their revisions have to fit as well."""


def reference_from(text: str, field: str, *, with_fragment: bool = False) -> AugUri:
    """Read a ref or an `aug:` reference, to a whole Vibe unless a fragment is allowed."""
    if not text:
        raise InvalidField(field=field, problem="is required")
    try:
        return parse_reference(text, with_fragment=with_fragment)
    except RefFault as fault:
        raise InvalidReference(field=field, value=text, problem=fault.problem) from None


def references_from(texts: Iterable[str], field: str) -> tuple[AugUri, ...]:
    """Read several, in order."""
    return tuple(reference_from(text, f"{field}[{index}]") for index, text in enumerate(texts))


def ref_from(text: str, field: str) -> str:
    """Read the ref of a filter, which may be empty."""
    if not text:
        return ""
    uri = reference_from(text, field)
    if uri.ref is None:
        problem = "a ref is meant here, like main@roles/local?1"
        raise InvalidReference(field=field, value=text, problem=problem)
    return str(uri.ref)


def branch_from(text: str, field: str, *, required: bool = False) -> str:
    """Read the name of a branch; absent means main."""
    if not text and not required:
        return "main"
    try:
        check_branch(text)
    except RefFault as fault:
        raise InvalidField(field=field, problem=f"is not the name of a branch: {fault.problem}") from None
    return text


def id_from(text: str, field: str) -> str:
    """Read an id."""
    if not text:
        raise InvalidField(field=field, problem="is required")
    try:
        check_id(text)
    except RefFault as fault:
        raise InvalidField(field=field, problem=f"is not an id: {fault.problem}") from None
    return text


def check_line(branch: str, id_: str, field: str) -> None:
    """Refuse an id that is too long to be referred to on a branch."""
    if len(branch) + len(id_) > MAX_LINE:
        problem = f"makes refs that are too long: branch and id together have at most {MAX_LINE} bytes"
        raise InvalidField(field=field, problem=problem)


def own_id_from(text: str, field: str) -> str:
    """Read an id that clients may refine."""
    id_ = id_from(text, field)
    if is_reserved(id_):
        raise ReservedId(field=field, id=id_)
    return id_


def prefix_from(text: str, field: str) -> str:
    """Read the beginning of ids or names."""
    if not text.isascii() or len(text) > MAX_BYTES or any(not "!" <= letter <= "~" for letter in text):
        raise InvalidField(field=field, problem="is not the beginning of a path")
    return text


def position_from(number: int, field: str) -> int:
    """Read a position; 0 is absent."""
    if number < 0:
        raise InvalidField(field=field, problem="is negative")
    return number


def context_from(message: pb.Context) -> Context:
    """Read the context of a question."""
    context = wire.context_from(message)
    branch_from(context.branch, "context.branch")
    return context


def bounded_from(number: int, default: int, most: int, field: str) -> int:
    """Read a number from 1 to the most; 0 is absent."""
    if not 0 <= number <= most:
        raise InvalidField(field=field, problem=f"is outside 1 to {most}")
    return number or default
