"""Answers WhoAmI, CheckAccess and ListDenials: who holds which Role, what it allows, and who was refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import asyncpg

from ledger_service.candidates import Candidate, Key, filled, in_chunks
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_core.errors import InvalidField, PermissionDenied
from refinery_core.fields import branch_from, id_from, position_from, reference_from
from refinery_core.pages import MAX_SIZE, open_token, page_size, page_token
from refinery_core.postgres.database import NOW
from refinery_core.serving.authentication import names
from refinery_core.serving.principal import Caller
from refinery_core.stored.rights import Held, Rights
from refinery_core.stored.vibes import Vibes
from refinery_core.vibe.model import Context, VibeType
from refinery_core.vibe.refs import AugUri
from refinery_core.vibe.roles import GENESIS, Role, Rule, Verb
from refinery_core.wire import time_from, verb_from, verb_number, vibe_type_from, vibe_type_number, write_time

MAX_GROUPS: Final = 1_000

_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)

# A Role from before there was a schema of Roles may name others.
_VERBS: Final = frozenset(Verb)
_TYPES: Final = frozenset(VibeType)


async def who_am_i(rights: Rights, caller: Caller) -> pb.WhoAmIResponse:
    """Say who calls, and which Roles it holds."""
    held = await rights.held((caller.principal, *caller.groups)) if caller.authenticated else []
    return pb.WhoAmIResponse(
        principal=caller.principal,
        groups=caller.groups,
        authenticated=caller.authenticated,
        roles=[
            pb.HeldRole(
                ref=each.role.ref,
                held_as=each.held_as,
                rules=[_rule_message(number, rule) for number, rule in each.role.rules],
            )
            for each in held
        ],
    )


async def check_access(
    vibes: Vibes, rights: Rights, request: pb.CheckAccessRequest, caller: Caller
) -> pb.CheckAccessResponse:
    """
    Say whether somebody may do something, and by which rule.

    Raises:
        PermissionDenied: the caller may not ask about others.
        PositionOutOfRange: it asks for a position that is not there yet.
        InvalidField, InvalidReference: a field cannot be read.
    """
    asked = _asked_for(request, caller)
    verb = verb_from(request.verb, "verb")
    id_ = None if verb is Verb.BRANCH else id_from(request.id, "id")
    branch = branch_from(request.branch, "branch")
    type_ = vibe_type_from(request.type, "type") if request.type else None
    author = reference_from(request.author_ref, "author_ref") if request.author_ref else None
    if asked[0] != caller.principal:
        await _check_asker(rights, caller)
    as_of = await _moment(vibes, request)
    for held in await rights.held(asked, as_of):
        if author is not None and not _is_meant(author, held.role):
            continue
        if held.role.is_genesis:
            return _allowed(held, None, as_of)
        for number, rule in held.role.rules:
            if rule.allows(verb, id_, branch, type_):
                return _allowed(held, number, as_of)
    if request.refuse:
        raise PermissionDenied(
            principal=asked[0],
            verb=verb,
            id=id_ or "",
            branch=branch,
            role=str(author.ref or author) if author is not None else "any Role",
            problem="no Role in force that it holds allows it",
        )
    return pb.CheckAccessResponse(position=as_of)


async def list_denials(
    vibes: Vibes, rights: Rights, request: pb.ListDenialsRequest, caller: Caller
) -> pb.ListDenialsResponse:
    """
    List who was refused, newest first.

    Raises:
        PermissionDenied: the caller may not ask about others.
        InvalidField, InvalidPageToken: a field cannot be read.
    """
    await _check_asker(rights, caller)
    if request.principal:
        _check_name("principal", request.principal)
    since = time_from(request.since, "since") if request.HasField("since") else None
    until = time_from(request.until, "until") if request.HasField("until") else None
    filter_ = "denials", request.principal, *(time and time.isoformat() for time in (since, until))
    size, key = page_size(request.page_size), [NOW]
    if request.page_token:
        _, key = open_token(request.page_token, filter_, (int,))
    bounds = since or _FIRST, until or _LAST

    async def read(key: Key, count: int) -> list[Candidate[asyncpg.Record]]:
        query, of = ("list_denials_of", [request.principal]) if request.principal else ("list_denials", [])
        rows = await vibes.database.fetch(query, *key, count, *bounds, *of)
        return [((row["at"],), None if row["minute"] is None else row) for row in rows]

    items, last = await filled(in_chunks(read, key, size + 1, MAX_SIZE), size, _denial_message)
    token = page_token(filter_, 0, [*last]) if last else ""
    return pb.ListDenialsResponse(denials=items, next_page_token=token)


def _denial_message(row: asyncpg.Record) -> pb.Denial:
    fields = "service", "principal", "method", "verb", "id", "branch", "role", "problem", "count"
    message = pb.Denial(**{field: row[field] for field in fields})
    write_time(message.minute, row["minute"])
    return message


def _asked_for(request: pb.CheckAccessRequest, caller: Caller) -> tuple[str, ...]:
    if not request.principal:
        if request.groups:
            raise InvalidField(field="groups", problem="needs principal")
        return caller.principal, *caller.groups
    if len(request.groups) > MAX_GROUPS:
        raise InvalidField(field="groups", problem=f"takes at most {MAX_GROUPS}, not {len(request.groups)}")
    asked = request.principal, *request.groups
    for number, name in enumerate(asked):
        _check_name(f"groups[{number - 1}]" if number else "principal", name)
    return asked


def _check_name(field: str, name: str) -> None:
    if not name or not names.is_name(name):
        raise InvalidField(
            field=field,
            problem=f"has to be a name: 1 to {names.MAX_BYTES} bytes, printable, without '*' at the end",
        )


async def _moment(vibes: Vibes, request: pb.CheckAccessRequest) -> int:
    which = request.WhichOneof("as_of")
    moment = (
        position_from(request.position, "position")
        if which == "position"
        else time_from(request.time, "time")
        if which == "time"
        else None
    )
    as_of = await vibes.as_of(Context(as_of=moment), field=which or "position")
    return min(as_of, await vibes.database.last_position())


async def _check_asker(rights: Rights, caller: Caller) -> None:
    if not caller.authenticated:
        return
    for each in await rights.held((caller.principal, *caller.groups)):
        if each.role.allows(Verb.READ, GENESIS, "main", "ROLE"):
            return
        if any(Verb.CARRY_OUT in rule.verbs for _, rule in each.role.rules):
            return
    raise PermissionDenied(
        principal=caller.principal,
        verb=Verb.READ,
        id=GENESIS,
        branch="main",
        role="any Role",
        problem="only whoever may read it, or carries executions out, asks about others",
    )


def _is_meant(author: AugUri, role: Role) -> bool:
    """Whether an author means a Role in force: that very revision, or whichever is in force."""
    if author.canonical:
        return role.ref == str(author.ref)
    return role.id == author.id and author.branch in (None, "main") and author.revision is None


def _allowed(held: Held, rule: int | None, position: int) -> pb.CheckAccessResponse:
    return pb.CheckAccessResponse(
        allowed=True, role_ref=held.role.ref, rule=rule, held_as=held.held_as, position=position
    )


def _rule_message(number: int, rule: Rule) -> pb.RoleRule:
    return pb.RoleRule(
        number=number,
        verbs=[verb_number(Verb(verb)) for verb in rule.verbs if verb in _VERBS],
        ids=rule.ids,
        branches=rule.branches,
        types=[vibe_type_number(VibeType(type_)) for type_ in rule.types or () if type_ in _TYPES],
    )
