"""Ports for servers that need a fixed one."""

from __future__ import annotations

import random
import socket
from typing import Final

_BELOW_THOSE_OF_CONNECTIONS: Final = range(20_000, 32_000)
"""The system may give a port of its own choice to the next outgoing connection."""


def free_port() -> int:
    """Find a free port."""
    while True:
        port = random.choice(_BELOW_THOSE_OF_CONNECTIONS)
        with socket.socket() as probe:
            # As servers do: a server that has just ended does not block it.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
