"""How the command says that something went wrong: one sentence and its reason, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from refinery_cli.output import printable
from refinery_core.errors import Code, RefineryError, SolutionInvalid, Violation


class Usage(Exception):  # noqa: N818 -- reads as the sentence that it is
    """The command was given something that it cannot work with; the sentence says what."""


def report(refusal: RefineryError) -> None:
    """Tell a refusal, and list what is wrong where it brings a list."""
    _tell(f"{refusal.message} ({refusal.reason})")
    if isinstance(refusal, SolutionInvalid):
        for violation in refusal.violations:
            _tell(f"  {violation_line(violation)}", start="")
    if refusal.reason == "UNREACHABLE":
        _tell("Is 'refinery up' running? Addresses are --ledger and --resolver.", start="")


def report_failure(sentence: str) -> None:
    """Tell what was answered in place of what was asked for."""
    _tell(sentence)


def report_usage(sentence: str, *, hint: bool = True) -> None:
    """Tell what is wrong with the command."""
    _tell(sentence.strip())
    if hint:
        _tell("Add --help to see what can be said.", start="")


def note(sentence: str) -> None:
    """Tell something beside the answer, where it cannot be mistaken for the answer."""
    _tell(sentence, start="")


@contextmanager
def repeatable(request_id: UUID) -> Iterator[None]:
    """Where the outcome of a request remains unknown, say how to ask for the same again."""
    try:
        yield
    except RefineryError as refusal:
        if refusal.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}:
            note(f"To send the same again, add: --request-id {request_id}")
        raise


def violation_line(violation: Violation) -> str:
    """Where a solution is wrong, and how."""
    return f"{violation.instance_path or '(root)'}: {violation.message}"


def _tell(sentence: str, *, start: str = "error: ") -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{start}{printable(sentence)}\n")
    sys.stderr.flush()
