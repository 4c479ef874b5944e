"""The principal of a client certificate that the TLS handshake has verified."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from refinery_core.errors import Unauthenticated
from refinery_core.serving.authentication.names import principal

_SPIFFE: Final = "spiffe:"
_IS_SPIFFE: Final = re.compile(r"spiffe://[a-z0-9._-]+(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)*").fullmatch
_KEPT: Final = 1_024


def certified(auth_context: Mapping[str, Iterable[bytes]]) -> str | None:
    """
    Give the principal of the certificate of a connection; None where it has none.

    Raises:
        Unauthenticated: the certificate has no name that can be a principal.
    """
    pems = tuple(auth_context.get("x509_pem_cert") or ())
    if not pems:
        return None
    # gRPC gives it only where it is the one URI of the certificate.
    return _certified(pems[0], tuple(auth_context.get("peer_spiffe_id") or ()))


@lru_cache(_KEPT)
def _certified(pem: bytes, spiffe: tuple[bytes, ...]) -> str:
    # The other names that gRPC gives end at the first NUL, so that `admin\0.example` would be `admin`.
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = _alternatives(certificate)
        uris = [name for name in names if isinstance(name, x509.UniformResourceIdentifier)]
        hosts = [name.value for name in names if isinstance(name, x509.DNSName)]
        common = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise Unauthenticated(problem="the client certificate cannot be read; use another one") from None
    if any(uri.value.lower().startswith(_SPIFFE) for uri in uris):
        if spiffe != (uris[0].value.encode(),) or not _IS_SPIFFE(uris[0].value):
            raise Unauthenticated(
                problem="the client certificate has more than one URI, or no valid SPIFFE ID; "
                "use one with a single spiffe:// URI"
            )
        return principal(uris[0].value, "certificate")
    found = hosts[:1] or common
    if len(found) != 1 or not found[0]:
        raise Unauthenticated(
            problem="the client certificate has no SPIFFE ID, no DNS name and not one common name; "
            "use one that has"
        )
    return principal(f"x509:{found[0]}", "certificate")


def _alternatives(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []
