"""The right to write: judged under the lock, by the Roles in force at the position of the commit."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from process_worker.workflow.keys import result_key
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_core.errors import (
    AuthorNotAllowed,
    InvalidField,
    PermissionDenied,
    RequestIdReused,
    RoleSuperseded,
    SolutionInvalid,
    UnknownReference,
)
from refinery_core.serving.principal import ANONYMOUS, Caller
from tests.conftest import Database
from tests.integration.ledger.desk import (
    ADA,
    BOB,
    DESK,
    GENESIS,
    NOBODY,
    ROOT,
    WORKER,
    Desk,
    draft,
    refused,
    role,
    serving,
)


async def test_the_refinement_says_by_which_name_its_role_was_held(desk: Desk) -> None:
    refined = await desk.refine(ADA, "aug:/roles/desk", draft("orders/1"))
    assert refined.refinement.author_ref == "main@roles/desk?1"
    assert refined.refinement.held_as == ADA.principal
    again = await desk.vibes.database.first("refinement_by_position", refined.refinement.position)
    assert again is not None
    assert again["held_as"] == ADA.principal


@pytest.mark.parametrize(
    ("caller", "author", "made", "problem"),
    [
        (BOB, "aug:/roles/desk", draft("orders/1"), "the principal does not hold this Role"),
        (ADA, GENESIS, draft("orders/1"), "the principal does not hold this Role"),
        (ADA, "aug:/roles/desk", draft("orders"), "none of its rules allows it"),
        (ADA, "aug:/roles/desk", draft("ordersx/1"), "none of its rules allows it"),
        (ADA, "aug:/roles/desk", draft("reviews/1"), "none of its rules allows it"),
        (ADA, "aug:/roles/desk", draft("roles/other", {}, "ROLE"), "none of its rules allows it"),
    ],
    ids=["no member", "genesis", "the prefix itself", "beside the prefix", "elsewhere", "another Role"],
)
async def test_what_no_rule_of_a_role_one_holds_allows_is_denied(
    desk: Desk, caller: Caller, author: str, made: pb.Draft, problem: str
) -> None:
    metadata = await refused(PermissionDenied, desk.refine(caller, author, made))
    assert metadata["principal"] == caller.principal
    assert metadata["problem"] == problem
    last = await desk.vibes.database.last_position()
    assert await refused(PermissionDenied, desk.refine(caller, author, made, validate_only=True)) == metadata
    assert await desk.vibes.database.last_position() == last


async def test_every_draft_and_every_branch_of_it_needs_a_rule(desk: Desk) -> None:
    await desk.branch(ADA, "aug:/roles/desk", "dev/a")
    both = draft("orders/1", branches=["dev/a", "main"])
    await desk.refine(ADA, "aug:/roles/desk", both)
    await desk.branch(ROOT, GENESIS, "live")
    elsewhere = draft("orders/2", branches=["main", "live"])
    assert (await refused(PermissionDenied, desk.refine(ADA, "aug:/roles/desk", elsewhere)))[
        "branch"
    ] == "live"
    mixed = desk.refine(ADA, "aug:/roles/desk", draft("orders/3"), draft("reviews/3"))
    assert (await refused(PermissionDenied, mixed))["id"] == "reviews/3"


async def test_a_branch_needs_branch_for_its_name(desk: Desk) -> None:
    metadata = await refused(PermissionDenied, desk.branch(ADA, "aug:/roles/desk", "live"))
    assert (metadata["verb"], metadata["branch"]) == ("branch", "live")


async def test_types_narrow_a_rule(desk: Desk) -> None:
    only = {"members": [BOB.principal], "may": [{"do": ["refine"], "ids": ["x/**"], "types": ["RECORD"]}]}
    await desk.refine(ROOT, GENESIS, role("records", only))
    await desk.refine(BOB, "aug:/roles/records", draft("x/1"))
    await refused(PermissionDenied, desk.refine(BOB, "aug:/roles/records", draft("x/2", {}, "ROLE")))


@pytest.mark.parametrize(
    ("member", "holds"),
    [
        (ADA.principal, True),
        (ADA.groups[0], True),
        ("jwt:https://idp.example#*", True),
        ("*", True),
        ("jwt:https://idp.example#ad", False),
        ("jwt:https://idp.example#ada*", False),
        ("jwt:https://idp.example#Ada", False),
        ("group:https://idp.example#*", True),
        ("spiffe://*", False),
    ],
)
async def test_members_are_names_groups_and_how_names_go_on(
    database: Database, member: str, holds: bool
) -> None:
    async with serving(database) as desk:
        await desk.refine(ROOT, GENESIS, role("r", {"members": [member], "may": [{"do": ["refine"]}]}))
        refining = desk.refine(ADA, "aug:/roles/r", draft("x"))
        if holds:
            name = ADA.groups[0] if member.startswith("group:") else ADA.principal
            assert (await refining).refinement.held_as == name
        else:
            await refused(PermissionDenied, refining)


async def test_only_the_revision_in_force_is_an_author(desk: Desk) -> None:
    await desk.refine(ROOT, GENESIS, role("desk", {**DESK, "title": "Desk"}))
    metadata = await refused(RoleSuperseded, desk.refine(ADA, "main@roles/desk?1", draft("orders/1")))
    assert metadata == {"ref": "main@roles/desk?1", "in_force": "main@roles/desk?2"}
    refined = await desk.refine(ADA, "main@roles/desk?2", draft("orders/1"))
    assert refined.refinement.author_ref == "main@roles/desk?2"


async def test_a_floating_author_is_the_role_in_force_whatever_the_branch(desk: Desk) -> None:
    await desk.branch(ADA, "aug:/roles/desk", "dev/a")
    await desk.refine(ROOT, GENESIS, role("desk", {**DESK, "title": "Desk"}))
    refined = await desk.refine(ADA, "aug:/roles/desk", draft("orders/1"), branch="dev/a")
    assert refined.refinement.author_ref == "main@roles/desk?2"


async def test_a_role_on_another_branch_is_a_draft_without_authority(desk: Desk) -> None:
    await desk.branch(ROOT, GENESIS, "dev/a")
    bobs = draft(
        "roles/bob", {"members": [BOB.principal], "may": [{"do": ["refine"]}]}, "ROLE", branches=["dev/a"]
    )
    await desk.refine(ROOT, GENESIS, bobs)
    for caller, problem in ((ADA, "this one is not there"), (BOB, "does not hold this Role")):
        metadata = await refused(PermissionDenied, desk.refine(caller, "dev/a@roles/bob?1", draft("x")))
        assert metadata["problem"].endswith(problem)


async def test_withdrawn_is_withdrawn(desk: Desk) -> None:
    await desk.refine(ADA, "aug:/roles/desk", draft("orders/1"))
    await desk.refine(ROOT, GENESIS, role("desk", {**DESK, "members": []}))
    await refused(PermissionDenied, desk.refine(ADA, "aug:/roles/desk", draft("orders/2")))


async def test_a_process_is_held_by_nobody(desk: Desk) -> None:
    process = {
        "document": {"dsl": "1.0.0", "namespace": "x", "name": "p", "version": "1.0.0"},
        "do": [{"a": {"set": {"a": 1}}}],
    }
    await desk.refine(ROOT, GENESIS, draft("processes/p", process, "PROCESS"))
    await refused(PermissionDenied, desk.refine(ROOT, "aug:/processes/p", draft("x")))


# --- No escalation ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solution", "allowed"),
    [
        ({**DESK, "title": "Orders"}, True),
        ({**DESK, "may": DESK["may"][:1]}, True),
        ({**DESK, "members": []}, True),
        ({**DESK, "members": [ADA.principal, BOB.principal]}, True),
        ({**DESK, "members": ["*"]}, True),
        ({**DESK, "may": [{"do": ["refine"], "ids": ["orders/7"], "branches": ["dev/x"]}]}, True),
        ({**DESK, "may": [*DESK["may"], {"do": ["refine"], "ids": ["reviews/**"]}]}, False),
        ({**DESK, "may": [{"do": ["refine"], "ids": ["orders/**"]}]}, False),
        ({**DESK, "may": [{"do": ["refine"], "ids": ["**"], "branches": ["main"]}]}, False),
        ({**DESK, "may": [{"do": ["execute"], "ids": ["orders/**"], "branches": ["main"]}]}, False),
        ({**DESK, "may": [{"do": ["carry-out"]}]}, False),
    ],
    ids=[
        "nothing new", "fewer rules", "fewer members", "a member", "all as members", "narrower", "another id",
        "all branches", "all ids", "another verb", "carry-out",
    ],
)  # fmt: skip
async def test_a_role_gives_no_more_than_its_author_has(desk: Desk, solution: Any, allowed: bool) -> None:
    refining = desk.refine(ADA, "aug:/roles/desk", role("desk", solution))
    if allowed:
        await refining
    else:
        metadata = await refused(PermissionDenied, refining)
        assert metadata["problem"].startswith("drafts[0].solution.may["), metadata


async def test_a_new_member_gets_what_the_author_has_and_no_more(desk: Desk) -> None:
    wide = {"members": [], "may": [{"do": ["refine", "execute"], "ids": ["**"]}]}
    clerk = {"members": [ADA.principal], "may": [{"do": ["refine"], "ids": ["roles/**"]}]}
    await desk.refine(ROOT, GENESIS, role("wide", wide), role("clerk", clerk))
    await desk.refine(ADA, "aug:/roles/clerk", role("wide", {**wide, "title": "Wide"}))
    taken = desk.refine(ADA, "aug:/roles/clerk", role("wide", {**wide, "members": [ADA.principal]}))
    assert ADA.principal in (await refused(PermissionDenied, taken))["problem"]


async def test_one_request_cannot_widen_a_role_and_use_it(desk: Desk) -> None:
    wider = {**DESK, "may": [*DESK["may"], {"do": ["refine"], "ids": ["**"]}]}
    await refused(
        PermissionDenied, desk.refine(ADA, "aug:/roles/desk", role("desk", wider), draft("reviews/1"))
    )


@pytest.mark.parametrize(
    "solution",
    [
        {"members": ADA.principal},
        {"members": ["ada"]},
        {"members": ["jwt:https://*.example#ada"]},
        {"may": [{"do": ["refine"], "branchs": ["dev"]}]},
        {"may": [{"do": ["write"]}]},
        {"may": [{"ids": ["**"]}]},
        {"may": [{"do": ["refine"], "ids": ["orders*"]}]},
        {"may": [{"do": ["refine"], "ids": []}]},
    ],
)
async def test_a_role_that_does_not_say_it_properly_is_refused(desk: Desk, solution: Any) -> None:
    for caller in (ROOT, NOBODY):
        await refused(SolutionInvalid, desk.refine(caller, GENESIS, role("r", solution)))


# --- Replays ------------------------------------------------------------------------------


async def test_a_request_is_answered_again_to_the_one_who_sent_it_alone(desk: Desk) -> None:
    request_id = uuid.uuid4()
    first = await desk.refine(ADA, "aug:/roles/desk", draft("orders/1"), request_id=request_id)
    await desk.refine(ROOT, GENESIS, role("desk", {**DESK, "members": [BOB.principal]}))
    again = await desk.refine(ADA, "aug:/roles/desk", draft("orders/1"), request_id=request_id)
    assert again.replayed
    assert again.refinement == first.refinement
    other = desk.refine(BOB, "aug:/roles/desk", draft("orders/1"), request_id=request_id)
    await refused(RequestIdReused, other)


# --- In somebody's name -------------------------------------------------------------------

CARRIER = {"members": [WORKER.principal], "may": [{"do": ["carry-out"], "ids": ["executions/**"]}]}


@pytest.fixture
async def executing(desk: Desk) -> str:
    """The RECORD of an execution in Ada's Role, which the worker has written."""
    await desk.refine(ROOT, GENESIS, role("carrier", CARRIER))
    refined = await desk.refine(WORKER, "aug:/roles/desk", draft("executions/1"))
    assert (refined.refinement.principal, refined.refinement.held_as) == (WORKER.principal, WORKER.principal)
    return refined.vibes[0].ref


