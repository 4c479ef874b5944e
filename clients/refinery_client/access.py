"""The identity and the rights of a caller, as a client gets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_core import wire
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.roles import Verb


@dataclass(frozen=True, slots=True)
class RoleRule:
    """One rule of a Role; `number` is its place in `may`. Without types it is about all of them."""

    number: int
    verbs: tuple[Verb, ...]
    ids: tuple[str, ...]
    branches: tuple[str, ...]
    types: tuple[VibeType, ...]


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A Role in force, and the name by which it is held: the principal's, or one of its groups."""

    ref: str
    held_as: str
    rules: tuple[RoleRule, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """The principal that the server takes the caller for; without authentication, all is allowed."""

    principal: str
    groups: tuple[str, ...]
    authenticated: bool
    roles: tuple[HeldRole, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """
    Whether somebody may do something, as of a position.

    Where it may, `role_ref` is the Role that allows it, `held_as` the name by which it is held, and `rule`
    the place of the rule in its `may`; system/genesis needs none.
    """

    allowed: bool
    role_ref: str | None
    rule: int | None
    held_as: str | None
    position: int


@dataclass(frozen=True, slots=True)
class Denial:
    """Calls of one kind that were refused in one minute for want of a right, and how many."""

    minute: datetime
    service: str
    principal: str
    method: str
    verb: str
    id: str
    branch: str
    role: str
    problem: str
    count: int


def access_request(
    verb: Verb,
    id_: str,
    *,
    branch: str,
    type_: VibeType | None,
    principal: str,
    groups: Sequence[str],
    author_ref: str,
    as_of: int | datetime | None,
    refuse: bool,
) -> pb.CheckAccessRequest:
    """Write the question."""
    request = pb.CheckAccessRequest(
        principal=principal,
        groups=groups,
        verb=wire.verb_number(verb),
        id=id_,
        branch=branch,
        type=0 if type_ is None else wire.vibe_type_number(type_),  # type: ignore[arg-type]  # 0 is UNSPECIFIED
        author_ref=author_ref,
        refuse=refuse,
    )
    if isinstance(as_of, datetime):
        wire.write_time(request.time, as_of)
    elif as_of is not None:
        request.position = as_of
    return request


def access_from(message: pb.CheckAccessResponse) -> Access:
    """Read the answer."""
    return Access(
        allowed=message.allowed,
        role_ref=message.role_ref or None,
        rule=message.rule if message.HasField("rule") else None,
        held_as=message.held_as or None,
        position=message.position,
    )


def identity_from(message: pb.WhoAmIResponse) -> Identity:
    """Read who the caller is."""
    return Identity(
        principal=message.principal,
        groups=tuple(message.groups),
        authenticated=message.authenticated,
        roles=tuple(
            HeldRole(role.ref, role.held_as, tuple(_rule_from(rule) for rule in role.rules))
            for role in message.roles
        ),
    )


def denial_from(message: pb.Denial) -> Denial:
    """Read a denial."""
    names = "service", "principal", "method", "verb", "id", "branch", "role", "problem", "count"
    return Denial(wire.time_from(message.minute), **{name: getattr(message, name) for name in names})


def _rule_from(message: pb.RoleRule) -> RoleRule:
    return RoleRule(
        message.number,
        tuple(wire.verb_from(verb) for verb in message.verbs),
        tuple(message.ids),
        tuple(message.branches),
        tuple(wire.vibe_type_from(type_) for type_ in message.types),
    )
