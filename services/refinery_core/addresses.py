"""Addresses, and which of them lead to nobody else than this machine."""

from __future__ import annotations

import ipaddress
from typing import Final

_LOCAL: Final = ("unix:", "unix-abstract:", "vsock:")
_SCHEMES: Final = ("dns:", "ipv4:", "ipv6:")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost`, or an address of its loopback interface."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def stays_here(target: str) -> bool:
    """Whether calls to a gRPC target (HOST:PORT, dns:///HOST:PORT, unix:PATH …) stay on this machine."""
    if target.startswith(_LOCAL):
        return not target.startswith("vsock:")
    for scheme in _SCHEMES:
        if target.lower().startswith(scheme):
            rest = target[len(scheme) :]
            if rest.startswith("//"):
                authority, _, rest = rest[2:].partition("/")
                if authority:  # The server that is asked for the name.
                    return False
            return all(is_loopback(_host(one)) for one in rest.split(","))
    return is_loopback(_host(target))


def _host(address: str) -> str:
    if address.startswith("["):
        return address.partition("]")[0]
    return address if address.count(":") > 1 else address.partition(":")[0]
