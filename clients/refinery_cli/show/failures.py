"""Failures of the command: one sentence with its reason, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from uuid import UUID

from refinery_cli.show.output import Form, json_text, printable
from refinery_core.errors import Code, RefineryError, SolutionInvalid, Violation
from refinery_core.vibe.refs import RefFault, check_id


class Usage(Exception):  # noqa: N818 -- reads as the sentence that it is
    """The input of the command is unusable; the sentence names it."""


def report(refusal: RefineryError, form: Form = "text") -> None:
    """Report a refusal with its violations and hints; for programs, as one object."""
    violations = refusal.violations if isinstance(refusal, SolutionInvalid) else ()
    hints = list(_hints(refusal))
    if form == "text":
        _tell(f"{refusal.message} ({refusal.reason})")
        for line in (*(f"  {violation_line(violation)}" for violation in violations), *hints):
            _tell(line, start="")
        return
    told = {"code": refusal.code.name, "reason": refusal.reason, "message": refusal.message}
    lists = {"violations": [asdict(violation) for violation in violations], "hints": hints}
    known = {name: list_ for name, list_ in lists.items() if list_}
    _tell(json_text(told | {"metadata": refusal.metadata} | known, pretty=False), start="")


def _hints(refusal: RefineryError) -> Iterator[str]:
    if refusal.reason == "UNREACHABLE":
        yield f"Is 'refinery up' running? The address is --{refusal.metadata['service']}."
    if refusal.reason == "NOT_SERVED":
        yield f"The address is --{refusal.metadata['service']}."
    if refusal.reason == "UNAUTHENTICATED":
        yield "A token is given with --token-file, --token-command or the variable REFINERY_TOKEN."
    if refusal.reason == "INVALID_REFERENCE" and _is_id(value := refusal.metadata["value"]):
        yield f"What the id means now is said as aug:/{value}"
    yield from getattr(refusal, "__notes__", ())


def _is_id(text: str) -> bool:
    try:
        check_id(text)
    except RefFault:
        return False
    return True


def report_failure(sentence: str, form: Form = "text") -> None:
    """Report a failure that is not a refusal; for programs, as one object."""
    if form == "text":
        _tell(sentence)
    else:
        _tell(json_text({"message": sentence.strip()}, pretty=False), start="")


def report_usage(sentence: str) -> None:
    """Report a mistake in the command line."""
    _tell(sentence.strip())
    _tell("Add --help to see what can be said.", start="")


def note(sentence: str) -> None:
    """Print a remark on standard error, apart from the answer."""
    _tell(sentence, start="")


@contextmanager
def repeatable(request_id: UUID) -> Iterator[None]:
    """If the outcome of a request remains unknown, add the option that repeats it."""
    try:
        yield
    except RefineryError as refusal:
        if refusal.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}:
            refusal.add_note(f"To send the same again, add: --request-id {request_id}")
        raise


def violation_line(violation: Violation) -> str:
    """One violation: its place in the solution, and the message."""
    return f"{violation.instance_path or '(root)'}: {violation.message}"


def _tell(sentence: str, *, start: str = "error: ") -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{start}{printable(sentence)}\n")
    sys.stderr.flush()
