"""The settings of the resolver service, read from its environment."""

from __future__ import annotations

from dataclasses import dataclass

from refinery_core.logs import LogFormat, LogLevel
from refinery_core.postgres.connecting import Pooler
from refinery_core.serving.door import Door
from refinery_core.settings import Secret, setting


@dataclass(frozen=True)
class Settings(Door):
    """The settings of the resolver service."""

    database_url: str = setting(
        "where PostgreSQL is; a login with the role refinery_app or refinery_reader", secret=True
    )
    database_password: Secret | None = setting("the password of that login", None, secret=True)
    pooler: Pooler = setting("what stands before PostgreSQL: none, session or transaction", "none")
    root: str = setting("principals that hold system/genesis, between commas", "")
    listen: str = setting("where to serve, HOST:PORT", "127.0.0.1:50052")
    pool_size: int = setting("connections to PostgreSQL, at most", 8, at_least=1)
    cache_mib: int = setting("memory for Vibes that were read before, in MiB", 64, at_least=0)
    answers_mib: int = setting("memory for answers of ResolveSchema, in MiB", 32, at_least=0)
    schemas_mib: int = setting(
        "memory for schemas that were read and composed before, in MiB", 192, at_least=0
    )
    validators_mib: int = setting("schemas whose compiled validators are kept, in MiB", 64, at_least=0)
    dependents_mib: int = setting(
        "memory for lists of dependents that were put in order, in MiB", 64, at_least=0
    )
    log_format: LogFormat = setting("json or console", "json")
    log_level: LogLevel = setting("debug, info, warning or error", "info")
