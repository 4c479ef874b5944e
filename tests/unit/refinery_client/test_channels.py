from __future__ import annotations

import logging
from pathlib import Path

import grpc
import pytest

from refinery_client import Refinery, Tls
from refinery_client.channels import Renewed
from refinery_core.settings import CannotStart
from tests.support.tls import Authority, replace

FILE = "/none.pem"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("given", "spoken"),
    [
        ({}, False),
        ({"tls": "on"}, True),
        ({"tls_ca": FILE}, True),
        ({"tls_cert": FILE, "tls_key": FILE}, True),
        ({"tls_server_name": "ledger.test"}, False),
        ({"tls": "off", "tls_ca": FILE, "tls_cert": FILE}, False),
    ],
)
def test_tls_is_spoken_where_a_file_is_named_or_it_is_said(given: dict[str, str], spoken: bool) -> None:
    assert Tls(**given).spoken is spoken  # type: ignore[arg-type]


async def test_it_is_read_from_the_environment_unless_it_is_given(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    monkeypatch.setenv("REFINERY_TLS_CA", FILE)
    with pytest.raises(CannotStart, match=r"^/none\.pem cannot be read: No such file or directory\.$"):
        async with Refinery.connect():
            pass
    async with Refinery.connect(tls=Tls(tls_ca=authority.file)):
        pass
    monkeypatch.setenv("REFINERY_TLS", "off")
    async with Refinery.connect():
        pass


@pytest.mark.parametrize("given", [{"tls_cert": FILE}, {"tls_key": FILE, "tls_ca": FILE}])
def test_a_certificate_without_its_key_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(CannotStart, match="go together: set both, or none"):
        Tls(**given).channels(())  # type: ignore[arg-type]


async def test_without_tls_it_is_a_channel_of_grpc_itself() -> None:
    async with Tls().channels(())("127.0.0.1:1") as channel:
        assert not isinstance(channel, Renewed)
        assert isinstance(channel, grpc.aio.Channel)


async def test_new_files_make_a_new_channel_and_bad_ones_are_told_once(
    authority: Authority, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refinery_client.channels.LOOK_SECONDS", 0)
    cert, key = authority.certificate("client@one.test")
    async with Tls(tls_ca=authority.file, tls_cert=cert, tls_key=key).channels(())("127.0.0.1:1") as channel:
        assert isinstance(channel, Renewed)
        first = channel.line()
        assert channel.line() is first
        replace(key, b"half a k")
        with caplog.at_level(logging.WARNING, "refinery_client"):
            assert [channel.line() for _ in range(3)] == [first] * 3
        assert [record.name for record in caplog.records] == ["refinery_client"]
        assert "holds no private key" in caplog.text
        authority.certificate("client@one.test")
        assert channel.line() is not first
        assert channel.get_state() is grpc.ChannelConnectivity.IDLE
