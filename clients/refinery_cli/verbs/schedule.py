"""`refinery schedule`: executes processes at given times."""

from __future__ import annotations

import uuid
from typing import Annotated
from uuid import UUID

from cyclopts import App, Parameter

from refinery_cli.options import (
    HERE,
    Author,
    Branch,
    Limit,
    Output,
    Reference,
    RequestId,
    Services,
    document,
    request_id_of,
)
from refinery_cli.read.documents import document_of
from refinery_cli.show.failures import Usage, note, repeatable
from refinery_cli.show.output import (
    Columns,
    print_done,
    print_facts,
    print_json,
    print_stream,
    print_table,
    say,
)
from refinery_cli.show.plain import clock, moment, plain
from refinery_cli.verbs.execution import OnlyProcess, ref_of
from refinery_client.schedules import Firing, Schedule
from refinery_local import LOCAL_ROLE

app = App(name="schedule", help="Have processes executed by their schedule.", help_format="plaintext")

Id = Annotated[str, Parameter(help="The schedule: the UUID that `schedule make` prints.")]

COLUMNS: Columns[Schedule] = {
    "schedule": lambda schedule: schedule.id,
    "state": lambda schedule: schedule.state.value,
    "process": lambda schedule: schedule.process,
    "times": lambda schedule: schedule.cron or f"every {schedule.every}",
    "next": lambda schedule: clock(schedule.next_times[0]) if schedule.next_times else "",
}
FIRING_COLUMNS: Columns[Firing] = {
    "time": lambda firing: moment(firing.time),
    "execution": lambda firing: firing.execution_id or "",
    "problem": lambda firing: firing.problem,
}


@app.command
async def make(
    process: Reference,
    /,
    *,
    input: Annotated[str | None, document("The input of each: inline JSON, @FILE, or -.")] = None,  # noqa: A002 -- the contract's word
    target: Annotated[
        tuple[str, ...], Parameter(negative="", help="A Vibe that each result is made from.")
    ] = (),
    budget: Annotated[
        tuple[str, ...], Parameter(negative="", help="A Vibe that each result is made within.")
    ] = (),
    result_id: Annotated[
        str, Parameter(help="The id of the results. Default: one below the process for each.")
    ] = "",
    author: Author = LOCAL_ROLE,
    branch: Branch = "main",
    request_id: RequestId = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """Execute a Process Vibe at the times of its `schedule`."""
    document_, id_ = document_of(input, "--input"), request_id_of(request_id) or uuid.uuid4()
    async with services.connect() as refinery:
        with repeatable(id_):
            scheduled = await refinery.schedule_process(
                process,
                author_ref=author,
                input=document_,
                target_refs=target,
                budget_refs=budget,
                branch=branch,
                result_id=result_id,
                request_id=id_,
            )
    if output != "text":
        print_json(plain(scheduled), output)
        return
    _print_schedule(scheduled.schedule)
    if scheduled.replayed:
        note("This request had been scheduled before.")


@app.command
async def get(id: Id, /, *, output: Output = "text", services: Services = HERE) -> None:  # noqa: A002 -- as above
    """Show the state of a schedule, its last firings and its next times."""
    async with services.connect() as refinery:
        schedule = await refinery.get_schedule(_schedule_id(id))
    if output != "text":
        print_json(plain(schedule), output)
        return
    _print_schedule(schedule)
    if schedule.firings:
        say()
        print_table(FIRING_COLUMNS, schedule.firings)


@app.command(name="list")
async def list_(
    process: OnlyProcess = None,
    /,
    *,
    branch: Branch = "main",
    limit: Limit = 100,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """List the schedules that have not been ended."""
    async with services.connect() as refinery:
        schedules = refinery.list_schedules(process_ref=await ref_of(refinery, process, branch))
        if await print_stream(output, COLUMNS, schedules, plain, limit=limit):
            note(f"There are more than {limit}; --limit 0 lists all.")


@app.command
async def pause(
    id: Id,  # noqa: A002 -- as above
    /,
    *,
    reason: Annotated[str, Parameter(help="The reason, for the record.")] = "",
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """
    Pause a schedule: it skips its times until it is resumed.

    A reason stays until another is given.
    """
    async with services.connect() as refinery:
        await refinery.pause_schedule(_schedule_id(id), reason=reason)
    print_done(output, f"Schedule {id} is paused.", id=id, asked="pause")


@app.command
async def resume(id: Id, /, *, output: Output = "text", services: Services = HERE) -> None:  # noqa: A002 -- as above
    """Resume a paused schedule with its next time."""
    async with services.connect() as refinery:
        await refinery.resume_schedule(_schedule_id(id))
    print_done(output, f"Schedule {id} goes on.", id=id, asked="resume")


@app.command
async def end(
    id: Id,  # noqa: A002 -- as above
    /,
    *,
    author: Author = LOCAL_ROLE,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """End a schedule for good. Executions under way go on."""
    async with services.connect() as refinery:
        await refinery.end_schedule(_schedule_id(id), author_ref=author)
    print_done(output, f"Schedule {id} is ended.", id=id, asked="end")


def _schedule_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Usage(f"'{text}' is not the id of a schedule: that is a UUID.") from None


def _print_schedule(schedule: Schedule) -> None:
    print_facts({
        "schedule": schedule.id,
        "state": schedule.state.value,
        "why": schedule.pause_reason,
        "process": schedule.process,
        "version": schedule.process_ref,
        "times": COLUMNS["times"](schedule),
        "next": ", ".join(map(clock, schedule.next_times[:3])),
        "made": moment(schedule.start_time),
        "ended": moment(schedule.end_time) if schedule.end_time else "",
        "record": schedule.record_ref,
    })  # fmt: skip
