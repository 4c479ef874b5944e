"""`refinery execution`: find, follow and stop executions."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated
from uuid import UUID

from cyclopts import App, Parameter

from refinery_cli.options import HERE, Author, Branch, Limit, Output, Services
from refinery_cli.show.failures import Usage, note
from refinery_cli.show.output import (
    Columns,
    Form,
    json_text,
    print_document,
    print_done,
    print_facts,
    print_json,
    print_stream,
    print_table,
    say,
)
from refinery_cli.show.plain import moment, plain
from refinery_cli.show.progress import screen
from refinery_client.connection import Refinery
from refinery_client.executions import Execution, ExecutionEvent, ExecutionState
from refinery_core.errors import RefineryError
from refinery_core.process.standard_errors import Problem
from refinery_core.vibe.model import Context
from refinery_local import LOCAL_ROLE

app = App(name="execution", help="Find, follow and stop executions.", help_format="plaintext")

Id = Annotated[str, Parameter(help="The execution: the UUID that `run` prints.")]
OnlyProcess = Annotated[
    str | None,
    Parameter(help="Only of this version of a Process Vibe, a ref or reference."),
]

COLUMNS: Columns[Execution] = {
    "execution": lambda execution: execution.id,
    "state": lambda execution: execution.state.value,
    "process": lambda execution: execution.process_ref,
    "started": lambda execution: moment(execution.start_time),
    "ended": lambda execution: moment(execution.end_time) if execution.end_time else "",
    "result": lambda execution: execution.result_ref or problem_line(execution.problem),
}
EVENT_COLUMNS: Columns[ExecutionEvent] = {
    "number": lambda event: event.number,
    "time": lambda event: moment(event.time),
    "event": lambda event: event.type.value,
    "task": lambda event: event.task,
    "problem": lambda event: "" if event.problem is None else event.problem.title or event.problem.type,
}


@app.command
async def get(id: Id, /, *, output: Output = "text", services: Services = HERE) -> None:  # noqa: A002 -- as above
    """Show the state of an execution, its events and its result."""
    async with services.connect() as refinery:
        story = await refinery.get_execution(execution_id(id))
    if output != "text":
        print_json(plain(story), output)
        return
    print_execution(story.execution)
    if story.events:
        say()
        print_table(EVENT_COLUMNS, story.events)


@app.command
async def watch(
    id: Id,  # noqa: A002 -- as above
    /,
    *,
    after: Annotated[int, Parameter(help="The number of the last event already seen.")] = 0,
    output: Output = "text",
    services: Services = HERE,
) -> int:
    """
    Follow an execution until it has ended.

    Exit code 1 if it did not complete.
    """
    async with services.connect() as refinery:
        return await follow(refinery, execution_id(id), after, output)


@app.command(name="list")
async def list_(
    process: OnlyProcess = None,
    /,
    *,
    state: Annotated[ExecutionState | None, Parameter(help="Only those in this state.")] = None,
    branch: Branch = "main",
    limit: Limit = 100,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """List executions as far back as Temporal remembers: running ones first."""
    async with services.connect() as refinery:
        executions = refinery.list_executions(
            process_ref=await ref_of(refinery, process, branch), state=state
        )
        if await print_stream(output, COLUMNS, executions, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")


@app.command
async def cancel(id: Id, /, *, output: Output = "text", services: Services = HERE) -> None:  # noqa: A002 -- as above
    """Ask an execution to stop. It may compensate first."""
    async with services.connect() as refinery:
        await refinery.cancel_execution(execution_id(id))
    print_done(output, f"Execution {id} is asked to stop.", id=id, asked="cancel")


@app.command
async def terminate(
    id: Id,  # noqa: A002 -- as above
    /,
    *,
    reason: Annotated[str, Parameter(help="The reason, for the record.")] = "",
    author: Author = LOCAL_ROLE,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """Stop an execution at once. It compensates nothing."""
    async with services.connect() as refinery:
        await refinery.terminate_execution(execution_id(id), reason=reason, author_ref=author)
    print_done(output, f"Execution {id} is terminated.", id=id, asked="terminate")


async def ref_of(refinery: Refinery, process: str | None, branch: str) -> str:
    """The ref that a list is filtered by; empty if it is not."""
    if process is None:
        return ""
    return (await refinery.resolve_reference(process, context=Context(branch))).vibe.ref


def execution_id(text: str) -> UUID:
    """Read the id of an execution."""
    try:
        return UUID(text)
    except ValueError:
        raise Usage(f"'{text}' is not the id of an execution: that is a UUID.") from None


async def follow(refinery: Refinery, id_: UUID, after: int, output: Form) -> int:
    """Show the events of an execution until it has ended; return the exit code."""
    last: Execution | None = None
    if output == "text":
        note(f"Execution {id_}; it goes on if you leave, and `refinery execution watch` finds it again.")
    async with aclosing(refinery.watch_execution(id_, after_number=after)) as all_news:
        with screen(output) as shown:
            async for news in all_news:
                if news.event is not None:
                    shown.show(news.event)
                last = news.execution or last
    if last is None:
        note("The answer had no state of the execution.")
        return 1
    if output == "text":
        say()
        print_execution(last)
        await _print_result(refinery, last)
    else:
        print_json(plain(last), output)
    return 0 if last.state is ExecutionState.COMPLETED else 1


async def _print_result(refinery: Refinery, execution: Execution) -> None:
    if execution.result_ref is None:
        return
    try:
        result = await refinery.get_vibe(execution.result_ref)
    except RefineryError as refusal:
        note(f"The result cannot be shown: {refusal.message}")
        return
    say()
    print_document(result.solution)


def print_execution(execution: Execution) -> None:
    """Print the facts about an execution."""
    problem = execution.problem
    print_facts({
        "execution": execution.id,
        "state": execution.state.value,
        "process": execution.process_ref,
        "started": moment(execution.start_time),
        "ended": moment(execution.end_time) if execution.end_time else "",
        "tasks": ", ".join(execution.tasks),
        "listening": ", ".join(json_text(filter_, pretty=False) for filter_ in execution.listening),
        "result": execution.result_ref,
        "problem": problem_line(problem),
        "detail": problem.detail if problem else "",
        "at": problem.instance if problem else "",
        "record": execution.record_ref,
    })  # fmt: skip


def problem_line(problem: Problem | None) -> str:
    """A problem on one line; empty if there is none."""
    return "" if problem is None else f"{problem.status} {problem.title or problem.type}"
