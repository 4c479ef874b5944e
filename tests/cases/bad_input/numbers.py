"""Numbers, sizes, moments, tokens and bytes that are out of bounds."""

# ruff: noqa: E501 - a row of the table is one line

from __future__ import annotations

import base64

from google.protobuf.timestamp_pb2 import Timestamp

from refinery.ledger.v1 import ledger_service_pb2 as ledger
from refinery.resolver.v1 import resolver_service_pb2 as resolver
from refinery.vibe.v1 import vibe_pb2 as vibe
from tests.cases.bad_input.rows import (
    AUTHOR,
    BRANCH_EXISTS,
    CONFLICT,
    FIELD,
    MALFORMED,
    NO_VIBE,
    POSITION,
    REQUEST_ID,
    TOKEN,
    Row,
    document,
    draft,
    refine,
    refine_of,
)

USER = "aug:/schemas/user"
BEYOND = vibe.Context(position=2**40)
BEFORE = vibe.Context(position=-1)
NEVER = vibe.Context(time=Timestamp(seconds=2**60))
ODD = vibe.Context(time=Timestamp(nanos=-1))
BAD_BRANCH = vibe.Context(branch="a b")
FIRST = vibe.Context(time=Timestamp(seconds=-62_135_596_800))


def branch(**fields: object) -> ledger.CreateBranchRequest:
    given = {"request_id": REQUEST_ID, "author_ref": AUTHOR, "name": "b", **fields}
    return ledger.CreateBranchRequest(**given)  # type: ignore[arg-type]


CONTEXTS = [
    row
    for method, request in (
        ("GetVibe", ledger.GetVibeRequest(reference=USER)),
        ("BatchGetVibes", ledger.BatchGetVibesRequest(references=[USER])),
        ("ListRevisions", ledger.ListRevisionsRequest(id="schemas/user")),
        ("TraceLineage", ledger.TraceLineageRequest(reference=USER)),
        ("ResolveReference", resolver.ResolveReferenceRequest(reference=USER)),
        ("ResolveSchema", resolver.ResolveSchemaRequest(reference=USER)),
        ("ValidateSolution", resolver.ValidateSolutionRequest(reference=USER, solution=document(1))),
        ("ListDependencies", resolver.ListDependenciesRequest(reference=USER)),
        ("ListDependents", resolver.ListDependentsRequest(reference=USER)),
    )
    for row in (
        Row("a position beyond the end", method, type(request)(context=BEYOND), POSITION, {"field": "context.position", "position": str(2**40)}),
        Row("a negative position", method, type(request)(context=BEFORE), FIELD, {"field": "context.position"}),
        Row("a time beyond all years", method, type(request)(context=NEVER), FIELD, {"field": "context.time"}),
        Row("a time with odd nanos", method, type(request)(context=ODD), FIELD, {"field": "context.time"}),
        Row("a branch that is no path", method, type(request)(context=BAD_BRANCH), FIELD, {"field": "context.branch"}),
        Row("a time before everything", method, type(request)(context=FIRST), NO_VIBE),
    )
    if not row.request.MergeFrom(request)  # type: ignore[union-attr]
]  # fmt: skip

