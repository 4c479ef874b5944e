"""Watching connections and letting them go: the options that gRPC is given for them."""

from __future__ import annotations

from dataclasses import dataclass

from refinery_core.serving.around import MOST_RECEIVED_BYTES

MAX_WAITING_CALLS = 10_000
MAX_WAITING_CALLS_AT_ALL = 20_000
"""Calls that came and were not looked at yet, about 14 KB each; between the two gRPC drops ever more of them.

It drops them without a word (CANCELLED), whoever sent them, and from 1,000 on unless it is told otherwise: so
many are left in a second by somebody whose deadlines are too short. We look at some 2,000 in a second."""


@dataclass(frozen=True, slots=True)
class Connections:
    """The lifetime of connections, and the pauses between keepalives of both sides; in seconds."""

    age_seconds: float = 300.0
    """Then a connection takes no new call. Clients that balance by DNS look for servers when one ends."""
    grace_seconds: float = 3_600.0
    """For what still runs on it. Streams without end are ended long before, by `Drain.of_stream`."""
    keepalive_seconds: float = 60.0
    """After so much silence the server asks."""
    handshake_seconds: float = 20.0
    """Then a connection ends that has not said by TLS, or in the clear, what it is."""
    ping_seconds: float = 30.0
    """A client that asks more often than this, again and again, loses its connection (too_many_pings)."""

    def options(self) -> tuple[tuple[str, int], ...]:
        """Give them as arguments of a gRPC server."""
        return (
            ("grpc.max_receive_message_length", MOST_RECEIVED_BYTES),
            ("grpc.server.max_pending_requests", MAX_WAITING_CALLS),
            ("grpc.server.max_pending_requests_hard_limit", MAX_WAITING_CALLS_AT_ALL),
            # On by default, and then a second server shares the port unnoticed.
            ("grpc.so_reuseport", 0),
            ("grpc.server_handshake_timeout_ms", round(self.handshake_seconds * 1e3)),
            ("grpc.keepalive_time_ms", round(self.keepalive_seconds * 1e3)),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.keepalive_permit_without_calls", 1),
            # Of pings that are received, whatever the name says; 300 s unless it is told otherwise.
            ("grpc.http2.min_ping_interval_without_data_ms", round(self.ping_seconds * 1e3)),
            ("grpc.max_connection_age_ms", round(self.age_seconds * 1e3)),
            ("grpc.max_connection_age_grace_ms", round(self.grace_seconds * 1e3)),
        )
