from __future__ import annotations

import base64
import json
import signal
from pathlib import Path

import orjson
import pytest
from tests.cases.ports import free_port

from refinery_cli.__main__ import run
from refinery_core.serving.authentication.authenticating import authenticating
from refinery_core.serving.authentication.settings import AuthenticationSettings
from refinery_core.settings import CannotStart, from_environment
from refinery_local.authority import this_person
from refinery_local.issuer import ISSUER, Issuer
from tests.integration.cli.test_secured import in_shell
from tests.integration.cli.test_up import Running


def claims(token: str) -> dict[str, object]:
    part = token.split(".")[1]
    found: dict[str, object] = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_a_token_of_this_machine_names_its_caller(short_folder: Path) -> None:
    data = short_folder / "data"
    running = Running(data, ledger_port=free_port(), resolver_port=free_port(), processes=False, secure=True)
    refine = "refinery refine --type record --id a --solution 1 -o json"
    source = f". {data / 'secure/env'}"
    by_certificate = in_shell(f"{source}; {refine}")
    token = f"refinery token --for ada --group desk --data {data}"
    by_token = in_shell(f"{source}; REFINERY_TOKEN=$({token}) {refine}")
    by_command = in_shell(f"{source}; {refine} --token-command '{token}'")
    expired = in_shell(f"{source}; REFINERY_TOKEN=forged {refine}")
    assert running.end(signal.SIGINT) == 0

    assert by_certificate.returncode == 0, by_certificate.stderr
    principal = json.loads(by_certificate.stdout)["refinement"]["principal"]
    assert principal == f"spiffe://refinery.local/person/{this_person()}"
    for done in (by_token, by_command):
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["refinement"]["principal"] == f"jwt:{ISSUER}#ada"
    assert (expired.returncode, "UNAUTHENTICATED" in expired.stderr) == (1, True)


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
