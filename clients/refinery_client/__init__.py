"""The Python client of Refinery: typed, async, and patient with servers that come and go."""

from refinery_client.answers import (
    Answers,
    BranchCreated,
    Change,
    Dependency,
    Impact,
    ImpactVerdict,
    LineageDirection,
    LineageStep,
    Refined,
    ResolvedReference,
    ResolvedSchema,
    SchemaForm,
    Validation,
    Vibe,
)
from refinery_client.connection import Refinery
from refinery_client.drafts import ABSENT, Absent, Draft, JsonText, Refine
from refinery_client.executions import (
    EventSent,
    Execution,
    ExecutionEvent,
    ExecutionEventType,
    ExecutionNews,
    ExecutionStarted,
    ExecutionState,
    ExecutionStory,
    Problem,
)
from refinery_client.many import Outcome
from refinery_client.refusals import DeadlineExceeded, Refused, Unreachable
from refinery_client.schedules import Firing, Schedule, Scheduled, ScheduleState

__all__ = [
    "ABSENT",
    "Absent",
    "Answers",
    "BranchCreated",
    "Change",
    "DeadlineExceeded",
    "Dependency",
    "Draft",
    "EventSent",
    "Execution",
    "ExecutionEvent",
    "ExecutionEventType",
    "ExecutionNews",
    "ExecutionStarted",
    "ExecutionState",
    "ExecutionStory",
    "Firing",
    "Impact",
    "ImpactVerdict",
    "JsonText",
    "LineageDirection",
    "LineageStep",
    "Outcome",
    "Problem",
    "Refine",
    "Refined",
    "Refinery",
    "Refused",
    "ResolvedReference",
    "ResolvedSchema",
    "Schedule",
    "ScheduleState",
    "Scheduled",
    "SchemaForm",
    "Unreachable",
    "Validation",
    "Vibe",
]
