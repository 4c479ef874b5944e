"""How connections are watched, and let go: what gRPC is told of them."""

from __future__ import annotations

from dataclasses import dataclass

from refinery_core.serving.around import MOST_RECEIVED_BYTES

@dataclass(frozen=True, slots=True)
class Connections:
    """How long connections live, and how often both sides may ask whether the other is there; in seconds."""

    age_seconds: float = 300.0
    """Then a connection takes no new call. Clients that balance by DNS look for servers when one ends."""
    grace_seconds: float = 30.0
    """For what still runs on it."""
    keepalive_seconds: float = 60.0
    """After so much silence the server asks."""
    ping_seconds: float = 30.0
    """A client that asks more often than this, again and again, loses its connection (too_many_pings)."""

    def options(self) -> tuple[tuple[str, int], ...]:
        """Give them as arguments of a gRPC server."""
        return (
            ("grpc.max_receive_message_length", MOST_RECEIVED_BYTES),
            # On by default, and then a second server shares the port unnoticed.
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_time_ms", round(self.keepalive_seconds * 1e3)),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", round(self.ping_seconds * 1e3)),
            ("grpc.max_connection_age_ms", round(self.age_seconds * 1e3)),
            ("grpc.max_connection_age_grace_ms", round(self.grace_seconds * 1e3)),
        )