async def test_a_step_is_made_in_the_name_of_the_author_of_the_execution(desk: Desk, executing: str) -> None:
    await desk.refine(ROOT, GENESIS, role("desk", {**DESK, "title": "Desk"}))
    refined = await desk.refine(WORKER, "main@roles/desk?1", draft("orders/1"), behalf_ref=executing)
    assert refined.refinement.author_ref == "main@roles/desk?2"
    assert refined.refinement.behalf_ref == executing
    row = await desk.vibes.database.first("refinement_by_position", refined.refinement.position)
    assert row is not None
    assert row["behalf_ref"] == executing


async def test_a_step_may_do_no_more_than_the_author_may_now(desk: Desk, executing: str) -> None:
    beyond = desk.refine(WORKER, "main@roles/desk?1", draft("reviews/1"), behalf_ref=executing)
    await refused(PermissionDenied, beyond)
    await desk.refine(ROOT, GENESIS, role("desk", {**DESK, "may": []}))
    later = desk.refine(WORKER, "main@roles/desk?1", draft("orders/1"), behalf_ref=executing)
    await refused(PermissionDenied, later)


async def test_only_what_carries_it_out_acts_for_an_execution(desk: Desk, executing: str) -> None:
    assert (
        await refused(
            PermissionDenied, desk.refine(BOB, "aug:/roles/desk", draft("orders/1"), behalf_ref=executing)
        )
    )["verb"] == "carry-out"
    await refused(
        PermissionDenied, desk.refine(ADA, "aug:/roles/desk", draft("orders/1"), behalf_ref=executing)
    )
    await refused(
        PermissionDenied, desk.refine(WORKER, "aug:/roles/carrier", draft("orders/1"), behalf_ref=executing)
    )
    unknown = desk.refine(WORKER, "aug:/roles/desk", draft("orders/1"), behalf_ref="main@executions/2?1")
    assert (await refused(UnknownReference, unknown))["field"] == "behalf_ref"
    no_execution = desk.refine(WORKER, "aug:/roles/desk", draft("orders/1"), behalf_ref="main@roles/desk?1")
    await refused(UnknownReference, no_execution)


