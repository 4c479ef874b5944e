"""The stored histories: a file for each case, a line for each event, payloads in the open."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from temporalio.client import WorkflowHistory

FOLDER: Final = Path(__file__).parent / "histories"
_SUFFIX: Final = ".jsonl"
_PLAIN: Final = {"encoding": base64.b64encode(b"json/plain").decode()}
_MACHINE: Final = {"identity", "workerVersion", "binaryChecksum", "stackTrace", "requestId", "taskId"}
"""Members of events that name a machine, a program on it or a try; a replay reads none of them."""
_STARTED: Final = "workflowExecutionStartedEventAttributes"
_TASK: Final = "workflowTaskScheduledEventAttributes"


def path(name: str, folder: Path = FOLDER) -> Path:
    """The file of the history of a case."""
    return folder / f"{name}{_SUFFIX}"


def names() -> set[str]:
    """The cases that are stored."""
    return {file.name.removesuffix(_SUFFIX) for file in FOLDER.glob(f"*{_SUFFIX}")}


def write(file: Path, runs: Iterable[WorkflowHistory], hidden: Mapping[str, str]) -> None:
    """Store the runs of an execution; `hidden` has replacements, for addresses and the like."""
    events = [_shown(event) for run in runs for event in run.to_json_dict()["events"]]
    text = b"".join(orjson.dumps(event) + b"\n" for event in events).decode()
    for what, instead in hidden.items():
        text = text.replace(what, instead)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def read(file: Path) -> list[WorkflowHistory]:
    """The runs of an execution; a run begins where a workflow is started."""
    runs: list[list[Any]] = []
    for line in file.read_text().splitlines():
        event = orjson.loads(line)
        if _STARTED in event:
            runs.append([])
        runs[-1].append(_meant(event))
    return [WorkflowHistory.from_json(run[0][_STARTED]["workflowId"], {"events": run}) for run in runs]


def _shown(event: dict[str, Any]) -> dict[str, Any]:
    """An event as it is stored."""
    event.get(_TASK, {}).pop("taskQueue", None)  # It may be that of one process, and named after it.
    shown: dict[str, Any] = _open(event)
    return shown


def _open(value: Any) -> Any:
    if isinstance(value, list):
        return [_open(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("metadata") == _PLAIN:
        return {"json": json.loads(base64.b64decode(value["data"]))}
    return {name: _open(member) for name, member in value.items() if name not in _MACHINE}


def _meant(value: Any) -> Any:
    """An opened payload, as Temporal writes it."""
    if isinstance(value, list):
        return [_meant(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"json"}:
        return {"metadata": _PLAIN, "data": base64.b64encode(orjson.dumps(value["json"])).decode()}
    return {name: _meant(member) for name, member in value.items()}
