"""The Python client of Refinery: typed, async, and retrying while servers restart."""

from refinery_client.access import Access, Denial, HeldRole, Identity, RoleRule
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
from refinery_client.channels import Tls
from refinery_client.connection import Refinery
from refinery_client.drafts import ABSENT, Absent, Draft, JsonText, Refine
from refinery_client.executions import (
    CapabilityCalled,
    EventSent,
    Execution,
    ExecutionEvent,
    ExecutionEventType,
    ExecutionNews,
    ExecutionStarted,
    ExecutionState,
    ExecutionStory,
)
from refinery_client.many import Outcome
from refinery_client.refusals import (
    DeadlineExceeded,
    NoToken,
    NotServed,
    Refused,
    Unreachable,
    WriteUnanswered,
)
from refinery_client.schedules import Firing, Schedule, Scheduled, ScheduleState
from refinery_core.process.standard_errors import Problem
from refinery_core.vibe.roles import Verb

__all__ = [
    "ABSENT",
    "Absent",
    "Access",
    "Answers",
    "BranchCreated",
    "CapabilityCalled",
    "Change",
    "DeadlineExceeded",
    "Denial",
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
    "HeldRole",
    "Identity",
    "Impact",
    "ImpactVerdict",
    "JsonText",
    "LineageDirection",
    "LineageStep",
    "NoToken",
    "NotServed",
    "Outcome",
    "Problem",
    "Refine",
    "Refined",
    "Refinery",
    "Refused",
    "ResolvedReference",
    "ResolvedSchema",
    "RoleRule",
    "Schedule",
    "ScheduleState",
    "Scheduled",
    "SchemaForm",
    "Tls",
    "Unreachable",
    "Validation",
    "Verb",
    "Vibe",
    "WriteUnanswered",
]
