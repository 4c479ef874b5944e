"""The command: its verbs, each in a file of its name, with one sentence of help for each."""

from __future__ import annotations

from typing import Final

from cyclopts import App, Group

from refinery_core.release import VERSION

HELP = """An immutable, queryable ledger of who made what, from what, under which schema.

Output is a table for people; programs use -o json (one document) or -o jsonl
(one to a line), and get refusals in the same form on standard error.

Exit codes: 0 fine
  1 the answer is "no" (invalid, affected, not completed …), or a refusal
  2 the command was wrong
  3 a service was not reached or did not answer: the same may be sent again
130 interrupted
"""

# Each verb is imported when it is called: help and completion need neither gRPC nor a database driver.
VERBS: Final = (
    ("This machine", "up", "up_", "Run everything on this machine until Ctrl-C."),
    ("This machine", "down", "down", "Stop everything that runs in the background."),
    ("This machine", "token", "token", "Sign a token for a principal, on this machine."),
    ("This machine", "migrate", "migrate_", "Bring a database up to this version."),
    ("This machine", "verify", "verify_", "Derive digests, chain and edges again, and compare."),
    ("Write", "refine", "refine", "Commit Vibes: all of the request, or nothing."),
    ("Write", "import-schemas", "import_schemas", "Make Vibes of JSON Schema files, in one refine."),
    ("Write", "branch", "app", "Make and list branches."),
    ("Read", "status", "status", "Show the ledger's id, its end, and the versions that serve it."),
    ("Read", "whoami", "whoami", "Show your principal and the Roles that you hold."),
    ("Read", "may", "may", "Say whether a principal may do something, and by which rule."),
    ("Read", "denials", "denials", "List the calls that were refused for want of a right."),
    ("Read", "get", "get", "Show one Vibe."),
    ("Read", "list", "list_", "List Vibes in ledger order."),
    ("Read", "log", "log", "List the revisions of an id, newest first."),
    ("Read", "refinement", "refinement", "Show one refinement: who made it, and by what right."),
    ("Read", "lineage", "lineage", "Draw the Vibes that made one, or that it led to."),
    ("Read", "watch", "watch", "Follow the ledger from a position on."),
    ("Resolve", "resolve", "resolve", "Show the Vibe that a reference means, or compose a schema."),
    ("Resolve", "validate", "validate", "Check a solution against a schema."),
    ("Resolve", "dependencies", "dependencies", "List the Vibes that a schema is composed from."),
    ("Resolve", "dependents", "dependents", "List the Vibes whose schemas are composed from this one."),
    ("Resolve", "impact", "impact", "Show the effect of a changed schema on those that use it."),
    ("Execute", "run", "run", "Execute a Process Vibe."),
    ("Execute", "execution", "app", "Find, follow and stop executions."),
    ("Execute", "schedule", "app", "Execute processes at the times of their schedule."),
    ("Execute", "approve", "approve", "Answer an execution that waits for an approval."),
    ("Execute", "send-event", "send_event", "Send a CloudEvent to an execution that listens."),
    ("Execute", "call", "call", "Call a Capability Vibe directly."),
    ("Shell", "completion", "app", "Complete the command in your shell."),
)


def command(called: str = "") -> App:
    """Make the command. The verb that is called shows its whole help, the others one sentence."""
    app = App(
        name="refinery",
        help=HELP,
        help_format="plaintext",
        version=VERSION,
    )
    groups = {group: Group(group, sort_key=at) for at, (group, *_) in enumerate(VERBS)}
    for group, name, called_there, help_ in VERBS:
        place = f"refinery_cli.verbs.{name.replace('-', '_')}:{called_there}"
        app.command(place, name=name, group=groups[group], help=None if name == called else help_)
    return app
