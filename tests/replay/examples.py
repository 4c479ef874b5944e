"""Every document of `examples/`, with the outcomes that matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from unittest.mock import ANY

from refinery_cli.read.yaml import read_yaml
from refinery_client import Draft
from refinery_core.vibe.model import VibeType
from tests.cases.scenario import STANDARD, WORLD, event
from tests.replay.case import Case, case

FOLDER: Final = Path(__file__).parents[2] / "examples"


def _example(name: str, outcome: str, **given: Any) -> Case:
    document = read_yaml((FOLDER / f"{name}.yaml").read_text(), name)
    return case(f"example-{name}-{outcome}", document.pop("do"), top=document, **given)


_CONTROLLER: Final = Draft(type=VibeType.ROLE, id="roles/controller", solution={})
_ROLE: Final = {"aug:/roles/controller": _CONTROLLER}


def _approval(*, approved: bool) -> Case:
    answer = event(
        "1", "refinery.approval.v1", author_ref="main@roles/controller?1", data={"approved": approved}
    )
    return _example(
        "approval",
        "yes" if approved else "no",
        input={"amount": 5_000},
        output={"approved": approved, "by": "controller"},
        events=[answer],
        vibes=_ROLE,
        shows="WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    )


EXAMPLES: Final = [
    _example("hello", "ada", input={"name": "Ada"}, output={"greeting": "Hello Ada!"}),
    _example("hello", "nobody", input={}, fault={"type": STANDARD + "validation"}),
    _example(
        "http-with-retry",
        "twice",
        input={"warehouse": WORLD, "article": "nuts"},
        answers={"/stock/nuts": [(503, None), (503, None), (200, {"count": 3})]},
        output={"article": "nuts", "inStock": True},
        shows="TIMER_FIRED",
    ),
    _example(
        "quotes-race",
        "south",
        input={"market": WORLD},
        answers={
            "/quotes/north": [(200, {"price": 12})],
            "/quotes/south": [(200, {"price": 9})],
            "/carriers/express": [(200, {"carrier": "any"})],
            "/carriers/parcel": [(200, {"carrier": "any"})],
        },
        output={"quote": {"price": 9}, "carrier": "any"},
    ),
    _example(
        "saga",
        "books",
        input={"agency": WORLD},
        answers={f"/{kind}": [(200, {"id": kind[0]})] for kind in ("flights", "hotels", "cars")},
        output=ANY,
    ),
    _example(
        "saga",
        "takes-back",
        input={"agency": WORLD},
        answers={
            "/flights": [(200, {"id": "f"})],
            "/hotels": [(200, {"id": "h"})],
            "/flights/f": [(200, {})],
            "/hotels/h": [(200, {})],
        },
        fault={"type": "https://example.com/errors/not-booked"},
    ),
    _example(
        "approval", "of-little", input={"amount": 50}, output={"approved": True, "by": "nobody"}, vibes=_ROLE
    ),
    _approval(approved=True),
    _approval(approved=False),
    _example(
        "schedule", "executed", output={"report": "daily", "startedAt": ANY, "day": ANY}, shows="TIMER_FIRED"
    ),
]
