"""The `refinery` command: the one place where its exit codes are decided."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import CycloptsError

from refinery_cli.app import command
from refinery_cli.show.failures import Usage, report, report_failure, report_usage
from refinery_cli.show.output import Form
from refinery_core.errors import Code, RefineryError
from refinery_core.settings import CannotStart

FINE, NO, USAGE, UNKNOWN = 0, 1, 2, 3
INTERRUPTED: Final = 130


def run(tokens: Sequence[str]) -> int:
    """Run a command line, and return the exit code; every failure is reported on standard error."""
    try:
        _check_encoding(tokens)
        called = command(*tokens[:1])
        code = called(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as fault:
        report_usage(str(fault))
        return USAGE
    except Usage as fault:
        report_usage(str(fault))
        return USAGE
    except RefineryError as refusal:
        report(refusal, _form_of(tokens))
        return UNKNOWN if refusal.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED} else NO
    except CannotStart as fault:
        report_failure(str(fault), _form_of(tokens))
        return NO
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough; the rest of the buffer must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    return code if isinstance(code, int) else FINE


def _form_of(tokens: Sequence[str]) -> Form:
    """The form of output in the tokens, which have been parsed before."""
    _, bound, _ = command(*tokens[:1]).parse_args(tokens, exit_on_error=False, print_error=False)
    form: Form = bound.arguments.get("output", "text")
    return form


def _check_encoding(tokens: Sequence[str]) -> None:
    try:
        "".join(tokens).encode()
    except UnicodeEncodeError:
        raise Usage("The command line is not UTF-8.") from None


def main() -> None:
    """Run as the program."""
    for name in [name for name, value in os.environ.items() if name.startswith("REFINERY_") and not value]:
        del os.environ[name]  # An empty variable counts as not set, for services too.
    if sys.argv[1:2] != ["up"]:
        # gRPC reads it when it is imported. The refusal says it all, and programs read standard error.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
