"""The main job on real input: the SBOM of this very environment, under CycloneDX's schemas, and its audit.

`make demo` runs it. It uses the `refinery` command as a person would, against a `refinery up` of its own, and
checks every claim that it makes: exit code 0 means that all of it is true.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from importlib.resources import files

from demo.audit import audit_the_licences, show_the_verdict
from demo.policy import Policy
from demo.rights import give_and_take_a_role
from demo.stage import DATA, Stage, check, schema_file

BOM, SPDX, JSF = "schemas/cyclonedx/bom", "schemas/cyclonedx/spdx", "schemas/cyclonedx/jsf"
OF_BOM = json.dumps({"$ref": f"aug:/{BOM}"})
SBOM = "sboms/environment"
SCHEMAS, SBOM_FILE, DAMAGED_FILE = DATA / "schemas", DATA / "sbom.json", DATA / "damaged.json"


def import_the_schemas(stage: Stage) -> None:
    """Three files that refer to each other become three Vibes, in one refine."""
    SCHEMAS.mkdir()
    for name in ("bom-1.6", "spdx", "jsf-0.82"):
        source = files("cyclonedx.schema") / "_res" / f"{name}.SNAPSHOT.schema.json"
        schema_file(SCHEMAS, name).write_bytes(source.read_bytes())
    stage.tell("The files as CycloneDX publishes them; the largest is a quarter of a megabyte of draft-07.")
    imported = stage.refinery(
        "import-schemas", f"{SCHEMAS}/*.json",
        "--map", f"{schema_file(SCHEMAS, 'bom-1.6').name}={BOM}",
        "--map", f"{schema_file(SCHEMAS, 'spdx').name}={SPDX}",
        "--map", f"{schema_file(SCHEMAS, 'jsf-0.82').name}={JSF}",
    )  # fmt: skip
    check(f"aug:/{JSF}#/definitions/signature" in imported.out, "a fragment was kept")
    check(all(f"main@{id_}?1" in imported.out for id_ in (BOM, SPDX, JSF)), "three Vibes came out")


def refine_the_sbom(stage: Stage) -> None:
    """The software in this environment, as a RECORD that satisfies the schema; a damaged one is refused."""
    stage.program("cyclonedx-py", "environment", "--sv", "1.6", "-o", str(SBOM_FILE), sys.executable)
    refined = stage.refinery(
        "refine", "--type", "record", "--id", SBOM, "--schema", OF_BOM, "--solution", f"@{SBOM_FILE}"
    )
    check(f"main@{SBOM}?1" in refined.out, "the SBOM is in the ledger")

    damaged = json.loads(SBOM_FILE.read_text())
    damaged["components"][0]["type"] = "libary"
    del damaged["components"][1]["name"]
    damaged["serialNumber"] = "urn:uuid:unknown"
    DAMAGED_FILE.write_text(json.dumps(damaged))
    stage.tell("Now a damaged one: a misspelt type, a missing name, an invalid serial number.")
    refused = stage.refinery(
        "refine", "--type", "record", "--id", SBOM, "--schema", OF_BOM, "--solution", f"@{DAMAGED_FILE}",
        expect=1,
    )  # fmt: skip
    for path in ("/components/0/type", "/components/1", "/serialNumber"):
        check(path in refused.err, f"the refusal names {path}")


def revise_a_schema(stage: Stage) -> None:
    """The licence list is revised; older records do not change, and can be checked against the new list."""
    before = stage.quietly("resolve", f"main@{SBOM}?1", "--form", "bundled")
    licences = json.loads(stage.quietly("get", f"aug:/{SPDX}", "--only", "schema"))
    licences["enum"].remove("MIT")
    revised = DATA / "spdx-without-mit.json"
    revised.write_text(json.dumps(licences))
    stage.tell("A new revision of the SPDX list, in which MIT is no licence any more.")
    refined = stage.refinery("refine", "--type", "record", "--id", SPDX, "--schema", f"@{revised}")
    check(f"main@{SPDX}?2" in refined.out, "the list has a second revision")
    moment = str(int(stage.word_after("position", refined)) - 1)

    impact = stage.refinery("impact", SPDX, expect=1)
    check(f"main@{SBOM}?1" in impact.out and "invalid" in impact.out, "the SBOM is touched by it")

    stage.tell("The record still has the meaning it had; exit code 1 is the verdict under today's schemas.")
    check("valid" in stage.refinery("validate", f"main@{SBOM}?1").out, "it is valid as it was pinned")
    after = stage.quietly("resolve", f"main@{SBOM}?1", "--form", "bundled")
    check(before == after, "its schema is the same to the byte")
    today = stage.refinery("validate", f"main@{SBOM}?1", "--repin", expect=1, lines=4)
    check("/licenses" in today.out, "pinned anew, its licences would be refused")

    check(stage.refinery("resolve", f"aug:/{SPDX}").out.strip() == f"main@{SPDX}?2", "now is revision 2")
    past = stage.refinery("resolve", f"aug:/{SPDX}", "--as-of", moment)
    check(past.out.strip() == f"main@{SPDX}?1", "then was revision 1")
    repinned = json.loads(stage.quietly("resolve", f"main@{SBOM}?1", "--repin", "-o", "json"))
    check(f"main@{SPDX}?2" in repinned["dependencies"], "--repin shows the schema as it would be today")


def branch_off(stage: Stage) -> None:
    """On a branch every component needs hashes: the SBOM is refused there, and accepted on main as before."""
    stage.refinery("branch", "create", "dev/stricter")
    stricter = DATA / "stricter.yaml"
    stricter.write_text(
        "# Every component states the hashes of what it is.\n"
        "$schema: http://json-schema.org/draft-07/schema#\n"
        "allOf:\n"
        f"  - $ref: aug:/{BOM}?1\n"
        "  - properties:\n"
        "      components:\n"
        "        items: {required: [hashes]}\n"
    )
    stage.show(stricter)
    refined = stage.refinery(
        "refine", "--branch", "dev/stricter", "--type", "record", "--id", BOM, "--schema", f"@{stricter}"
    )
    check(f"dev/stricter@{BOM}?2" in refined.out, "the branch has a schema of its own")
    again = ("refine", "--type", "record", "--id", SBOM, "--schema", OF_BOM, "--solution", f"@{SBOM_FILE}")
    refused = stage.refinery(*again, "--branch", "dev/stricter", expect=1, lines=4)
    check('"hashes" is a required property' in refused.err, "the same SBOM is refused on the branch")
    accepted = stage.refinery(*again)
    check(f"main@{SBOM}?2" in accepted.out, "and accepted on main")
    stage.remember("sbom", f"main@{SBOM}?2")
    stage.remember("chain", stage.word_after("chain", accepted))


def prove_it(stage: Stage) -> None:
    """The lineage of the record, as a tree; and the ledger is verified from the rows of its database."""
    tree = stage.refinery("lineage", f"main@{SBOM}?2")
    check(f"main@{JSF}?1" in tree.out and "main@system/genesis?1" in tree.out, "the tree reaches the roots")
    stage.tell("The expected chain is the one from the answer of the last refine.")
    proof = stage.refinery("verify", "--data", str(DATA), "--expect", stage.recall("chain"))
    check("sound" in proof.out, "the ledger is sound")


STEPS: tuple[Callable[[Stage], None], ...] = (
    import_the_schemas,
    refine_the_sbom,
    revise_a_schema,
    branch_off,
    prove_it,
    audit_the_licences,
    show_the_verdict,
    give_and_take_a_role,
)


def main() -> None:
    """Play all steps, in order."""
    with Policy.serving() as policy, Stage.opened(policy) as stage:
        for number, step in enumerate(STEPS, 1):
            stage.play(f"{number}. {step.__doc__}", step)
        stage.curtain()


if __name__ == "__main__":
    # SIGTERM has to end the Refinery of the demo as well.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
