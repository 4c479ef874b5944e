"""RELEASES.md agrees with the stored releases, and a released version never changes."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from refinery_core.postgres.release import THIS
from refinery_core.release import VERSION, order
from tests.released import notes
from tests.released.stored import Released, numbers

ROOT = Path(__file__).parents[2]
LAST = notes.read()[-1]


def test_the_releases_are_noted_in_order_and_the_last_one_is_stored() -> None:
    versions = [note.version for note in notes.read()]
    assert versions == sorted(set(versions), key=lambda version: order(version) or ())
    assert numbers()[-1] == versions[-1]


def test_the_digests_are_those_of_what_is_stored(released: Released) -> None:
    assert hashlib.sha256(notes.IMAGE.read_bytes()).hexdigest() == LAST.proto
    assert released.sql.sha256 == LAST.sql
    assert f"{released.sql.oldest_contract} to {released.sql.contract}" == LAST.contracts
    assert (released.folder / "services/refinery_core/release.py").read_text().count(f'"{LAST.version}"') == 1


def test_sql_code_that_differs_from_the_last_release_is_of_a_later_version() -> None:
    assert (order(VERSION) or ()) >= (order(LAST.version) or ())
    if LAST.version == VERSION and LAST.date != notes.UNRELEASED:
        assert THIS.sha256 == LAST.sql, f"{VERSION} is released: raise VERSION in refinery_core/release.py"


def test_a_contract_that_takes_something_away_is_found_out(tmp_path: Path) -> None:
    buf = Path(sys.executable).with_name("buf")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    ledger = tmp_path / "proto/refinery/ledger/v1/ledger_service.proto"
    breaking: list[str | Path] = [buf, "breaking", "--against", notes.IMAGE]
    assert subprocess.run(breaking, cwd=tmp_path, check=False).returncode == 0
    ledger.write_text(ledger.read_text().replace("  int64 position = 3;", "  int64 place = 3;"))
    found = subprocess.run(breaking, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert found.returncode != 0
    assert 'name from "position" to "place"' in found.stdout


def test_the_number_stands_where_people_deploy_it() -> None:
    overlay = (ROOT / "deploy/kubernetes/overlays/example/kustomization.yaml").read_text()
    assert re.findall(r"newTag: (\S+)", overlay) == [VERSION]


def test_versions_are_ordered_by_their_numbers() -> None:
    assert (order("0.9.1") or ()) < (order("0.10.0") or ()) < (order("1.0.0") or ())
    assert [order(text) for text in ("", "1", "1.0", "1.0.0-rc1", "01.0.0", "v1.0.0")] == [None] * 6
