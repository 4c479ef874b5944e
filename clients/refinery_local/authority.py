"""A certificate authority for one machine: its folder, and the certificates that it gives."""

from __future__ import annotations

import getpass
import ipaddress
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from refinery_core.certificates import Files, Unusable, read
from refinery_core.settings import CannotStart

TRUST_DOMAIN: Final = "refinery.local"
HERE: Final = ("localhost", "127.0.0.1", "::1")
_OF_AUTHORITY: Final = timedelta(days=3650)
_OF_CERTIFICATE: Final = timedelta(days=397)
_RENEWED_BEFORE: Final = timedelta(days=60)
_BOTH_WAYS: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """
    The authority in a folder, which nobody else may enter.

    `ca.pem` is whom to trust, `ca.key` its key; each certificate is NAME.pem and NAME.key.
    """

    folder: Path

    @property
    def trusted(self) -> Path:
        """The file that says whom to trust."""
        return self.folder / "ca.pem"

    def prepare(self) -> None:
        """
        Make the authority, unless it is there and lasts.

        Raises:
            CannotStart: the folder cannot be used, or what is in it cannot.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as fault:
            raise CannotStart(f"Cannot use the folder {self.folder}: {fault.strerror}.") from fault
        pair = Pair(self.trusted, self.folder / "ca.key")
        if _lasts(pair):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Refinery on this machine")])
        made = (
            _begun(name, name, key, _OF_AUTHORITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(of_authority=True), critical=True)
            .sign(key, SHA256())
        )
        self._keep(pair, made, key)

    def certificate(self, name: str, *, path: str = "", hosts: Sequence[str] = ()) -> Pair:
        """
        Give a certificate, made again when it is to end soon or was for others.

        Args:
            name: Its common name, and the name of its files.
            path: The path of its SPIFFE name, `person/ada`.
            hosts: The names and addresses of a server.
        """
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        names = _names(path, hosts)
        authority = x509.load_pem_x509_certificate(self.trusted.read_bytes())
        if _lasts(pair, authority, names):
            return pair
        signing = load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            _begun(subject, authority.subject, key, _OF_CERTIFICATE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(of_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_BOTH_WAYS), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
            )
            .sign(signing, SHA256())
        )
        self._keep(pair, made, key)
        return pair

    def _keep(self, pair: Pair, made: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(pair.key, secret)
        write_private(pair.certificate, made.public_bytes(Encoding.PEM))


def this_person() -> str:
    """The name of the user, as a part of the path of a SPIFFE name, which takes few characters."""
    try:
        name = re.sub(r"[^A-Za-z0-9._-]", "-", getpass.getuser())
    except (KeyError, OSError):  # A user without a name, as in a container.
        name = ""
    return name if name.strip(".") else str(os.getuid())


def write_private(path: Path, content: bytes) -> None:
    """Put a file in its place at once, for its owner alone."""
    fresh = path.with_name(f"{path.name}.fresh")
    with suppress(FileNotFoundError):
        fresh.unlink()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lasts: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, of_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not of_authority,
        key_cert_sign=of_authority,
        crl_sign=of_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(path: str, hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    if path:
        names.append(x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/{path}"))
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _lasts(
    pair: Pair, authority: x509.Certificate | None = None, names: Sequence[x509.GeneralName] = ()
) -> bool:
    """Whether a pair is there and whole, not about to end, of this authority and for these names."""
    try:
        credentials = read(Files(str(pair.certificate), str(pair.key)))
        assert credentials.certificate is not None
        found = x509.load_pem_x509_certificate(credentials.certificate)
        if authority is not None:
            found.verify_directly_issued_by(authority)
            san = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            if list(san) != list(names):
                return False
    except (Unusable, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return found.not_valid_after_utc - _RENEWED_BEFORE > datetime.now(UTC)


def main(folder: str, *hosts: str) -> None:
    """Make a certificate for a server of each name, one for the worker, and one for a person."""
    authority = Authority(Path(folder))
    authority.prepare()
    authority.certificate("server", path="server", hosts=[*hosts, *HERE])
    authority.certificate("worker", path="process-worker", hosts=[*hosts, *HERE])
    authority.certificate("person", path=f"person/{this_person()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
