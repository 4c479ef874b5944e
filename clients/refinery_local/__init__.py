"""Everything on this machine: what `refinery up` starts, watches over and stops."""

from __future__ import annotations

from typing import Final

LOCAL_ROLE: Final = "main@roles/local?1"
"""The default Role of the command; `up` makes it."""
