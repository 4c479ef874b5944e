from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from refinery_cli.read.requests import read_request
from refinery_cli.show.failures import Usage
from refinery_client.drafts import ABSENT, Draft
from refinery_core.vibe.model import VibeType

WHOLE = """
request_id: 6f1f4b0e-9d3b-4a53-8f3e-0d8a4c1f2b3a
branch: dev/x
author_ref: main@roles/ada?1
target_refs: [aug:/a]
instruction_refs: [aug:/b]
budget_refs: [aug:/c]
validate_only: true
drafts:
  - type: RECORD
    id: schemas/user
    branches: [main, dev/x]
    expected_revision: 0
    schema: {type: object}
  - type: process
    id: users/ada
    prototype_ref: aug:/users/bob
    repin: true
    context: null
    solution: {name: Ada}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "request.yaml"
    file.write_text(text)
    return file


def test_a_request_file_has_every_field_of_a_refine(tmp_path: Path) -> None:
    request = read_request(written(tmp_path, WHOLE))
    assert request.request_id == UUID("6f1f4b0e-9d3b-4a53-8f3e-0d8a4c1f2b3a")
    assert (request.branch, request.author_ref, request.validate_only) == ("dev/x", "main@roles/ada?1", True)
    assert (request.target_refs, request.instruction_refs, request.budget_refs) == (
        ["aug:/a"],
        ["aug:/b"],
        ["aug:/c"],
    )
    first, second = request.drafts
    assert first == Draft(
        type=VibeType.RECORD,
        id="schemas/user",
        branches=["main", "dev/x"],
        expected_revision=0,
        schema={"type": "object"},
    )
    assert (second.type, second.prototype_ref, second.repin) == (VibeType.PROCESS, "aug:/users/bob", True)
    assert (second.context, second.schema, second.solution) == (None, ABSENT, {"name": "Ada"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "The request is not an object"),
        ("{}", "The request has no drafts"),
        ("drafts: []", "drafts: a list of drafts is expected"),
        ("drafts: [1]", r"drafts\[0\] is not an object"),
        ("drafts: [{type: RECORD}]", r"drafts\[0\].id is missing"),
        ("drafts: [{type: THING, id: a}]", r"drafts\[0\].type: one of RECORD, ROLE, PROCESS, CAPABILITY"),
        ("drafts: [{type: RECORD, id: a, colour: red}]", r"drafts\[0\].colour is not a field"),
        ("drafts: [{type: RECORD, id: a, expected_revision: true}]", "a whole number is expected"),
        ("drafts: [{type: RECORD, id: a, repin: 1}]", "true or false is expected"),
        ("{author: x, drafts: []}", "author is not a field of a request"),
        ("{branch: 1, drafts: []}", "branch: a string is expected"),
        ("{target_refs: aug:/a, drafts: []}", "target_refs: a list is expected"),
        ("{request_id: abc, drafts: []}", "request_id: a UUID is expected"),
    ],
)
def test_a_field_that_is_not_what_it_should_be_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(Usage, match=sentence):
        read_request(written(tmp_path, text))
