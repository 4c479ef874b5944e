"""Columns that the tables of several verbs share."""

from __future__ import annotations

from typing import Final

from refinery_cli.show.output import Columns
from refinery_cli.show.plain import clock
from refinery_client.answers import Dependency, Vibe

VIBES: Final[Columns[Vibe]] = {
    "ref": lambda vibe: vibe.ref,
    "type": lambda vibe: vibe.type.value,
    "position": lambda vibe: vibe.position,
    "time": lambda vibe: clock(vibe.time),
    "author": lambda vibe: vibe.author_ref,
}
DEPENDENCIES: Final[Columns[Dependency]] = {
    "ref": lambda dependency: dependency.ref,
    "depth": lambda dependency: dependency.depth,
    "reference": lambda dependency: "floating" if dependency.floating else "exact",
}
