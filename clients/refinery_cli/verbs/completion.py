"""`refinery completion`: completion of the command in a shell."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import App, Parameter

from refinery_cli.app import command
from refinery_cli.show.output import say

app = App(name="completion", help="Complete the command in your shell.", help_format="plaintext")

Shell = Annotated[
    Literal["bash", "zsh", "fish"] | None, Parameter(help="The shell. Default: the one that runs this.")
]


@app.command
def install(shell: Shell = None, /) -> None:
    """Install the completion script, and load it in the shell's start-up file."""
    path = command().install_completion(shell=shell)
    say(f"Written to {path}, which the start-up file of your shell now loads; it works in the next shell.")


@app.command
def show(shell: Shell = None, /) -> None:
    """Print the completion script."""
    sys.stdout.write(command().generate_completion(shell=shell))
