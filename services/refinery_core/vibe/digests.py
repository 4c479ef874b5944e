"""Digests and chain, computed a second time, in Python.

The formats are public and fixed; docs/verifying.md describes them. The database computes
digests and chain where it gives the numbers; `verify` computes them here again, from the rows. All
encodings are of one kind, so that no two inputs share their bytes:

    u32(n)   = n as 4 bytes, big-endian              int8(n) = n as 8 bytes, big-endian, signed
    lp(x)    = u32(length of x in bytes) ‖ x         text is UTF-8
    list(xs) = u32(number of xs) ‖ lp of each
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

_SALT = b""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def origin(identity: UUID) -> bytes:
    """The chain before position 1: no link of one ledger fits another.

    SHA-256( lp("refinery:origin:v1") ‖ lp(identity, 16 bytes) )
    """
    return sha256(_lp("refinery:origin:v1") + _lp(identity.bytes)).digest()


def request_digest(request: str) -> bytes:
    """The digest by which a repeated request_id is recognised.

        SHA-256( lp("refinery:request:v1") ‖ lp(request) )

    `request` is the canonical text of what was asked, without request_id and validate_only, and without every
    member that stands at its default: so a member that is added one day changes no digest of today.
    """
    return sha256(_lp("refinery:request:v1") + _lp(request)).digest()


def content_digest(context: str | None, schema: str | None, solution: str | None) -> bytes:
    """SHA-256(salt ‖ JCS({context, schema, solution})); what is None is left out, the salt is empty.

    The arguments are canonical texts, so that the canonical text of the whole is their concatenation.
    """
    parts = (("context", context), ("schema", schema), ("solution", solution))
    members = ",".join(f'"{name}":{text}' for name, text in parts if text is not None)
    return sha256(_SALT + f"{{{members}}}".encode()).digest()


def vibe_digest(
    *,
    type: str,  # noqa: A002 - the glossary's word
    ref: str,
    branches: Collection[str],
    author_ref: str,
    prototype_ref: str | None,
    target_refs: Collection[str],
    instruction_refs: Collection[str],
    budget_refs: Collection[str],
    content_digest: bytes,
    referred: Mapping[str, bytes],
) -> bytes:
    """The digest of a Vibe, which commits to all that it was ever made from.

        SHA-256( lp("refinery:vibe:v1") ‖ lp(type) ‖ lp(ref) ‖ list(branches) ‖ lp(author_ref)
               ‖ list(prototype_ref, or none) ‖ list(target_refs) ‖ list(instruction_refs)
               ‖ list(budget_refs) ‖ lp(content_digest)
               ‖ u32(number of referred) ‖ for each, by its bytes: lp(its ref) ‖ lp(its digest) )

    `referred` has the digest of every Vibe that an edge goes to, schema pins included, except of
    the Vibe itself (genesis is its own author).
    """
    return sha256(
        b"".join(
            (
                _lp("refinery:vibe:v1"),
                _lp(type),
                _lp(ref),
                _list(branches),
                _lp(author_ref),
                _list([] if prototype_ref is None else [prototype_ref]),
                _list(target_refs),
                _list(instruction_refs),
                _list(budget_refs),
                _lp(content_digest),
                _u32(len(referred)),
                *(_lp(to) + _lp(referred[to]) for to in sorted(referred, key=str.encode)),
            )
        )
    ).digest()


def chain(
    *,
    previous: bytes,
    position: int,
    time_us: int,
    principal: str,
    request_id: UUID,
    request_digest: bytes,
    digests: Collection[bytes],
) -> bytes:
    """The chain at a position, which commits to everything in the ledger up to there.

        SHA-256( lp("refinery:chain:v1") ‖ lp(previous) ‖ int8(position) ‖ int8(time_us)
               ‖ lp(principal) ‖ lp(request_id, 16 bytes) ‖ lp(request_digest) ‖ list(digests) )

    `previous` is the chain of the position before, or the origin of the ledger before position 1;
    `time_us` is in microseconds since the Unix epoch; `digests` are those of the refinement's Vibes in
    the order of its drafts.
    """
    return sha256(
        b"".join(
            (
                _lp("refinery:chain:v1"),
                _lp(previous),
                _int8(position),
                _int8(time_us),
                _lp(principal),
                _lp(request_id.bytes),
                _lp(request_digest),
                _list(digests),
            )
        )
    ).digest()


def refinement_id(request_id: UUID) -> UUID:
    """The id of the refinement of a request: a UUID of version 8, of the first bytes of
    SHA-256( lp("refinery:refinement:v1") ‖ lp(request_id, 16 bytes) ).
    """
    first = bytearray(sha256(_lp("refinery:refinement:v1") + _lp(request_id.bytes)).digest()[:16])
    first[6] = first[6] & 0x0F | 0x80
    first[8] = first[8] & 0x3F | 0x80
    return UUID(bytes=bytes(first))


def time_us(time: datetime) -> int:
    """Microseconds since the Unix epoch, exactly; the time must say its offset."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _int8(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)


def _lp(part: str | bytes) -> bytes:
    content = part.encode() if isinstance(part, str) else part
    return _u32(len(content)) + content


def _list(parts: Collection[str] | Collection[bytes]) -> bytes:
    return _u32(len(parts)) + b"".join(map(_lp, parts))
