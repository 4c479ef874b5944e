"""The cases with a stored history: all examples, and all mechanisms whose order of commands matters."""

from __future__ import annotations

from typing import Final

from tests.replay.case import Case
from tests.replay.examples import EXAMPLES
from tests.replay.mechanisms.events import EVENTS
from tests.replay.mechanisms.flow import FLOW
from tests.replay.mechanisms.outside import OUTSIDE
from tests.replay.mechanisms.waiting import WAITING

FIRING: Final = "firing"
"""The one history that is not of an execution: that of a firing of a schedule."""

CASES: Final[list[Case]] = [*EXAMPLES, *FLOW, *WAITING, *EVENTS, *OUTSIDE]
