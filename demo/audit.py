"""The second half of the demo: a process on the same SBOM that survives the death of its worker."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

from demo.policy import FAILURES
from demo.stage import DATA, LOG, Stage, check, fail

AUDIT = "processes/licence-audit"
OFFICER = "roles/licence-officer"
RESULT = "audits/environment"
DOCUMENTS = os.path.relpath(Path(__file__).with_name("licence-audit.yaml"))


def audit_the_licences(stage: Stage) -> None:
    """A licence audit runs on the SBOM: its policy fails, its worker dies, a person approves."""
    refined = stage.refinery("refine", "--file", DOCUMENTS)
    check(f"main@{AUDIT}?1" in refined.out, "the process is in the ledger")
    stage.tell(f"The policy is a service on loopback that answers its first {FAILURES} requests with 503.")
    played = _Audience(stage, str(uuid.uuid4()))
    asked = {"sbom": stage.recall("sbom"), "policy": f"http://{stage.policy.address}"}
    ended = stage.follow(
        "run", f"aug:/{AUDIT}", "--input", json.dumps(asked), "--target", stage.recall("sbom"),
        "--result-id", RESULT, "--request-id", played.execution, "--watch",
        hears=played.hears,
    )  # fmt: skip
    check("COMPLETED" in ended.out, "the execution completed")
    check(played.killed and played.approved, "its worker was killed, and a person approved it")
    check(stage.policy.asked > FAILURES, "the policy was asked until it answered")
    told = [line.split()[1:3] for line in ended.out.splitlines()]
    check(told.count(["done", "/do/0/fetchSbom"]) == 1, "finished tasks were not repeated")
    stage.tell(f"The log of 'refinery up' in {LOG}:")
    for words in ("process ended", "process is back"):
        print(f"  {_line_with(words)}")
    stage.remember("execution", played.execution)


class _Audience:
    """Watches the execution, and takes part in it: kills the worker once, and approves."""

    def __init__(self, stage: Stage, execution: str) -> None:
        self.execution = execution
        self.killed = self.approved = False
        self._stage = stage

    def hears(self, line: str) -> None:
        """Act at the first retry, and when the execution waits for the approval."""
        if "tried again" in line and not self.killed:
            self.killed = True
            pid = self._stage.kill_the_worker()
            self._stage.tell(f"$ kill -9 {pid}    # the process worker, while it waits to retry\n")
        if "started" in line and line.rstrip().endswith("/approve") and not self.approved:
            self.approved = True
            self._stage.refinery(
                "approve",
                self.execution,
                "--role",
                f"aug:/{OFFICER}",
                "--comment",
                "weak copyleft is fine here",
            )
            self._stage.tell("And the execution goes on:\n")


def _line_with(words: str) -> str:
    """The line that `refinery up` reports with these words, once it is there."""
    deadline = time.monotonic() + 30
    while not (lines := [line for line in LOG.read_text().splitlines() if line.startswith(words)]):
        if time.monotonic() > deadline:
            fail(f"'refinery up' did not report '{words}' (see {LOG}).")
        time.sleep(0.1)
    return lines[0]


def show_the_verdict(stage: Stage) -> None:
    """The verdict is a Vibe whose lineage names everything it is made from; the ledger is verified again."""
    shown = stage.refinery("get", f"main@{RESULT}?1", "--only", "solution", lines=60)
    verdict = json.loads(shown.out)
    sbom = json.loads((DATA / "sbom.json").read_text())
    check(verdict["findings"]["components"] == len(sbom["components"]), "every component was looked at")
    check(verdict["verdict"].startswith("clear"), "the SBOM was cleared")
    check(verdict["answered_by"] == f"main@{OFFICER}?1", "the officer answered")

    tree = stage.refinery("lineage", f"main@{RESULT}?1", lines=40)
    execution = stage.recall("execution")
    for what, ref in {
        "the record": stage.recall("sbom"),
        "the process": f"main@{AUDIT}?1",
        "the capability": "main@capabilities/licence-policy?1",
        "the ledger's own capability": "main@system/capabilities/get-vibe?1",
        "the approval": f"main@executions/{execution}/events/",
        "the approver": f"main@{OFFICER}?1",
        "the author": "main@roles/local?1",
    }.items():
        check(ref in tree.out, f"the lineage has {what}")
    check(
        f"instruction, schema main@{AUDIT}?1" in tree.out, "the verdict satisfies the schema of the process"
    )
    log = stage.quietly("log", RESULT, "-o", "jsonl")
    check(len(log.splitlines()) == 1, "one execution, one result, although its worker died")
    proof = stage.refinery("verify", "--data", str(DATA))
    check("sound" in proof.out, "the ledger is sound")
