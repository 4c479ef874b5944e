from __future__ import annotations

import json
import uuid
from importlib.resources import files
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Command

REFINE = ("refine", "--type", "record", "--id")
USER = {"type": "object", "required": ["name"], "properties": {"age": {"minimum": 0}}}


@pytest.fixture
def folder() -> str:
    """A folder of ids that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


def record(refinery: Command, id_: str, **documents: object) -> str:
    tokens = [part for name, document in documents.items() for part in (f"--{name}", json.dumps(document))]
    return str(refinery(*REFINE, id_, *tokens, "-o", "json").json["vibes"][0]["ref"])


# --- refine -------------------------------------------------------------------------------


def test_what_was_refined_is_told_to_people_and_to_programs(refinery: Command, folder: str) -> None:
    said = refinery(*REFINE, f"{folder}/a", "--solution", '{"n": 1.10}')
    assert f"main@{folder}/a?1" in said.out
    assert "position" in said.out
    refined = refinery(*REFINE, f"{folder}/a", "--solution", "2", "-o", "json").json
    assert refined["vibes"][0]["ref"] == f"main@{folder}/a?2"
    assert refined["refinement"]["author_ref"] == "main@roles/local?1"
    assert len(bytes.fromhex(refined["refinement"]["chain"])) == 32


def test_a_request_file_refines_many_and_later_drafts_refer_to_earlier(
    refinery: Command, folder: str
) -> None:
    request = f"""
        drafts:
          - {{type: RECORD, id: {folder}/schema, schema: {{type: object, properties: {{on: {{}}}}}}}}
          - type: RECORD
            id: {folder}/thing
            schema: {{$ref: "aug:/{folder}/schema"}}
            solution: {{on: 2026-11-21}}
    """
    refined = refinery("refine", "--file", "-", "-o", "json", stdin=request).json
    assert [vibe["ref"] for vibe in refined["vibes"]] == [f"main@{folder}/schema?1", f"main@{folder}/thing?1"]
    thing = refinery("get", f"aug:/{folder}/thing", "-o", "json").json
    assert thing["solution"] == {"on": "2026-11-21"}
    assert thing["schema"]["$refResolved"] == f"main@{folder}/schema?1"
    assert "context" not in thing


def test_a_dry_run_writes_nothing(refinery: Command, folder: str) -> None:
    said = refinery(*REFINE, f"{folder}/a", "--dry-run")
    assert "Nothing was written" in said.out
    assert "(VIBE_NOT_FOUND)" in refinery("get", f"aug:/{folder}/a", expect=1).err


def test_the_same_request_id_gives_the_first_answer_again(refinery: Command, folder: str) -> None:
    tokens = (
        "refine",
        "--type",
        "record",
        "--id",
        f"{folder}/a",
        "--request-id",
        str(uuid.uuid4()),
        "-o",
        "json",
    )
    first, second = refinery(*tokens).json, refinery(*tokens).json
    assert second == first | {"replayed": True}
    refused = json.loads(refinery(*tokens, "--solution", "1", expect=1).err)
    assert (refused["code"], refused["reason"]) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


def test_a_refused_solution_lists_its_violations(refinery: Command, folder: str) -> None:
    tokens = (*REFINE, f"{folder}/ada", "--schema", json.dumps(USER))
    said = refinery(*tokens, "--solution", '{"age": -1}', expect=1)
    assert said.out == ""
    assert "(SOLUTION_INVALID)" in said.err.splitlines()[0]
    assert any(line.startswith("  /age: ") for line in said.err.splitlines())


def test_an_expectation_that_fails_is_a_refusal(refinery: Command, folder: str) -> None:
    record(refinery, f"{folder}/a")
    tokens = (*REFINE, f"{folder}/a", "--expect")
    assert "(REVISION_CONFLICT)" in refinery(*tokens, "0", expect=1).err
    refinery(*tokens, "1")


def test_inputs_and_prototypes_are_kept(refinery: Command, folder: str) -> None:
    source = record(refinery, f"{folder}/source", solution={"a": 1})
    made = refinery(
        *REFINE, f"{folder}/copy", "--prototype", f"aug:/{folder}/source",
        "--target", source, "--target", f"aug:/{folder}/source", "--instruction", source, "-o", "json",
    ).json  # fmt: skip
    assert made["vibes"][0]["prototype_ref"] == source
    assert made["refinement"]["target_refs"] == [source, source]
    assert refinery("get", f"main@{folder}/copy?1", "--only", "solution").json == {"a": 1}


def test_author_and_branch_come_from_the_environment_unless_they_are_told(
    refinery: Command, folder: str
) -> None:
    refinery("branch", "create", f"dev/{folder}")
    environment = {"REFINERY_AUTHOR": "main@system/genesis?1", "REFINERY_BRANCH": f"dev/{folder}"}
    tokens = ("refine", "--type", "role", "--id", f"{folder}/role", "-o", "json")
    (role,) = refinery(*tokens, environment=environment).json["vibes"]
    assert (role["ref"], role["author_ref"]) == (f"dev/{folder}@{folder}/role?1", "main@system/genesis?1")
    (role,) = refinery(
        *tokens, "--author", "main@roles/local?1", "--branch", "main", environment=environment
    ).json["vibes"]
    assert (role["ref"], role["author_ref"]) == (f"main@{folder}/role?1", "main@roles/local?1")


# --- read ---------------------------------------------------------------------------------


def test_the_status_says_which_ledger_it_is_and_what_verify_takes(refinery: Command, folder: str) -> None:
    refinery(*REFINE, f"{folder}/a")
    told = refinery("status", "-o", "json").json
    assert told["position"] >= 2
    assert told["limits"]["drafts"] == 1_000
    out = refinery("status").out
    assert told["ledger_id"] in out
    proof = f"{told['position']}:{told['chain']}"
    assert proof in out
    verified = refinery("verify", "--data", str(refinery.data), "--expect", proof, "-o", "json").json
    assert verified["ledger"] == told["ledger_id"]
    assert verified["sound"]


def test_a_vibe_is_found_by_reference_by_digest_and_in_the_past(refinery: Command, folder: str) -> None:
    first = record(refinery, f"{folder}/a", solution=1)
    vibe = refinery("get", first, "-o", "json").json
    second = record(refinery, f"{folder}/a", solution=2)
    assert refinery("get", "--digest", vibe["digest"], "-o", "json").json == vibe
    assert refinery("get", f"aug:/{folder}/a", "--only", "solution").out == "2\n"
    then = refinery("get", f"aug:/{folder}/a", "--as-of", str(vibe["position"]), "-o", "jsonl")
    assert then.jsonl == [vibe]
    at_that_time = refinery("get", f"aug:/{folder}/a", "--as-of", vibe["time"], "-o", "json")
    assert at_that_time.json == vibe
    assert second in refinery("get", f"aug:/{folder}/a").out


def test_a_part_that_is_not_there_is_the_answer_no(refinery: Command, folder: str) -> None:
    ref = record(refinery, f"{folder}/a")
    assert refinery("get", ref, "--only", "schema", expect=1).err == f"{ref} has no schema.\n"


def test_lists_are_filtered_and_say_when_they_were_cut(refinery: Command, folder: str) -> None:
    refs = [record(refinery, f"{folder}/{n}") for n in (1, 2)] + [record(refinery, f"{folder}/2")]
    listed = refinery("list", f"{folder}/", "-o", "jsonl")
    assert [vibe["ref"] for vibe in listed.jsonl] == refs
    latest = refinery("list", f"{folder}/", "--latest", "-o", "json").json
    assert [vibe["ref"] for vibe in latest] == [refs[0], refs[2]]
    assert refinery("list", f"{folder}/", "--type", "role", "-o", "json").json == []
    cut = refinery("list", f"{folder}/", "--limit", "2")
    assert len(cut.out.splitlines()) == 3
    assert "There are more than 2" in cut.err


def test_the_log_is_newest_first_and_of_nothing_it_is_no(refinery: Command, folder: str) -> None:
    refs = [record(refinery, f"{folder}/a") for _ in range(2)]
    assert [vibe["ref"] for vibe in refinery("log", f"{folder}/a", "-o", "json").json] == refs[::-1]
    assert "(VIBE_NOT_FOUND)" in refinery("log", f"{folder}/none", expect=1).err


def test_lineage_is_a_tree_up_and_down(refinery: Command, folder: str) -> None:
    schema = record(refinery, f"{folder}/schema", schema=USER)
    ada = record(
        refinery, f"{folder}/ada", schema={"$ref": f"aug:/{folder}/schema"}, solution={"name": "Ada"}
    )
    assert refinery("lineage", ada).out.splitlines()[:2] == [f"{ada}  RECORD", f"├── schema {schema}  RECORD"]
    only = refinery("lineage", ada, "--edge", "schema", "--depth", "1", "-o", "json").json
    assert [step["ref"] for step in only["steps"]] == [ada, schema]
    assert only["truncated"] is False
    assert f"└── schema {ada}" in refinery("lineage", schema, "--down").out


def test_a_watch_begins_where_it_is_told_and_ends_after_its_count(refinery: Command, folder: str) -> None:
    first = refinery(*REFINE, f"{folder}/a", "-o", "json").json
    ref = record(refinery, f"{folder}/a")
    after = str(first["refinement"]["position"])
    (change,) = refinery("watch", f"{folder}/", "--after", after, "--count", "1", "-o", "jsonl").jsonl
    assert [vibe["ref"] for vibe in change["vibes"]] == [ref]
    assert len(refinery("watch", f"{folder}/", "--count", "2", "-o", "json").json) == 2
    assert ref in refinery("watch", f"{folder}/", "--after", after, "--count", "1").out


def test_branches_are_made_and_listed(refinery: Command, folder: str) -> None:
    ref = record(refinery, f"{folder}/a")
    position = refinery("get", ref, "-o", "json").json["position"]
    created = refinery("branch", "create", f"dev/{folder}", "--fork", str(position), "-o", "json").json
    assert created["branch"]["fork_position"] == position
    assert refinery("branch", "list", f"dev/{folder}", "-o", "json").json == [created["branch"]]
    assert "(BRANCH_EXISTS)" in refinery("branch", "create", f"dev/{folder}", expect=1).err


# --- resolve ------------------------------------------------------------------------------


def test_references_and_schemas_are_resolved_then_and_now(refinery: Command, folder: str) -> None:
    old = record(refinery, f"{folder}/schema", schema=USER)
    ada = record(
        refinery, f"{folder}/ada", schema={"$ref": f"aug:/{folder}/schema"}, solution={"name": "Ada"}
    )
    position = str(refinery("get", ada, "-o", "json").json["position"])
    new = record(refinery, f"{folder}/schema", schema={"required": ["age"]})
    assert refinery("resolve", f"aug:/{folder}/schema").out == f"{new}\n"
    assert refinery("resolve", f"aug:/{folder}/schema", "--as-of", position).out == f"{old}\n"
    for form in ("pinned", "embedded", "bundled"):
        then = refinery("resolve", ada, "--form", form, "-o", "json").json
        now = refinery("resolve", ada, "--form", form, "--repin", "-o", "json").json
        assert (then["dependencies"], now["dependencies"]) == ([old], [new])
        assert refinery("resolve", ada, "--form", form).json == then["schema"]
    inline = json.dumps({"$ref": f"aug:/{folder}/schema"})
    assert refinery("resolve", "--schema", inline, "-o", "json").json["dependencies"] == [new]
    assert refinery("validate", ada).out == "valid\n"
    assert "(root)" in refinery("validate", ada, "--repin", expect=1).out


def test_a_solution_is_validated_from_standard_input(refinery: Command, folder: str) -> None:
    ref = record(refinery, f"{folder}/schema", schema=USER)
    assert refinery("validate", ref, "--solution", "-", stdin="name: Ada\nage: 36\n").out == "valid\n"
    answer = refinery("validate", ref, "--solution", '{"name": 1, "age": -1}', "-o", "json", expect=1).json
    assert answer["valid"] is False
    assert answer["violations"][0]["instance_path"] == "/age"
    refinery("validate", "--schema", "false", "--solution", "1", expect=1)


def test_a_change_is_told_with_what_it_breaks(refinery: Command, folder: str) -> None:
    schema = record(refinery, f"{folder}/schema", schema=USER)
    ada = record(
        refinery, f"{folder}/ada", schema={"$ref": f"aug:/{folder}/schema"}, solution={"name": "Ada"}
    )
    for verb, start, other in (("dependencies", ada, schema), ("dependents", schema, ada)):
        (found,) = refinery(verb, start, "-o", "json").json
        assert found == {"ref": other, "depth": 1, "floating": True}
        assert "floating" in refinery(verb, start, "--transitive").out
    broken = refinery("impact", f"{folder}/schema", "--schema", '{"required": ["age"]}', expect=1)
    assert ada in broken.out
    assert "1 invalid" in broken.out
    fine = refinery("impact", f"{folder}/schema", "--schema", "true", "-o", "json").json
    assert [impact["verdict"] for impact in fine["impacts"]] == ["valid"]
    assert "Nothing uses" in refinery("impact", f"{folder}/ada", "--schema", "true").out


# --- import-schemas -----------------------------------------------------------------------


def test_the_real_cyclonedx_schemas_become_vibes_in_one_refine(
    refinery: Command, folder: str, tmp_path: Path
) -> None:
    resources = files("cyclonedx.schema") / "_res"
    for name in ("bom-1.6", "spdx", "jsf-0.82"):
        file = f"{name}.SNAPSHOT.schema.json"
        (tmp_path / file).write_bytes((resources / file).read_bytes())
    tokens = (
        "import-schemas", f"{tmp_path}/*.json", "--prefix", f"{folder}/cyclonedx",
        "--map", f"bom-1.6.SNAPSHOT.schema.json={folder}/bom",
    )  # fmt: skip
    assert "Nothing was written" in refinery(*tokens, "--dry-run").out
    said = refinery(*tokens, "-o", "json").json
    assert [each["ref"] for each in said["imported"]] == [vibe["ref"] for vibe in said["vibes"]]
    assert len({vibe["position"] for vibe in said["vibes"]}) == 1
    bom = said["imported"][-1]
    assert bom["ref"] == f"main@{folder}/bom?1"
    assert {each["becomes"] for each in bom["references"]} == {
        f"aug:/{folder}/cyclonedx/spdx.SNAPSHOT",
        f"aug:/{folder}/cyclonedx/jsf-0.82.SNAPSHOT#/definitions/signature",
    }
    sbom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "x"}]}
    refinery("validate", bom["ref"], "--solution", json.dumps(sbom))
    sbom["components"] = [{"type": "library", "licenses": [{"license": {"id": "Not-A-Licence"}}]}]
    violations = refinery("validate", bom["ref"], "--solution", json.dumps(sbom), expect=1).out
    assert "/components/0" in violations
    assert refinery("get", bom["ref"], "--only", "context").json["source"][0]["sha256"]


def test_an_import_that_leads_nowhere_names_file_and_place(refinery: Command, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"items": {"$ref": "https://x.org/b.json"}}')
    said = refinery("import-schemas", str(tmp_path / "a.json"), expect=2)
    assert f"{tmp_path}/a.json at /items/$ref: 'https://x.org/b.json' leads to no file" in said.err
    assert "is none of the files" in refinery(
        "import-schemas", str(tmp_path / "a.json"), "--map", "b.json=b", expect=2
    ).err  # fmt: skip


# --- verify -------------------------------------------------------------------------------


def test_the_running_ledger_proves_itself_by_the_chain_that_was_answered(
    refinery: Command, folder: str
) -> None:
    refined = refinery(*REFINE, f"{folder}/a", "-o", "json").json["refinement"]
    expect = f"{refined['position']}:{refined['chain']}"
    assert "sound" in refinery("verify", "--data", str(refinery.data), "--expect", expect).out
    wrong = f"{refined['position']}:{'0' * 64}"
    report = refinery("verify", "--data", str(refinery.data), "--expect", wrong, "-o", "json", expect=1).json
    assert report["sound"] is False
    assert len(report["findings"]) == 1
    assert "chain" in refinery("verify", "--data", str(refinery.data), "--expect", wrong, expect=1).out
    again = refinery("verify", "--data", str(refinery.data), "--from", expect, "-o", "json").json
    assert (again["vibes"], again["position"]) == (0, refined["position"])


# --- as a program -------------------------------------------------------------------------


def test_a_reader_that_has_seen_enough_is_no_failure(refinery: Command) -> None:
    done = refinery.in_shell("set -o pipefail; refinery list -o jsonl | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ref"] == "main@system/genesis?1"


def test_documents_come_through_a_pipe_and_refusals_end_it(refinery: Command, folder: str) -> None:
    refine = f"refinery refine --type record --id {folder}/a --solution -"
    assert refinery.in_shell(f"echo 'a: 1' | {refine}").returncode == 0
    again = refinery.in_shell(f"refinery get 'aug:/{folder}/a' --only solution | {refine} --expect 7")
    assert (again.returncode, again.stdout) == (1, "")
    assert "(REVISION_CONFLICT)" in again.stderr
