from __future__ import annotations

import base64
import json
import signal
from pathlib import Path

import orjson
import pytest

from refinery_cli.__main__ import run
from refinery_core.serving.authentication.authenticating import authenticating
from refinery_core.serving.authentication.settings import AuthenticationSettings
from refinery_core.settings import CannotStart, from_environment
from refinery_local.authority import this_person
from refinery_local.issuer import ISSUER, Issuer
from tests.integration.cli.test_secured import in_shell
from tests.integration.cli.test_up import Running
from tests.support.ports import free_port


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    found: dict[str, object] = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_another_principal_is_refused_granted_acts_and_is_withdrawn(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = short_folder / "data"
    names = ("ledger_port", "resolver_port", "process_port", "temporal_port", "temporal_ui_port")
    monkeypatch.setenv("REFINERY_TOKEN", "of whoever starts it, and not of the worker")
    running = Running(data, **{name: free_port() for name in names}, secure=True)
    monkeypatch.delenv("REFINERY_TOKEN")
    source = f". {data / 'secure/env'}"
    token = f"refinery token --for ada --group desk --data {data}"
    group = f"group:{ISSUER}#desk"
    ada = f"jwt:{ISSUER}#ada"

    def shell(line: str, code: int = 0) -> str:
        done = in_shell(f"{source}; {line}")
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def desk(members: list[str]) -> str:
        role = {"members": members, "may": [{"do": ["refine", "read"], "ids": ["orders/**"]}]}
        return f"refinery refine --type role --id roles/desk --solution '{json.dumps(role)}'"

    refine = "refinery refine --type record --id orders/1 --solution 1 -o json --author"
    as_ada = f"REFINERY_TOKEN=$({token})"
    try:
        mine = json.loads(shell(f"{refine} aug:/roles/local"))["refinement"]
        assert mine["principal"] == mine["held_as"] == f"spiffe://refinery.local/person/{this_person()}"
        refusal = json.loads(shell(f"{as_ada} {refine} aug:/roles/local", 1))
        assert refusal["reason"] == "PERMISSION_DENIED"
        assert refusal["metadata"]["principal"] == ada
        for line in (f"{refine} aug:/roles/local", "refinery execution list", "refinery resolve aug:/a"):
            assert "UNAUTHENTICATED" in shell(f"REFINERY_TOKEN=forged {line}", 1)

        shell(desk([group]))
        done = json.loads(shell(f"{as_ada} {refine} aug:/roles/desk"))["refinement"]
        assert (done["principal"], done["held_as"]) == (ada, group)
        assert done["author_ref"] == "main@roles/desk?1"
        by_command = json.loads(shell(f"{refine} aug:/roles/desk --token-command '{token}'"))
        assert by_command["refinement"]["principal"] == ada
        assert group in shell(f"{as_ada} refinery whoami")
        assert "main@roles/desk?1" in shell(f"refinery may refine orders/7 --principal {ada} --group {group}")
        lineage = json.loads(shell(f"{as_ada} refinery lineage main@orders/1?2 -o json"))
        (author,) = [step for step in lineage["steps"] if step["hidden"]]
        assert len(bytes.fromhex(author["digest"])) == 32

        shell(desk([]))
        assert "PERMISSION_DENIED" in shell(f"{as_ada} {refine} aug:/roles/desk", 1)
        then = f"--as-of {done['position']}"
        assert shell(f"refinery may refine orders/7 --principal {ada} --group {group} {then} -o json")
        shell(f"refinery may refine orders/7 --principal {ada} --group {group}", 1)
        assert json.loads(shell(f"refinery verify --data {data} -o json"))["sound"]
    finally:
        assert running.end(signal.SIGINT) == 0


async def test_the_issuer_is_trusted_by_its_own_settings_and_keeps_its_key(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path)
    issuer.prepare()
    before = issuer.key_set.read_bytes()
    issuer.prepare()
    assert issuer.key_set.read_bytes() == before
    environ = {"REFINERY_AUTH": "jwt"} | issuer.settings()
    async with authenticating(from_environment(AuthenticationSettings, environ)) as authentication:
        assert authentication.tokens is not None
        known = authentication.tokens.verify(issuer.token("ada", ["desk", "audit"], 60))
    assert known.caller.principal == f"jwt:{ISSUER}#ada"
    assert known.caller.groups == (f"group:{ISSUER}#desk", f"group:{ISSUER}#audit")


def test_the_command_says_for_whom_and_how_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "secure"
    folder.mkdir()
    Issuer(folder).prepare()
    options = ["--for", "ada", "--group", "a", "--group", "b", "--for-seconds", "5", "--data", str(tmp_path)]
    assert run(["token", *options]) == 0
    found = claims(capsys.readouterr().out.strip())
    assert (found["sub"], found["groups"], found["aud"]) == ("ada", ["a", "b"], "refinery")
    assert int(str(found["exp"])) - int(str(found["iat"])) == 5


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--for", "ada"], 1, "'refinery up --secure' makes it"),
        (["--for", "a*"], 2, "cannot be held by a Role"),
        (["--for", ""], 2, "cannot be held by a Role"),
        (["--for", "a\nb"], 2, "cannot be held by a Role"),
        (["--for", "ada", "--group", "*"], 2, "cannot be held by a Role"),
        (["--for", "ada", "--for-seconds", "0"], 2, "--for-seconds"),
        ([], 2, "--for"),
    ],
    ids=str,
)
def test_what_cannot_be_signed_is_refused(
    options: list[str], code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["token", *options, "--data", str(tmp_path)]) == code
    assert sentence in capsys.readouterr().err


def test_a_key_that_is_none_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "token.key").write_text("x")
    with pytest.raises(CannotStart, match="is no key of Ed25519; delete it"):
        Issuer(tmp_path).prepare()
    assert (tmp_path / "token.key").read_text() == "x"