SIZES = [
    Row("no drafts", "Refine", ledger.RefineRequest(request_id=REQUEST_ID, author_ref=AUTHOR), FIELD, {"field": "drafts"}),
    Row("1,001 drafts", "Refine", refine(*[draft(id=f"n/{n}") for n in range(1_001)]), FIELD, {"field": "drafts"}),
    Row("drafts times inputs beyond 10,000", "Refine", refine(*[draft(id=f"n/{n}") for n in range(101)], target_refs=[AUTHOR] * 50, budget_refs=[AUTHOR] * 50), FIELD, {"field": "drafts"}),
    Row("10,001 inputs", "Refine", refine(instruction_refs=[AUTHOR] * 10_001), FIELD, {"field": "drafts"}),
    Row("a negative expected_revision", "Refine", refine_of(expected_revision=-1), FIELD, {"field": "drafts[0].expected_revision"}),
    Row("an expected_revision of what is not there", "Refine", refine_of(expected_revision=1), CONFLICT, {"current": "0", "expected": "1"}),
    Row("an expected_revision of 0 of what is there", "Refine", refine_of(id="schemas/user", expected_revision=0), CONFLICT, {"id": "schemas/user", "current": "1"}),
    Row("a huge expected_revision", "Refine", refine_of(expected_revision=2**31 - 1), CONFLICT, {"expected": "2147483647"}),
    Row("an expected_revision that an earlier draft spoils", "Refine", refine(draft(), draft(expected_revision=0)), CONFLICT, {"field": "drafts[1].expected_revision"}),
    Row("a negative page", "ListVibes", ledger.ListVibesRequest(page_size=-1), FIELD, {"field": "page_size"}),
    Row("a negative page", "ListRevisions", ledger.ListRevisionsRequest(id="schemas/user", page_size=-1), FIELD, {"field": "page_size"}),
    Row("a negative page", "ListRefinements", ledger.ListRefinementsRequest(page_size=-(2**31)), FIELD, {"field": "page_size"}),
    Row("a negative page", "ListBranches", ledger.ListBranchesRequest(page_size=-1), FIELD, {"field": "page_size"}),
    Row("a negative page", "ListDependencies", resolver.ListDependenciesRequest(reference=USER, page_size=-1), FIELD, {"field": "page_size"}),
    Row("a negative page", "ListDependents", resolver.ListDependentsRequest(reference=USER, page_size=-1), FIELD, {"field": "page_size"}),
    Row("a negative position to list from", "ListVibes", ledger.ListVibesRequest(after_position=-1), FIELD, {"field": "after_position"}),
    Row("a negative position to list to", "ListVibes", ledger.ListVibesRequest(until_position=-1), FIELD, {"field": "until_position"}),
    Row("a negative position to list from", "ListRefinements", ledger.ListRefinementsRequest(after_position=-1), FIELD, {"field": "after_position"}),
    Row("only the latest of no branch", "ListVibes", ledger.ListVibesRequest(latest_only=True), FIELD, {"field": "latest_only"}),
    Row("only the latest of an author", "ListVibes", ledger.ListVibesRequest(latest_only=True, branch="main", author_ref=AUTHOR), FIELD, {"field": "latest_only"}),
    Row("a negative position", "GetRefinement", ledger.GetRefinementRequest(position=-1), FIELD, {"field": "position"}),
    Row("a negative depth", "TraceLineage", ledger.TraceLineageRequest(reference=AUTHOR, max_depth=-1), FIELD, {"field": "max_depth"}),
    Row("a depth of 101", "TraceLineage", ledger.TraceLineageRequest(reference=AUTHOR, max_depth=101), FIELD, {"field": "max_depth"}),
    Row("too many Vibes", "TraceLineage", ledger.TraceLineageRequest(reference=AUTHOR, max_vibes=100_001), FIELD, {"field": "max_vibes"}),
    Row("an edge type of 0", "TraceLineage", ledger.TraceLineageRequest(reference=AUTHOR, edge_types=[vibe.EDGE_TYPE_AUTHOR, vibe.EDGE_TYPE_UNSPECIFIED]), FIELD, {"field": "edge_types[1]"}),
    Row("a negative position to watch from", "WatchVibes", ledger.WatchVibesRequest(after_position=-1), FIELD, {"field": "after_position"}),
    Row("a position beyond the end to watch from", "WatchVibes", ledger.WatchVibesRequest(after_position=2**40), POSITION, {"field": "after_position"}),
    Row("too many Vibes", "AnalyzeImpact", resolver.AnalyzeImpactRequest(id="schemas/user", max_vibes=100_001), FIELD, {"field": "max_vibes"}),
    Row("fewer than no Vibes", "AnalyzeImpact", resolver.AnalyzeImpactRequest(id="schemas/user", max_vibes=-1), FIELD, {"field": "max_vibes"}),
    Row("a fork beyond the end", "CreateBranch", branch(fork_position=2**40), POSITION, {"field": "fork_position"}),
    Row("a negative fork", "CreateBranch", branch(fork_position=-1), FIELD, {"field": "fork_position"}),
    Row("a fork at 0", "CreateBranch", branch(fork_position=0), FIELD, {"field": "fork_position"}),
    Row("a fork before everything", "CreateBranch", branch(fork_time=FIRST.time), FIELD, {"field": "fork_time"}),
    Row("a fork beyond all years", "CreateBranch", branch(fork_time=NEVER.time), FIELD, {"field": "fork_time"}),
    Row("a branch that is there", "CreateBranch", branch(name="dev"), BRANCH_EXISTS, {"branch": "dev"}),
    Row("main", "CreateBranch", branch(name="main"), BRANCH_EXISTS, {"branch": "main"}),
]  # fmt: skip

