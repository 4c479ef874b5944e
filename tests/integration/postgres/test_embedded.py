from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest

from refinery_core.settings import CannotStart
from refinery_local import installation
from refinery_local.postgres import EmbeddedPostgres
from tests.support.waiting import PATIENCE


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_what_was_committed_survives_sigkill_at_the_same_address(
    short_folder: Path, postgres_bin: Path | None
) -> None:
    with EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin) as server:
        url = server.url("postgres")
        await ask(url, "create table kept (n int)")
        await ask(url, "insert into kept values (7)")
        server.kill()
        assert server.pid is None
        server.start()
        assert server.url("postgres") == url
        assert await ask(url, "select n from kept") == 7


async def test_a_second_start_finds_the_data_again(short_folder: Path, postgres_bin: Path | None) -> None:
    with EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin) as server:
        await ask(server.url("postgres"), "create database ledger")
    with EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin) as server:
        assert await ask(server.url("ledger"), "select current_database()") == "ledger"


async def test_settings_are_the_ones_a_ledger_needs(short_folder: Path, postgres_bin: Path | None) -> None:
    with EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin) as server:
        for setting, value in {
            "data_checksums": "on",
            "fsync": "on",
            "server_encoding": "UTF8",
            "listen_addresses": "",
        }.items():
            assert await ask(server.url("postgres"), f"show {setting}") == value
        collation = "select datcollate from pg_database where datname = 'postgres'"
        assert await ask(server.url("postgres"), collation) == "C"


async def test_a_pid_file_from_before_a_reboot_is_no_obstacle(
    short_folder: Path, postgres_bin: Path | None
) -> None:
    server = EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin)
    with server:
        stale = (server.data / "postmaster.pid").read_text().splitlines()
    # The number belongs to another process by now: to this very test.
    stale[0] = str(os.getpid())
    (server.data / "postmaster.pid").write_text("\n".join(stale) + "\n")
    with server:
        assert server.pid


def test_two_servers_on_one_folder_are_refused(short_folder: Path, postgres_bin: Path | None) -> None:
    with (
        EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin) as server,
        pytest.raises(CannotStart, match=rf"running already \(process {server.pid}\)"),
    ):
        EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin).start()


def test_the_server_goes_down_with_a_parent_that_is_killed(
    short_folder: Path, postgres_bin: Path | None
) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from refinery_local.postgres import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]), bin_dir=Path(sys.argv[2]) if sys.argv[2] else None)\n"
        "server.start(); print(server.pid, flush=True); time.sleep(60)"
    )
    arguments = [sys.executable, "-c", code, str(short_folder / "pg"), str(postgres_bin or "")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)
    with EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin) as server:
        assert server.pid


@pytest.fixture
def public(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if os.geteuid() != 0:
        pytest.skip("only root starts PostgreSQL as somebody else")
    monkeypatch.setattr(installation, "_PUBLIC", short_folder / "public")
    return short_folder / "public"


async def test_root_may_keep_data_and_programs_where_nobody_else_can_go(
    short_folder: Path, public: Path
) -> None:
    mine = short_folder / "mine"
    mine.mkdir(mode=0o700)
    installed = installation.bundled_bin_dir().parent
    package, libraries = installed.parent, installed.parent.with_name(f"{installed.parent.name}.libs")
    shutil.copytree(installed, mine / package.name / installed.name, symlinks=True)
    shutil.copytree(libraries, mine / libraries.name)
    for _ in range(2):
        with EmbeddedPostgres(mine / "pg", bin_dir=mine / package.name / installed.name / "bin") as server:
            await ask(server.url("postgres"), "create table if not exists kept (n int)")
            await ask(server.url("postgres"), "insert into kept values (7)")
            kept = await ask(server.url("postgres"), "select count(*) from kept")
    assert kept == 2
    assert (mine / "pg").is_symlink()
    assert stat.S_IMODE(mine.stat().st_mode) == 0o700
    assert len(os.listdir(public)) == 2  # noqa: PTH208 -- the programs and the data


def test_a_folder_that_postgres_may_not_enter_is_named(
    short_folder: Path, public: Path, postgres_bin: Path | None
) -> None:
    public.parent.joinpath("mine").mkdir(mode=0o700)
    public.touch()
    with pytest.raises(CannotStart, match=rf"may not enter every folder .*{short_folder / 'mine'}"):
        EmbeddedPostgres(short_folder / "mine" / "pg", bin_dir=postgres_bin).start()


def test_a_server_that_cannot_start_says_why(short_folder: Path, postgres_bin: Path | None) -> None:
    server = EmbeddedPostgres(short_folder / "pg", bin_dir=postgres_bin)
    with server:
        pass
    with (server.data / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(CannotStart, match=r"did not start: .*configuration file"):
        server.start()


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "find_spec", lambda _: None)
    with pytest.raises(CannotStart, match=r"install refinery\[embedded\]"):
        installation.bundled_bin_dir()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
