"""Certificates, keys and authorities in files: read again when they change, the last good ones kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_MOST_BYTES: Final = 1 << 20


class Unusable(Exception):  # noqa: N818 -- reads as the sentence that it is
    """A sentence: which file cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one side of TLS, in PEM: its certificate with the chain, the key, and whom it trusts."""

    certificate: str | None = None
    key: str | None = None
    authorities: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """The content of such files; it was checked."""

    certificate: bytes | None
    key: bytes | None
    authorities: bytes | None
    expires: datetime | None
    """The end of the certificate itself."""
    authorities_expire: datetime | None
    """The end of the authority that ends last: while another one takes over, both are in the file."""


def read(files: Files) -> Credentials:
    """
    Read files once.

    Raises:
        Unusable: they cannot be used.
    """
    return _checked(files, _content(files))


class Followed:
    """
    Files that may be replaced at any time, by another process.

    `current` is what was in them when they could last be used. Any thread may `look`.
    """

    def __init__(self, files: Files, told: Callable[[str | None], None]) -> None:
        """
        Read them.

        Args:
            files: Where they are.
            told: Is given each new reason why they cannot be used, once; and None when new ones are in force.

        Raises:
            Unusable: they cannot be used.
        """
        self.files = files
        self.problem: str | None = None
        self._told = told
        self._lock = threading.Lock()
        self._content = _content(files)
        self.current = _checked(files, self._content)

    def look(self) -> Credentials:
        """Read them again, and give what is in force."""
        with self._lock:
            # Contents are compared, and not times: reading three small files takes less than a handshake.
            problem, changed = None, False
            try:
                content = _content(self.files)
                if changed := content != self._content:
                    self.current, self._content = _checked(self.files, content), content
            except Unusable as fault:
                problem = str(fault)
            if problem != self.problem:
                self.problem = problem
                if problem is not None:
                    self._told(problem)
            if changed and problem is None:
                self._told(None)
            return self.current


_Content = tuple[bytes | None, bytes | None, bytes | None]


def _content(files: Files) -> _Content:
    return _read(files.certificate), _read(files.key), _read(files.authorities)


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as fault:
        raise Unusable(f"{path} cannot be read: {fault.strerror}") from fault
    if len(content) > _MOST_BYTES:
        raise Unusable(f"{path} is larger than {_MOST_BYTES >> 20} MiB")
    return content


def _checked(files: Files, content: _Content) -> Credentials:
    certificate, key, authorities = content
    expires = None
    if certificate is not None and key is not None:
        own = _certificates(files.certificate, certificate)[0]
        expires = _checked_dates(files.certificate, own)
        if _spki(files.certificate, own) != _spki(files.key, _key(files.key, key)):
            raise Unusable(f"{files.key} is not the key of {files.certificate}")
    trusted = [] if authorities is None else _certificates(files.authorities, authorities)
    last = max((authority.not_valid_after_utc for authority in trusted), default=None)
    return Credentials(certificate, key, authorities, expires, last)


def _checked_dates(path: str | None, own: x509.Certificate) -> datetime:
    begin, end, now = own.not_valid_before_utc, own.not_valid_after_utc, datetime.now(UTC)
    if end < now:
        raise Unusable(f"{path} expired at {end:%Y-%m-%d %H:%M} UTC")
    if begin > now:
        raise Unusable(f"{path} is not valid before {begin:%Y-%m-%d %H:%M} UTC")
    return end


def _certificates(path: str | None, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as fault:
        raise Unusable(f"{path} holds no certificates in PEM") from fault


def _key(path: str | None, pem: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:  # A TypeError asks for a password.
        raise Unusable(f"{path} holds no private key in PEM without a password") from fault


def _spki(path: str | None, of: x509.Certificate | PrivateKeyTypes) -> bytes:
    try:
        return of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise Unusable(f"{path} has a key of a kind that is not known") from fault
