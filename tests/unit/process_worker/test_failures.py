from __future__ import annotations

from temporalio.exceptions import ApplicationError, FailureError

from process_worker.workflow.failures import fault_of
from refinery_core.process.standard_errors import Problem


def test_a_fault_of_a_newer_worker_is_read_as_far_as_it_is_known() -> None:
    told = {"type": "urn:x", "status": 500, "title": "t", "detail": "d", "instance": "/do/0/x", "cause": {}}
    problem = fault_of(ApplicationError("no", told, type="fault")).problem
    assert problem == Problem("urn:x", 500, "t", "d", "")


def test_a_failure_without_a_problem_says_what_it_was() -> None:
    assert fault_of(FailureError("gone")).problem.detail == "gone"
