"""The request digest: of the canonical request, without members at their default, for ever."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from google.protobuf.timestamp_pb2 import Timestamp

from ledger_service.wire import create_branch, refine_command
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery.vibe.v1 import vibe_pb2

ID = "00000000-0000-8000-8000-000000000001"
ROLE = "main@roles/a?1"
RECORD = vibe_pb2.VIBE_TYPE_RECORD


def digest_of(content: dict[str, Any]) -> bytes:
    """As docs/verifying.md says it."""
    canonical = rfc8785.dumps(content)
    tag = b"refinery:request:v1"
    return sha256(len(tag).to_bytes(4, "big") + tag + len(canonical).to_bytes(4, "big") + canonical).digest()


def json(text: str) -> vibe_pb2.Document:
    return vibe_pb2.Document(json=text)


REFINES: dict[str, tuple[pb.RefineRequest, dict[str, Any]]] = {
    "the least": (
        pb.RefineRequest(author_ref=ROLE, drafts=[pb.Draft(type=RECORD, id="a")]),
        {"author_ref": "aug:main@roles/a?1", "drafts": [{"id": "a", "type": "RECORD"}]},
    ),
    "defaults that are written out": (
        pb.RefineRequest(
            author_ref="aug:main@roles/a?1",
            branch="main",
            drafts=[pb.Draft(type=RECORD, id="a", branches=["main"], repin=False)],
        ),
        {"author_ref": "aug:main@roles/a?1", "drafts": [{"id": "a", "type": "RECORD"}]},
    ),
    "everything": (
        pb.RefineRequest(
            branch="dev/x",
            author_ref="aug:/roles/a",
            target_refs=["main@a?1", "aug:~dev%2Fx/b"],
            instruction_refs=["aug:/p?2"],
            budget_refs=["aug:/money"],
            drafts=[
                pb.Draft(
                    type=vibe_pb2.VIBE_TYPE_PROCESS,
                    id="p",
                    branches=["dev/x", "main"],
                    expected_revision=0,
                    prototype_ref="main@p?1",
                    repin=True,
                    context=json("null"),
                    schema=json('{"b": 1.0, "a": "é"}'),
                    solution=json("[1e2]"),
                ),
                pb.Draft(type=RECORD, id="a", branches=["main"], expected_revision=7),
            ],
        ),
        {
            "author_ref": "aug:/roles/a",
            "branch": "dev/x",
            "budget_refs": ["aug:/money"],
            "drafts": [
                {
                    "branches": ["dev/x", "main"],
                    "context": None,
                    "expected_revision": 0,
                    "id": "p",
                    "prototype_ref": "aug:main@p?1",
                    "repin": True,
                    "schema": {"a": "é", "b": 1},
                    "solution": [100],
                    "type": "PROCESS",
                },
                {"branches": ["main"], "expected_revision": 7, "id": "a", "type": "RECORD"},
            ],
            "instruction_refs": ["aug:/p?2"],
            "target_refs": ["aug:main@a?1", "aug:~dev%2Fx/b"],
        },
    ),
}


@pytest.mark.parametrize("case", REFINES)
def test_a_refine_has_the_digest_that_its_canonical_form_has(case: str) -> None:
    request, content = REFINES[case]
    request.request_id = ID
    assert refine_command(request).digest == digest_of(content)


BRANCHES: dict[str, tuple[pb.CreateBranchRequest, dict[str, Any]]] = {
    "the least": (
        pb.CreateBranchRequest(name="dev", author_ref=ROLE),
        {"author_ref": "aug:main@roles/a?1", "name": "dev"},
    ),
    "from a position": (
        pb.CreateBranchRequest(name="dev/y", author_ref=ROLE, parent="dev", fork_position=0),
        {"author_ref": "aug:main@roles/a?1", "fork_position": 0, "name": "dev/y", "parent": "dev"},
    ),
    "from a time": (
        pb.CreateBranchRequest(
            name="dev", author_ref=ROLE, parent="main", fork_time=Timestamp(seconds=1, nanos=2_999)
        ),
        {"author_ref": "aug:main@roles/a?1", "fork_time": 1_000_002, "name": "dev"},
    ),
}


@pytest.mark.parametrize("case", BRANCHES)
def test_a_branch_to_be_has_the_digest_that_its_canonical_form_has(case: str) -> None:
    request, content = BRANCHES[case]
    request.request_id = ID
    assert create_branch(request).digest == digest_of(content)
