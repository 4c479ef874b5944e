from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from refinery_core.certificates import Files, read
from refinery_local.authority import Authority, this_person
from refinery_local.up import up
from tests.integration.cli.test_up import Running
from tests.support.command import PROGRAMS
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

HELLO = Path(__file__).parents[3] / "examples/hello.yaml"


def in_shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-ec", line],
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def spiffe_names(file: Path) -> list[str]:
    names = load(file).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def test_one_option_secures_everything_and_the_command_works_with_what_is_printed(short_folder: Path) -> None:
    names = ("ledger_port", "resolver_port", "process_port", "temporal_port", "temporal_ui_port")
    ports = {name: free_port() for name in names}
    data = short_folder / "data"
    first = Running(data, **ports, secure=True)
    secure = data / "secure"
    assert first.endpoints["env"] == "."  # What follows it is the file.
    source = f". {secure / 'env'}"

    known = in_shell(f"{source}; refinery status -o json")
    assert known.returncode == 0, known.stderr
    made = in_shell(
        f"{source}; refinery refine --type process --id processes/hello --solution @{HELLO};"
        """ refinery run aug:/processes/hello --input '{"name": "Ada"}' --watch"""
    )
    assert made.returncode == 0, made.stderr
    assert "Hello Ada!" in made.stdout
    assert in_shell(f"{source}; refinery resolve aug:/processes/hello").returncode == 0

    address = f"--ledger 127.0.0.1:{ports['ledger_port']} --timeout 2"
    for options, hint in (
        ("", "The server may speak TLS, or want a certificate that it trusts"),
        (f"--tls-ca {secure / 'ca.pem'}", "The server may speak TLS, or want a certificate that it trusts"),
        ("--tls on", "Nobody trusted here made the server's certificate"),
    ):
        unknown = in_shell(f"refinery status {address} {options} -o json")
        assert unknown.returncode == 3, unknown
        assert json.loads(unknown.stderr)["hints"][1].startswith(hint)

    assert stat.S_IMODE(secure.stat().st_mode) == 0o700
    databases = list(data.glob("temporal.db*"))
    assert databases
    assert {stat.S_IMODE(file.stat().st_mode) for file in databases} == {0o600}
    files = list(secure.iterdir())
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in files} == {
        file.name: 0o600 for file in files
    }
    assert spiffe_names(secure / "person.pem") == [f"spiffe://refinery.local/person/{this_person()}"]
    assert spiffe_names(secure / "worker.pem") == ["spiffe://refinery.local/process-worker"]
    certificates = {file.name: file.read_bytes() for file in files if file.suffix == ".pem"}
    assert first.end(signal.SIGTERM) == 0

    again = Running(data, ledger_port=free_port(), resolver_port=free_port(), processes=False, secure=True)
    assert {name: (secure / name).read_bytes() for name in certificates} == certificates
    assert in_shell(f"{source}; refinery get aug:/processes/hello").returncode == 0
    assert again.end(signal.SIGTERM) == 0


def test_without_it_what_is_set_for_clients_elsewhere_does_not_count(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CA", "CERT", "KEY"):
        monkeypatch.setenv(f"REFINERY_TLS_{name}", "/elsewhere.pem")
    running = Running(
        short_folder / "data", ledger_port=free_port(), resolver_port=free_port(), processes=False
    )
    assert running.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("written", [{}, {"REFINERY_TLS": "off"}, {"REFINERY_AUTH": "none"}])
async def test_what_others_would_reach_is_secured_or_written_to_be_open(
    written: dict[str, str],
    short_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in written.items():
        monkeypatch.setenv(name, value)
    data = short_folder / "data"
    assert await up(data, host="0.0.0.0", ledger_port=free_port(), processes=False) == 1
    told = capsys.readouterr().err
    assert told.startswith("Others can reach 0.0.0.0:")
    assert told.endswith("Or say --secure, which makes all of it.\n")
    assert not data.exists()


def test_where_it_listens_for_others_it_is_still_reached_from_here(short_folder: Path) -> None:
    ports = {"ledger_port": free_port(), "resolver_port": free_port()}
    running = Running(short_folder / "data", **ports, host="0.0.0.0", processes=False, secure=True)
    done = in_shell(f". {short_folder / 'data/secure/env'}; refinery status")
    assert done.returncode == 0, done.stderr
    assert running.end(signal.SIGTERM) == 0


def load(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_certificates_are_made_again_when_they_are_not_what_is_needed(tmp_path: Path) -> None:
    one = Authority(tmp_path / "one")
    one.prepare()
    hosts = ["localhost", "10.1.2.3"]
    seen = {one.certificate("server", hosts=["localhost"]).certificate.read_bytes()}
    assert one.certificate("server", hosts=["localhost"]).certificate.read_bytes() in seen

    def is_made_again() -> bool:
        one.prepare()
        pair = one.certificate("server", hosts=hosts)
        read(Files(str(pair.certificate), str(pair.key)))
        load(pair.certificate).verify_directly_issued_by(load(one.trusted))
        content = pair.certificate.read_bytes()
        is_new = content not in seen
        seen.add(content)
        return is_new

    assert is_made_again()  # It is for another host.
    assert not is_made_again()
    one.trusted.unlink()
    assert is_made_again()
    (one.folder / "server.pem").write_bytes(b"half")
    assert is_made_again()
    # Killed between the files of a pair, it leaves a key that is not the certificate's.
    other = one.certificate("other").key.read_bytes()
    (one.folder / "server.key").write_bytes(other)
    assert is_made_again()
    (one.folder / "ca.key").write_bytes(other)
    assert is_made_again()
    assert not is_made_again()