async def test_what_carries_out_writes_records_of_its_own_ids_alone(desk: Desk, executing: str) -> None:
    for made in (draft("orders/1"), draft("executions/2", {}, "ROLE")):
        await refused(PermissionDenied, desk.refine(WORKER, "aug:/roles/desk", made))
    await refused(PermissionDenied, desk.refine(WORKER, GENESIS, draft("executions/3")))


@pytest.mark.parametrize(
    ("made", "request_id", "field"),
    [
        (draft("executions/1/events/2"), None, "executions/1/events/2"),
        (draft(f"schedules/{uuid.uuid4()}"), None, "schedules/"),
        (draft("orders/1"), result_key("execution/1"), "request_id"),
    ],
    ids=["an event", "a schedule", "the key of a result"],
)
async def test_nobody_else_writes_what_decides_how_an_execution_ends(
    desk: Desk, made: pb.Draft, request_id: uuid.UUID | None, field: str
) -> None:
    everything = {"members": [BOB.principal], "may": [{"do": ["refine", "read"]}]}
    await desk.refine(ROOT, GENESIS, role("all", everything))
    for validate_only in (True, False):
        refining = desk.refine(
            BOB, "aug:/roles/all", made, request_id=request_id, validate_only=validate_only
        )
        with pytest.raises((PermissionDenied, InvalidField)) as refusal:
            await refining
        assert field in refusal.value.message
    await desk.refine(ROOT, GENESIS, made, request_id=request_id)


