"""Everything on this machine: what `refinery up` starts, watches over and stops."""

from __future__ import annotations

from typing import Final

LOCAL_ROLE: Final = "main@roles/local?1"
"""The Role that the command acts as unless told otherwise; `up` makes it."""
