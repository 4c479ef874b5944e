"""WhoAmI and CheckAccess: the answers are what the ledger would decide."""

from __future__ import annotations

from typing import Any

import pytest

from ledger_service.access import check_access, who_am_i
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2
from refinery_core.errors import InvalidField, PermissionDenied, PositionOutOfRange
from refinery_core.serving.principal import Caller
from refinery_core.stored.rights import Rights
from tests.integration.ledger.desk import ADA, BOB, DESK, GENESIS, NOBODY, ROOT, WORKER, Desk, refused, role

REFINE = vibe_pb2.VERB_REFINE


def rights(desk: Desk) -> Rights:
    return desk.refiner.rights


async def ask(desk: Desk, caller: Caller, verb: Any, id_: str = "", **fields: Any) -> pb.CheckAccessResponse:
    request = pb.CheckAccessRequest(verb=verb, id=id_, **fields)
    return await check_access(desk.vibes, rights(desk), request, caller)


async def test_one_is_told_who_one_is_and_which_roles_one_holds(desk: Desk) -> None:
    answer = await who_am_i(rights(desk), ADA)
    assert (answer.principal, [*answer.groups], answer.authenticated) == (ADA.principal, [*ADA.groups], True)
    (held,) = answer.roles
    assert (held.ref, held.held_as) == ("main@roles/desk?1", ADA.principal)
    assert [*held.rules[0].verbs] == [REFINE]
    assert [*held.rules[0].ids] == ["orders/**", "roles/desk"]
    assert [*held.rules[1].ids] == ["**"]


async def test_root_holds_genesis_which_may_do_everything(desk: Desk) -> None:
    (held,) = (await who_am_i(rights(desk), ROOT)).roles
    assert (held.ref, held.held_as, [*held.rules]) == (GENESIS, ROOT.principal, [])
    access = await ask(desk, ROOT, vibe_pb2.VERB_ERASE, "anything")
    assert (access.allowed, access.role_ref, access.HasField("rule")) == (True, GENESIS, False)


async def test_whoever_is_not_authenticated_is_told_so(desk: Desk) -> None:
    answer = await who_am_i(rights(desk), NOBODY)
    assert (answer.principal, answer.authenticated, [*answer.roles]) == ("anonymous", False, [])


@pytest.mark.parametrize(
    ("verb", "id_", "fields", "rule"),
    [
        (REFINE, "orders/1", {}, 0),
        (REFINE, "orders/1", {"branch": "dev/x"}, 0),
        (REFINE, "orders/1", {"branch": "live"}, None),
        (REFINE, "orders", {}, None),
        (REFINE, "roles/desk", {"type": vibe_pb2.VIBE_TYPE_ROLE}, 0),
        (vibe_pb2.VERB_BRANCH, "", {"branch": "dev/x"}, 1),
        (vibe_pb2.VERB_BRANCH, "", {"branch": "live"}, None),
        (vibe_pb2.VERB_READ, "anything", {}, 2),
        (vibe_pb2.VERB_EXECUTE, "orders/1", {}, None),
        (REFINE, "orders/1", {"author_ref": "aug:/roles/desk"}, 0),
        (REFINE, "orders/1", {"author_ref": "main@roles/desk?1"}, 0),
        (REFINE, "orders/1", {"author_ref": "main@roles/desk?2"}, None),
        (REFINE, "orders/1", {"author_ref": "aug:/roles/other"}, None),
    ],
)
async def test_the_answer_names_the_rule(
    desk: Desk, verb: Any, id_: str, fields: dict[str, Any], rule: int | None
) -> None:
    access = await ask(desk, ADA, verb, id_, **fields)
    assert access.allowed == (rule is not None)
    if rule is not None:
        assert (access.role_ref, access.rule, access.held_as) == ("main@roles/desk?1", rule, ADA.principal)


async def test_what_was_so_then_is_answered_as_of_then(desk: Desk) -> None:
    before = await desk.vibes.database.last_position()
    await desk.refine(ROOT, GENESIS, role("desk", {**DESK, "members": []}))
    assert not (await ask(desk, ADA, REFINE, "orders/1")).allowed
    then = await ask(desk, ADA, REFINE, "orders/1", position=before)
    assert (then.allowed, then.role_ref, then.position) == (True, "main@roles/desk?1", before)
    assert not (await ask(desk, ADA, REFINE, "orders/1", position=before - 1)).allowed
    await refused(PositionOutOfRange, ask(desk, ADA, REFINE, "orders/1", position=10**6))


async def test_about_others_asks_whoever_reads_genesis_or_carries_out(desk: Desk) -> None:
    about_ada = {"principal": ADA.principal}
    assert (await ask(desk, ROOT, REFINE, "orders/1", **about_ada)).allowed
    assert (await ask(desk, NOBODY, REFINE, "orders/1", **about_ada)).allowed
    assert (await ask(desk, ADA, REFINE, "orders/1", principal=BOB.principal)).allowed is False
    await refused(PermissionDenied, ask(desk, BOB, REFINE, "orders/1", **about_ada))
    carrier = {"members": [WORKER.principal], "may": [{"do": ["carry-out"], "ids": ["executions/**"]}]}
    await desk.refine(ROOT, GENESIS, role("carrier", carrier))
    assert (await ask(desk, WORKER, REFINE, "orders/1", **about_ada)).allowed


async def test_groups_are_asked_about_with_their_principal(desk: Desk) -> None:
    await desk.refine(ROOT, GENESIS, role("group", {"members": [*ADA.groups], "may": [{"do": ["call"]}]}))
    call = vibe_pb2.VERB_CALL
    assert (await ask(desk, ADA, call, "x")).held_as == ADA.groups[0]
    assert not (await ask(desk, ROOT, call, "x", principal=BOB.principal)).allowed
    assert (await ask(desk, ROOT, call, "x", principal=BOB.principal, groups=ADA.groups)).allowed


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("verb", pb.CheckAccessRequest(id="x")),
        ("verb", pb.CheckAccessRequest(id="x", verb=99)),  # type: ignore[arg-type]
        ("id", pb.CheckAccessRequest(verb=REFINE)),
        ("id", pb.CheckAccessRequest(verb=REFINE, id="a b")),
        ("branch", pb.CheckAccessRequest(verb=REFINE, id="x", branch="a b")),
        ("type", pb.CheckAccessRequest(verb=REFINE, id="x", type=99)),  # type: ignore[arg-type]
        ("groups", pb.CheckAccessRequest(verb=REFINE, id="x", groups=["group:a#b"])),
        ("groups", pb.CheckAccessRequest(verb=REFINE, id="x", principal="p", groups=["g"] * 1_001)),
        ("groups[0]", pb.CheckAccessRequest(verb=REFINE, id="x", principal="p", groups=["g" * 513])),
        ("principal", pb.CheckAccessRequest(verb=REFINE, id="x", principal="p" * 513)),
        ("position", pb.CheckAccessRequest(verb=REFINE, id="x", position=-1)),
    ],
)
async def test_a_question_that_cannot_be_read_is_refused(
    desk: Desk, field: str, request_: pb.CheckAccessRequest
) -> None:
    metadata = await refused(InvalidField, check_access(desk.vibes, rights(desk), request_, ROOT))
    assert metadata["field"] == field
