"""The examples of the guides work as they are written; only the ports differ."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import AUTHOR
from tests.integration.process.conftest import Processes
from tests.integration.process.test_command import refinery

ROOT = Path(__file__).parents[3]
GUIDES = "\n".join(
    (ROOT / "docs" / "guides" / f"{name}.md").read_text() for name in ("capabilities", "processes")
)
DOCUMENTS = dict(re.findall(r"```yaml\n# (\w+)\.yaml\n(.*?)```", GUIDES, re.DOTALL))
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDES, re.DOTALL)


async def refine(processes: Processes, folder: Path, kind: str, name: str) -> str:
    """Refine a document of the guides, and say its reference."""
    ledger_port = processes.services.address.rpartition(":")[2]
    text = DOCUMENTS[name].replace("http://localhost:9000", processes.web.base)
    text = text.replace("host: localhost, port: 50051", f"host: 127.0.0.1, port: {ledger_port}")
    (folder / f"{name}.yaml").write_text(text)
    id_ = f"examples/{name}"
    await refinery(processes, "refine", "--type", kind, "--id", id_, "--solution", f"@{folder / name}.yaml")
    return f"aug:/{id_}"


async def call(processes: Processes, folder: Path, name: str, **input_: Any) -> Any:
    capability = await refine(processes, folder, "capability", name)
    return (await refinery(processes, "call", capability, "--input", json.dumps(input_))).json


async def test_a_text_is_translated_by_who_proves_that_they_may(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFINERY_SECRET_TRANSLATOR", "sesame")
    web = processes.web
    web.script({"/translations/en": [(200, {"translation": "Good day"})]})
    said = await call(processes, tmp_path, "translate", text="Guten Tag", language="en")
    assert said == {"text": "Good day"}
    assert (web.methods, web.asked) == (["POST"], ["/translations/en?tone=polite"])
    assert (web.headers[0]["authorization"], web.headers[0]["accept-language"]) == ("bearer sesame", "en")
    assert json.loads(web.bodies[0]) == {"text": "Guten Tag"}
    refused = await refinery(processes, "call", "aug:/examples/translate", "--input", "{}", expect=1)
    assert "400" in refused.err
    assert len(web.asked) == 1


async def test_an_operation_is_called_as_its_document_says(processes: Processes, tmp_path: Path) -> None:
    parameter = {"name": "currency", "in": "path", "required": True, "schema": {"type": "string"}}
    document = {
        "openapi": "3.1.0",
        "servers": [{"url": "/"}],
        "paths": {"/rates/{currency}": {"get": {"operationId": "getRate", "parameters": [parameter]}}},
    }
    processes.web.script({"/openapi.json": [(200, document)], "/rates/EUR": [(200, {"rate": 1.08})]})
    assert await call(processes, tmp_path, "rate", currency="EUR") == {"rate": 1.08}


async def test_a_method_is_called_as_its_server_describes_it(processes: Processes, tmp_path: Path) -> None:
    assert await call(processes, tmp_path, "health", service="") == {"status": "SERVING"}


async def test_a_token_is_asked_for_once_and_kept(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFINERY_SECRET_BANK", '{"secret": "hush"}')
    web = processes.web
    token = {"access_token": "Given", "token_type": "Bearer", "expires_in": 3_600}
    web.script({"/token": [(200, token)], "/statement": [(200, {"balance": 7})]})
    for _ in range(2):
        assert await call(processes, tmp_path, "statement") == {"balance": 7}
    assert web.asked == ["/token", "/statement", "/statement"]
    pair = base64.b64encode(b"refinery:hush").decode().lower()
    assert [each["authorization"] for each in web.headers] == [
        f"basic {pair}",
        "bearer given",
        "bearer given",
    ]
    assert b"scope=statements" in web.bodies[0]


async def test_all_attempts_of_an_order_have_the_key_that_it_says(
    processes: Processes, tmp_path: Path
) -> None:
    process, id_ = await refine(processes, tmp_path, "process", "order"), str(uuid.uuid4())
    processes.web.script({"/orders": [(503, None), (201, {"number": 1})]})
    await refinery(processes, "run", process, "--input", '{"item": "nut"}', "--request-id", id_, "--watch")
    keys = [each["idempotency-key"] for each in processes.web.headers]
    assert len(keys) == 2
    assert set(keys) == {f"execution/{id_}"}


async def test_a_program_executes_and_watches(processes: Processes) -> None:
    (program,) = PROGRAMS
    hello = f"@{ROOT / 'examples' / 'hello.yaml'}"
    await refinery(processes, "refine", "--type", "process", "--id", "processes/hello", "--solution", hello)
    environment = {
        "REFINERY_PROCESS": processes.address,
        "REFINERY_LEDGER": processes.services.address,
    }
    done = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program.replace("main@roles/local?1", AUTHOR),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await done.communicate()
    assert out.decode() == "COMPLETED None\n{'greeting': 'Hello Ada!'}\n"
