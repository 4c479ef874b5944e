from __future__ import annotations

from pathlib import Path

import pytest

from refinery_cli.read.yaml import read_yaml
from refinery_core.process.checker import read_process

EXAMPLES = sorted((Path(__file__).parents[4] / "examples").glob("*.yaml"))


def test_there_are_examples() -> None:
    assert {"hello", "http-with-retry", "quotes-race", "saga", "approval", "schedule"} <= {
        path.stem for path in EXAMPLES
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_is_a_process_named_like_its_file(path: Path) -> None:
    process = read_process(read_yaml(path.read_text(), path.name))
    assert (process.namespace, process.name) == ("examples", path.stem)
    assert process.title
