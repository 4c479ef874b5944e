"""Answers as plain JSON values, under the names of the contract."""

from __future__ import annotations

import dataclasses
import enum
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from refinery_client.drafts import ABSENT


def plain(value: Any) -> Any:
    """Convert to dict, list, str, int, float, bool and None; ABSENT members are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: plain(part) for name, part in fields if part is not ABSENT}
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, enum.Enum):
        return value.value
    return str(value) if isinstance(value, UUID) else value


def moment(time: datetime) -> str:
    """A time as RFC 3339 writes it, in UTC."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def clock(time: datetime) -> str:
    """A time as a table shows it: in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
