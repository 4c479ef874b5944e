"""`refinery refine`: the one write, from flags or from a request file."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Group, Parameter

from refinery_cli.options import HERE, Count, Output, RequestId, Services, document, request_id_of
from refinery_cli.read.documents import STDIN, document_of
from refinery_cli.read.requests import read_request
from refinery_cli.show.failures import Usage, note, repeatable
from refinery_cli.show.output import Columns, Form, print_facts, print_json, print_table, say
from refinery_cli.show.plain import moment, plain
from refinery_client.answers import Refined, Vibe
from refinery_client.connection import Refinery
from refinery_client.drafts import Draft, Refine
from refinery_core.vibe.model import VibeType
from refinery_local import LOCAL_ROLE

COLUMNS: Columns[Vibe] = {
    "ref": lambda vibe: vibe.ref,
    "type": lambda vibe: vibe.type.value,
    "digest": lambda vibe: f"{vibe.digest.hex()[:16]}…",
}


@Parameter(name="*", group=Group("The new Vibe", sort_key=1))
@dataclass(frozen=True, kw_only=True)
class DraftOptions:
    """The options that make a draft. Documents are inline JSON, @FILE, or - for standard input."""

    type: Annotated[VibeType | None, Parameter(help="The kind of thing.")] = None
    id: Annotated[str | None, Parameter(help="The id that it is a version of: schemas/user.")] = None
    context: Annotated[str | None, document("Its origin: inline JSON, @FILE, or -.")] = None
    schema: Annotated[str | None, document("The schema of the solution, likewise.")] = None
    solution: Annotated[str | None, document("The content, likewise.")] = None
    prototype: Annotated[str | None, Parameter(help="A Vibe from which to take the documents left out.")] = (
        None
    )
    repin: Annotated[bool, Parameter(negative="", help="Pin the floating references of the schema anew.")] = (
        False
    )
    expect: Annotated[Count | None, Parameter(help="The revision that must be the latest; 0: none.")] = None
    on: Annotated[
        tuple[str, ...],
        Parameter(negative="", help="A branch to write to; again for more. Default: --branch."),
    ] = ()

    def draft(self) -> Draft:
        """Read the documents."""
        if self.type is None or self.id is None:
            raise Usage("refine takes a --type and an --id, or a --file with a whole request.")
        if [self.context, self.schema, self.solution].count(STDIN) > 1:
            raise Usage("Standard input can be only one of the documents.")
        return Draft(
            type=self.type,
            id=self.id,
            branches=self.on,
            expected_revision=self.expect,
            prototype_ref=self.prototype,
            repin=self.repin,
            context=document_of(self.context, "--context"),
            schema=document_of(self.schema, "--schema"),
            solution=document_of(self.solution, "--solution"),
        )


@Parameter(name="*", group=Group("Inputs", sort_key=2))
@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """The inputs: refs or `aug:` references; each option again for more."""

    target: Annotated[tuple[str, ...], Parameter(negative="", help="A Vibe that it is made from.")] = ()
    instruction: Annotated[tuple[str, ...], Parameter(negative="", help="A Vibe that it is made under.")] = ()
    budget: Annotated[tuple[str, ...], Parameter(negative="", help="A Vibe that it is made within.")] = ()


NO_DRAFT: Final = DraftOptions()
NO_INPUTS: Final = InputOptions()


async def refine(
    *,
    draft: DraftOptions = NO_DRAFT,
    inputs: InputOptions = NO_INPUTS,
    file: Annotated[
        Path | None, document("A whole request in JSON or YAML, in place of one new Vibe; or -.")
    ] = None,
    author: Annotated[
        str | None,
        Parameter(help=f"The acting Role or Process. Default: the file, REFINERY_AUTHOR, {LOCAL_ROLE}."),
    ] = None,
    branch: Annotated[
        str | None,
        Parameter(help="The branch of references and drafts. Default: the file, REFINERY_BRANCH, main."),
    ] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Check everything, write nothing.")] = False,
    request_id: RequestId = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """
    Commit Vibes: all of the request, or nothing.

    A request file has the fields of a RefineRequest, with documents as they are:
    author_ref, branch, target_refs, instruction_refs, budget_refs, request_id,
    and drafts, each with type, id and the other fields of a draft. When this
    returns without error, the Vibes are durable; `verify --expect` takes the
    printed chain.
    """
    if file is not None and draft != NO_DRAFT:
        raise Usage("--file brings its own drafts; leave out the options of the new Vibe.")
    request = Refine(author_ref="", drafts=[draft.draft()]) if file is None else read_request(file)
    request = replace(
        request,
        author_ref=author or request.author_ref or os.environ.get("REFINERY_AUTHOR") or LOCAL_ROLE,
        branch=branch or request.branch or os.environ.get("REFINERY_BRANCH", ""),
        target_refs=[*request.target_refs, *inputs.target],
        instruction_refs=[*request.instruction_refs, *inputs.instruction],
        budget_refs=[*request.budget_refs, *inputs.budget],
        validate_only=dry_run or request.validate_only,
        request_id=request_id_of(request_id) or request.request_id,
    )
    async with services.connect() as refinery:
        refined = await send(refinery, request)
    print_refined(refined, output)


async def send(refinery: Refinery, request: Refine) -> Refined:
    """Refine, and if the outcome is unknown say how to repeat the request."""
    with nullcontext() if request.validate_only else repeatable(request.request_id):
        return await refinery.refine(
            author_ref=request.author_ref,
            drafts=request.drafts,
            request_id=request.request_id,
            branch=request.branch,
            target_refs=request.target_refs,
            instruction_refs=request.instruction_refs,
            budget_refs=request.budget_refs,
            validate_only=request.validate_only,
        )


def print_refined(refined: Refined, output: Form) -> None:
    """Print the result of a refine."""
    if output != "text":
        print_json(plain(refined), output)
        return
    print_table(COLUMNS, refined.vibes)
    if refined.truncated and refined.refinement is not None:
        position = refined.refinement.position
        note(f"There are more; refinery list --after {position - 1} --until {position} --limit 0 lists all.")
    say()
    if refined.refinement is None:
        say("Nothing was written: this was a dry run, and its numbers are a forecast.")
        return
    print_facts({
        "position": refined.refinement.position,
        "chain": f"{refined.refinement.position}:{refined.refinement.chain.hex()}",
        "time": moment(refined.refinement.time),
        "request": refined.request_id,
        "replayed": "yes, this had been committed before" if refined.replayed else "",
    })  # fmt: skip
