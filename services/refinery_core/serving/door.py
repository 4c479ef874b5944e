"""The door of a service, as the operator sets it: where callers come in, how, and who may."""

from __future__ import annotations

from dataclasses import dataclass

from refinery_core.serving.authentication.settings import Auth
from refinery_core.serving.exposure import refuse_exposure
from refinery_core.serving.tls import Tls, TlsSettings
from refinery_core.settings import CannotStart, setting


@dataclass(frozen=True)
class Door(TlsSettings):
    """The settings that every service has for it."""

    listen: str = setting("where to serve, HOST:PORT")
    health_listen: str | None = setting("where to serve health alone, in the clear, HOST:PORT", None)
    auth: Auth | None = setting("how callers prove who they are: none, tls, jwt or tls,jwt", None)

    def opened(self) -> Tls | None:
        """
        See that the door stands open to nobody by oversight, and give its TLS; None for none.

        Raises:
            CannotStart: it would, or its files cannot be used.
        """
        tls = self.served()
        refuse_exposure(
            self.listen,
            tls=tls is not None,
            tls_off_written=self.tls == "off",
            auth_written=self.auth is not None,
        )
        if "tls" in (self.auth or "").split(",") and (tls is None or not tls.asks_back):
            raise CannotStart("REFINERY_AUTH says tls: set REFINERY_TLS_CLIENT_CA, whom to trust as callers.")
        return tls
