"""Ports for servers that are told where to listen."""

from __future__ import annotations

import random
import socket
from typing import Final

_BELOW_THOSE_OF_CONNECTIONS: Final = range(20_000, 32_000)
"""A port that the system chooses may be given to the next connection that somebody opens."""


def free_port() -> int:
    """Find a port that nobody listens on."""
    while True:
        port = random.choice(_BELOW_THOSE_OF_CONNECTIONS)
        with socket.socket() as probe:
            # As servers do: what has just ended does not keep it.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
