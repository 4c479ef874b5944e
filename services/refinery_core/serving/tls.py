"""TLS of a server: files that may be replaced while it runs, each new connection with what they hold then."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, Literal, cast

import grpc
import structlog
from prometheus_client import Gauge

from refinery_core.certificates import Credentials, Files, Followed, Unusable
from refinery_core.logs import Seldom
from refinery_core.settings import CannotStart, setting

EXPIRY_IS_NEAR: Final = timedelta(days=14)
_A_DAY: Final = 86_400.0

_EXPIRY: Final = Gauge(
    "refinery_tls_expiry_timestamp_seconds",
    "When the certificate, or the last of the authorities for clients, ends; in seconds since 1970.",
    ["file"],
)
_USABLE: Final = Gauge(
    "refinery_tls_files_usable",
    "1 while the files of TLS are in force as they are, 0 while the last good ones are.",
    ["side"],
)

_log = structlog.get_logger("refinery.tls")


@dataclass(frozen=True)
class TlsSettings:
    """The TLS of a service, as the operator writes it."""

    tls: Literal["on", "off"] | None = setting("off: no TLS, although others can reach this service", None)
    tls_cert: str | None = setting("file: our certificate with its chain, in PEM", None)
    tls_key: str | None = setting("file: the key of our certificate, in PEM", None)
    tls_client_ca: str | None = setting("file: who vouches for callers, in PEM; all need a certificate", None)

    def served(self) -> Tls | None:
        """
        Give the TLS that they mean; None for none.

        Raises:
            CannotStart: they contradict each other, or a file cannot be used.
        """
        given = self.tls_cert or self.tls_key or self.tls_client_ca
        if self.tls == "off":
            if given:
                raise CannotStart("REFINERY_TLS is off, but there are REFINERY_TLS_… files: say one of them.")
            return None
        if self.tls == "on" or given:
            if not (self.tls_cert and self.tls_key):
                raise CannotStart("To serve with TLS, set both REFINERY_TLS_CERT and REFINERY_TLS_KEY.")
            return _of(Files(self.tls_cert, self.tls_key, self.tls_client_ca))
        return None


class Tls:
    """The certificate that a server shows. Where it trusts somebody, it asks every caller for one as well."""

    def __init__(self, files: Files) -> None:
        """
        Read the files.

        Raises:
            CannotStart: they cannot be used.
        """
        self._near = {"certificate": Seldom(_A_DAY), "client_ca": Seldom(_A_DAY)}
        try:
            self._followed = Followed(files, self._told)
        except Unusable as fault:
            raise CannotStart(f"{fault}.") from fault
        self._context: tuple[Credentials, ssl.SSLContext] | None = None
        self.look()

    @property
    def asks_back(self) -> bool:
        """Whether callers need a certificate."""
        return self._followed.files.authorities is not None

    def credentials(self) -> grpc.ServerCredentials:
        """Give credentials for a gRPC server; it looks at the files for each new connection."""
        given = self._followed.current

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            current = self._followed.look()
            if current is given:
                return None  # gRPC goes on with what it has.
            given = current
            return _configuration(current)

        # The stubs do not know that None means no change.
        fetcher = cast("Callable[[], grpc.ServerCertificateConfiguration]", renewed)
        return grpc.dynamic_ssl_server_credentials(_configuration(given), fetcher, self.asks_back)

    def context(self) -> ssl.SSLContext:
        """Give the same for an HTTP server; to be asked for each new connection."""
        current, made = self._followed.look(), self._context
        if made is None or made[0] is not current:
            try:
                self._context = made = current, _context(self._followed.files)
            except OSError:  # The files were replaced in between: the next connection gets the new ones.
                if made is None:
                    raise
        return made[1]

    def look(self) -> None:
        """Look at the files, and say how it is with them: in metrics, and in the log where an end is near."""
        current = self._followed.look()
        _USABLE.labels("server").set(self._followed.problem is None)
        for file, end in (("certificate", current.expires), ("client_ca", current.authorities_expire)):
            if end is None:
                continue
            _EXPIRY.labels(file).set(end.timestamp())
            left = end - datetime.now(UTC)
            if left < EXPIRY_IS_NEAR and self._near[file]():
                _log.warning("a certificate is about to end", file=file, ends=_text(end), days=left.days)

    async def follow(self, every_seconds: float) -> None:
        """Look every so many seconds, because without new connections nothing else does."""
        while True:
            await asyncio.sleep(every_seconds)
            await asyncio.to_thread(self.look)

    def _told(self, problem: str | None) -> None:
        if problem is not None:
            until = _text(self._followed.current.expires)
            _log.error("new certificates cannot be used", problem=problem, last_good_until=until)
            return
        self._near = {file: Seldom(_A_DAY) for file in self._near}
        _log.info("new certificates are in force", end=_text(self._followed.current.expires))


@cache
def _of(files: Files) -> Tls:
    """One for all listeners of a process, so that each thing is said once."""
    return Tls(files)


def _configuration(current: Credentials) -> grpc.ServerCertificateConfiguration:
    assert current.key is not None
    assert current.certificate is not None
    pair = current.key, current.certificate
    return grpc.ssl_server_certificate_configuration([pair], current.authorities)


def _context(files: Files) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert files.certificate is not None
    context.load_cert_chain(files.certificate, files.key)
    if files.authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files.authorities)
    return context


def _text(end: datetime | None) -> str:
    return "" if end is None else f"{end:%Y-%m-%dT%H:%MZ}"
