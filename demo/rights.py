"""The last part of the demo: a second person is refused, is given a Role, acts, and loses the Role again."""

from __future__ import annotations

import json

from demo.stage import DATA, Stage, check

NAME = "grace"
ROLE, NOTES = "roles/reviewer", "notes/environment"
TOKEN, ROLE_FILE = DATA / f"{NAME}.token", DATA / "reviewer.json"


def give_and_take_a_role(stage: Stage) -> None:
    """A second person is refused, is given a Role, acts, and loses it; the lineage says by what right."""
    TOKEN.touch(mode=0o600)
    TOKEN.write_text(stage.quietly("token", "--for", NAME, "--data", str(DATA)))
    stage.tell(f"A token for {NAME}, signed on this machine, is in {TOKEN}. She holds no Role yet.")
    principal = json.loads(stage.refinery("whoami", "-o", "json", token=TOKEN).out)["principal"]
    sbom = stage.recall("sbom")
    refine = ("refine", "--type", "record", "--author", f"aug:/{ROLE}")
    note = (*refine, "--id", NOTES, "--solution", '"Looks complete."')
    hidden = stage.refinery("get", sbom, expect=1, token=TOKEN)
    check("VIBE_NOT_FOUND" in hidden.err, "a Vibe that she may not read is absent for her")

    _refine_the_role(stage, [principal])
    stage.tell("She may read everything now, and write notes.")
    written = stage.refinery(*note, token=TOKEN)
    check(f"main@{NOTES}?1" in written.out, "she writes one")
    refused = stage.refinery(*refine, "--id", "sboms/other", "--solution", "1", expect=1, token=TOKEN)
    check("may not refine 'sboms/other'" in refused.err, "and nothing else")
    may = stage.refinery("may", "refine", NOTES, "--principal", principal)
    check(f"main@{ROLE}?1" in may.out, "the answer names the Role that allows it")

    _refine_the_role(stage, [])
    refused = stage.refinery(*note, expect=1, token=TOKEN)
    check("may not refine" in refused.err, "from the next call on she is refused")

    tree = stage.refinery("lineage", f"main@{NOTES}?1")
    check(f"author main@{ROLE}?1" in tree.out, "the lineage says by what right the note was written")
    made = stage.refinery("refinement", f"main@{NOTES}?1")
    check(stage.word_after("principal", made) == principal, "and the refinement says who wrote it")
    proof = stage.refinery("verify", "--data", str(DATA))
    check("sound" in proof.out, "every right was judged again from the rows, and the ledger is sound")


def _refine_the_role(stage: Stage, members: list[str]) -> None:
    """Revise her Role, so that these hold it."""
    may = [{"do": ["read"]}, {"do": ["refine"], "ids": ["notes/**"]}]
    ROLE_FILE.write_text(json.dumps({"title": "Reviews SBOMs", "members": members, "may": may}, indent=2))
    stage.show(ROLE_FILE)
    stage.refinery("refine", "--type", "role", "--id", ROLE, "--solution", f"@{ROLE_FILE}")
