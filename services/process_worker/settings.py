"""The settings that the process worker reads from its environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from refinery_core.logs import LogFormat, LogLevel
from refinery_core.serving.door import Door
from refinery_core.settings import setting

GENESIS: Final = "main@system/genesis?1"


@dataclass(frozen=True)
class Settings(Door):
    """The settings of the process worker."""

    listen: str = setting("where to serve, HOST:PORT", "127.0.0.1:50053")
    ledger: str = setting("where the ledger is, HOST:PORT", "127.0.0.1:50051")
    resolver: str = setting("where the resolver is, HOST:PORT", "127.0.0.1:50052")
    temporal_address: str = setting("where Temporal is, HOST:PORT", "127.0.0.1:7233")
    temporal_namespace: str = setting("the namespace that executions live in", "default")
    temporal_tls: bool = setting("whether to speak TLS to Temporal", False)
    temporal_tls_ca: str | None = setting("file: whom to trust as Temporal, in PEM; implies TLS", None)
    temporal_tls_cert: str | None = setting("file: our certificate, in PEM; implies TLS", None)
    temporal_tls_key: str | None = setting("file: the key of our certificate, in PEM", None)
    temporal_tls_server_name: str | None = setting("the name in Temporal's certificate, if another", None)
    temporal_metrics_listen: str | None = setting("where to serve the SDK's metrics, HOST:PORT", None)
    temporal_api_key: str | None = setting("the API key for Temporal; implies TLS", None, secret=True)
    temporal_keys: str | None = setting("folder: each file a key of 32 bytes, for payloads", None)
    temporal_key: str | None = setting("the name of the file whose key encrypts payloads", None)
    http_allow: str = setting("hosts that processes may call, HOST or HOST:PORT, with commas between", "")
    http_ca: str | None = setting("file: whom to trust where processes call, in PEM, and nobody else", None)
    expression_children: int = setting("how many evaluate expressions, of 384 MiB each", 2, at_least=1)
    worker_author_ref: str = setting("the Role that authors what the worker keeps for itself", GENESIS)
    start_seconds: float = setting("how long to wait for those it needs at the start", 60.0, at_least=0)
    log_format: LogFormat = setting("json or console", "json")
    log_level: LogLevel = setting("debug, info, warning or error", "info")
