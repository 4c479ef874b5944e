"""Exposure: a service that others can reach does not start without TLS and a written REFINERY_AUTH."""

from __future__ import annotations

import ipaddress
import socket

from refinery_core.settings import CannotStart


def is_beyond_loopback(listen: str) -> bool:
    """Whether others than this machine can reach an address. A name that nobody knows counts as such."""
    if listen.startswith("unix:"):
        return False
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return not _is_loopback(host)
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return not all(_is_loopback(str(address[0])) for *_, address in found)


def _is_loopback(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def refuse_exposure(listen: str, *, tls: bool, tls_off_written: bool, auth_written: bool) -> None:
    """
    See that a service which others can reach was told how it speaks to them, and how it knows them.

    Args:
        listen: Where it is to listen.
        tls: Whether it speaks TLS.
        tls_off_written: Whether the operator wrote that it does not.
        auth_written: Whether the operator wrote how callers prove who they are, even if it is `none`.

    Raises:
        CannotStart: it was not; the sentence says what to set.
    """
    if not is_beyond_loopback(listen):
        return
    missing = []
    if not (tls or tls_off_written):
        missing.append("REFINERY_TLS_CERT and REFINERY_TLS_KEY (or REFINERY_TLS=off where a mesh encrypts)")
    if not auth_written:
        missing.append("REFINERY_AUTH (none, tls, jwt or tls,jwt)")
    if missing:
        raise CannotStart(f"Others can reach {listen}: set {', and '.join(missing)}.")