TOKENS = [
    Row(f"a page token of {what}", method, message, TOKEN)
    for what, token in {
        "nonsense": "nonsense",
        "one letter": "x",
        "other letters": "\u202e%00'; drop table refinery.vibes",
        "a NUL": "\0",
        "JSON": base64.urlsafe_b64encode(b'["x", 1, [1, 1]]').decode(),
        "JSON that is no list": base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        "deep JSON": base64.urlsafe_b64encode(b"[" * 5_000).decode(),
        "10 KiB": "A" * 10_240,
    }.items()
    for method, message in (
        ("ListVibes", ledger.ListVibesRequest(page_token=token)),
        ("ListRevisions", ledger.ListRevisionsRequest(id="schemas/user", page_token=token)),
        ("ListRefinements", ledger.ListRefinementsRequest(page_token=token)),
        ("ListBranches", ledger.ListBranchesRequest(page_token=token)),
        ("ListDependencies", resolver.ListDependenciesRequest(reference=USER, page_token=token)),
        ("ListDependents", resolver.ListDependentsRequest(reference=USER, page_token=token)),
    )
]

GOOD = refine().SerializeToString()

BYTES = [
    Row("a message cut off", "Refine", GOOD[:-1], MALFORMED),
    Row("bytes that are no message", "GetLedger", b"\xff\xff", MALFORMED),
    Row("a message cut off", "ResolveSchema", b"\x0a\x7fx", MALFORMED),
    Row("a message cut off", "WatchVibes", b"\x08", MALFORMED),
    Row("a message cut off", "AnalyzeImpact", b"\x0a\x05a", MALFORMED),
    Row("a text that is no UTF-8", "GetVibe", b"\x0a\x02\xc3\x28", MALFORMED),
    Row("a text that is no UTF-8", "ResolveReference", b"\x0a\x01\xff", MALFORMED),
    Row("a document that is no UTF-8", "Refine", refine_of(solution=vibe.Document(json="~~~~")).SerializeToString().replace(b"~~~~", b'"\xff\xfe"'), MALFORMED),
    Row("a surrogate in UTF-8", "GetVibe", b"\x0a\x03\xed\xa0\x80", MALFORMED),
    Row("groups within groups", "GetVibe", b"\x0b" * 200 + b"\x0c" * 200, MALFORMED),
    Row("field number 0", "ListVibes", b"\x00\x00", MALFORMED),
    Row("a length of 2 GiB", "GetVibe", b"\x0a\xff\xff\xff\xff\x07x", MALFORMED),
    Row("JSON", "Refine", b'{"request_id": "x"}', MALFORMED),
    Row("a message of more than 4 MiB", "Refine", refine(*[draft(id=f"n/{n}", solution=document("x" * 900_000)) for n in range(5)]), "RESOURCE_EXHAUSTED MESSAGE_TOO_LARGE"),
    Row("a message of more than 5 MiB", "ResolveSchema", b"\x0a" + b"x" * (5 << 20), "RESOURCE_EXHAUSTED"),
    Row("metadata of 20 KiB", "GetVibe", ledger.GetVibeRequest(reference=AUTHOR), "RESOURCE_EXHAUSTED", sent=(("x-large", "x" * 20_480),)),
    Row("a method that does not exist", "/refinery.ledger.v1.LedgerService/DropVibes", b"", "UNIMPLEMENTED UNKNOWN_METHOD"),
    Row("a service that does not exist", "/refinery.ledger.v9.LedgerService/Refine", b"", "UNIMPLEMENTED UNKNOWN_METHOD"),
    Row("no method", "/", b"", "UNIMPLEMENTED UNKNOWN_METHOD"),
]  # fmt: skip

ROWS = CONTEXTS + SIZES + TOKENS + BYTES