async def test_an_author_that_is_hidden_is_one_that_is_not_there(desk: Desk) -> None:
    await desk.refine(ROOT, GENESIS, draft("secret/record"))
    answers, hidden = {}, ("aug:/secret/record", "main@secret/record?1", "aug:/roles/desk", GENESIS)
    for author in ("aug:/secret/none", *hidden):
        metadata = await refused(PermissionDenied, desk.refine(BOB, author, draft("x")))
        assert metadata.pop("role").removeprefix("aug:") == author.removeprefix("aug:")
        answers[author] = metadata
    assert all(answer == answers["aug:/secret/none"] for answer in answers.values())
    metadata = await refused(AuthorNotAllowed, desk.refine(ADA, "aug:/secret/record", draft("x")))
    assert metadata["type"] == "RECORD"


# --- Side by side -------------------------------------------------------------------------


async def test_nothing_is_accepted_after_the_position_at_which_the_right_was_withdrawn(
    database: Database,
) -> None:
    """32 writers on two ledger services; the Role is withdrawn while they write."""
    async with serving(database) as one, serving(database) as other:
        await one.refine(ROOT, GENESIS, role("desk", DESK))
        denied = asyncio.Event()

        async def write(number: int) -> list[int]:
            positions: list[int] = []
            for turn in range(200):
                service = (one, other)[(number + turn) % 2]
                try:
                    refined = await service.refine(ADA, "aug:/roles/desk", draft(f"orders/{number}"))
                except PermissionDenied:
                    denied.set()
                    return positions
                positions.append(refined.refinement.position)
            raise AssertionError("the right was never withdrawn")

        async with asyncio.TaskGroup() as tasks:
            writing = [tasks.create_task(write(number)) for number in range(32)]
            while await one.vibes.database.last_position() < 100:
                await asyncio.sleep(0.01)
            withdrawn = await other.refine(ROOT, GENESIS, role("desk", {**DESK, "members": []}))
        positions = [position for task in writing for position in task.result()]
        assert len(positions) >= 90
        assert max(positions) < withdrawn.refinement.position


async def test_without_authentication_nothing_is_asked_for(desk: Desk) -> None:
    refined = await desk.refine(NOBODY, GENESIS, draft("anything", 1), behalf_ref="main@executions/none?1")
    assert refined.refinement.principal == ANONYMOUS
    assert (refined.refinement.held_as, refined.refinement.behalf_ref) == (None, None)
