"""TLS on both sides for everything on this machine: the certificates, and the settings that name them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from refinery_core.vibe.refs import Ref
from refinery_local import LOCAL_ROLE
from refinery_local.authority import HERE, TRUST_DOMAIN, Authority, Pair, this_person, write_private
from refinery_local.issuer import Issuer, not_asked

FOLDER: Final = "secure"
"""In the folder of `up`: `ca.pem`, the certificates with their keys, those of tokens, and `env`."""

WORKER_ROLE: Final = "roles/process-worker"
"""The Role of the process worker, which carries executions out."""

_FILES: Final = ("CA", "CERT", "KEY", "CLIENT_CA", "SERVER_NAME")


_WORKER: Final = "process-worker"


def _person() -> str:
    return f"person/{this_person()}"


def in_the_clear() -> dict[str, str]:
    """Give the settings of services without TLS, whatever is set for the clients of others."""
    off = os.environ.get("REFINERY_TLS", "").lower() == "off"
    return {"REFINERY_TLS": "off" if off else ""} | {f"REFINERY_TLS_{name}": "" for name in _FILES}


@dataclass(frozen=True, slots=True)
class Secured:
    """The certificates of the services, the worker and the person who works here; the issuer of tokens."""

    authority: Authority
    issuer: Issuer
    server: Pair
    worker: Pair
    person: Pair

    @classmethod
    def prepared(cls, data: Path, host: str) -> Secured:
        """
        Make them in the folder of `up`, or find them there; a host that is not this machine's is named too.

        Raises:
            CannotStart: the folder cannot be used.
        """
        authority = Authority(data.resolve() / FOLDER)
        authority.prepare()
        issuer = Issuer(authority.folder)
        issuer.prepare()
        hosts = HERE if host in (*HERE, "0.0.0.0", "::") else (*HERE, host)  # noqa: S104 -- nothing listens
        return cls(
            authority,
            issuer,
            authority.certificate("server", path="server", hosts=hosts),
            authority.certificate("worker", path=_WORKER, hosts=hosts),
            authority.certificate("person", path=_person()),
        )

    @property
    def person_principal(self) -> str:
        """The principal of the person who works here."""
        return f"spiffe://{TRUST_DOMAIN}/{_person()}"

    @property
    def worker_principal(self) -> str:
        """The principal of the process worker."""
        return f"spiffe://{TRUST_DOMAIN}/{_WORKER}"

    def of_services(self) -> dict[str, str]:
        """Give the settings of ledger and resolver."""
        return self._serving(self.server)

    def of_worker(self) -> dict[str, str]:
        """Give those of the process worker, which calls the others with the certificate that it shows."""
        return self._serving(self.worker) | {"REFINERY_WORKER_AUTHOR_REF": f"aug:/{WORKER_ROLE}"}

    def _serving(self, pair: Pair) -> dict[str, str]:
        client_ca = {"REFINERY_TLS_CLIENT_CA": str(self.authority.trusted), "REFINERY_AUTH": "tls,jwt"}
        root = {"REFINERY_ROOT": self.person_principal}
        return in_the_clear() | self._calling(pair) | client_ca | not_asked() | self.issuer.settings() | root

    def _calling(self, pair: Pair) -> dict[str, str]:
        return {
            "REFINERY_TLS": "on",
            "REFINERY_TLS_CA": str(self.authority.trusted),
            "REFINERY_TLS_CERT": str(pair.certificate),
            "REFINERY_TLS_KEY": str(pair.key),
        }

    def credentials(self) -> grpc.ChannelCredentials:
        """Give the credentials of the person's calls."""
        files = self.authority.trusted, self.person.key, self.person.certificate
        return grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))

    def write_environment(self, addresses: Mapping[str, str]) -> Path:
        """Write a file for a shell to source, so that the command speaks to the services; give its path."""
        # In whatever revision: only the one in force is an author.
        author = {"REFINERY_AUTHOR": f"aug:/{Ref.parse(LOCAL_ROLE).id}"}
        lines = [
            f"export {name}={shlex.quote(value)}\n"
            for name, value in (self._calling(self.person) | author | dict(addresses)).items()
        ]
        file = self.authority.folder / "env"
        write_private(file, "".join(lines).encode())
        return file

    def options_of_grpcurl(self) -> str:
        """Give the same for grpcurl."""
        person, trusted = self.person, self.authority.trusted
        return f"-cacert {trusted} -cert {person.certificate} -key {person.key}"
