"""Processes with their inputs and outcomes: executed by the engine alone and on Temporal."""

from tests.cases.scenarios.calls import CALLS
from tests.cases.scenarios.data import DATA
from tests.cases.scenarios.errors import ERRORS
from tests.cases.scenarios.events import EVENTS
from tests.cases.scenarios.flow import FLOW

__all__ = ["CALLS", "DATA", "ERRORS", "EVENTS", "FLOW", "SCENARIOS"]

SCENARIOS = [*DATA, *FLOW, *ERRORS, *CALLS, *EVENTS]
