from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.ports import free_port

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
(PYTHON,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SET_UP = re.compile(r"^(make setup|export PATH=).*\n", re.MULTILINE)
UP = "refinery up --detach"
NAMES = ("ledger", "resolver", "process", "temporal", "temporal-ui")


@pytest.fixture
def first_refine() -> str:
    """The block of shell that starts Refinery, without the lines that make the environment."""
    (block,) = [block for block in SHELL if UP in block]
    return SET_UP.sub("", block)


class Reader:
    """Follows the page, in an empty folder with the examples, on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "examples").symlink_to(ROOT / "examples")
        self.ports = {name: free_port() for name in NAMES}
        self.addresses = {f"REFINERY_{name.upper()}": self.address(name) for name in NAMES[:3]}

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    def run(self, *command: str, code: int = 0) -> str:
        return run(*command, settings=self.addresses, cwd=self.folder, expect=code).out

    def line(self, line: str) -> str:
        ports = "".join(f" --{name}-port {port}" for name, port in self.ports.items())
        return self.run("bash", "-c", line.replace(UP, UP + ports), code=1 if "# exit code 1" in line else 0)


@pytest.fixture
def reader(short_folder: Path) -> Iterator[Reader]:
    reader = Reader(short_folder)
    yield reader
    reader.run("refinery", "down")


def test_every_command_of_the_first_refine_does_what_the_page_says(reader: Reader, first_refine: str) -> None:
    lines = [line for line in first_refine.replace("\\\n", "").splitlines() if line]
    said = {line.partition("#")[0].strip(): reader.line(line) for line in lines}
    assert '"$refResolved": "main@schemas/user?1"' in said["refinery get aug:/users/ada"]
    assert "schema main@schemas/user?1" in said["refinery lineage 'main@users/ada?1'"]
    assert "sound" in said["refinery verify --data .refinery"]
    assert any("Hello Ada!" in text for text in said.values())

    program = PYTHON.replace(
        "Refinery.connect()",
        f"Refinery.connect(ledger='{reader.address('ledger')}', resolver='{reader.address('resolver')}')",
    )
    assert reader.run(sys.executable, "-c", program).startswith("main@users/alan?1 ")


def test_what_the_page_lists_is_there() -> None:
    """Every file that it links to, and every target of make that it names."""
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([\w/]+) +#", README):
        assert f"\n{target}:" in makefile, target
