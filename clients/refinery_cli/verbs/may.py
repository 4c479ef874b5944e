"""`refinery may`: whether somebody may do something, or might then, and by whose decision."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from refinery_cli.options import HERE, AsOf, Output, Services, context_of
from refinery_cli.show.failures import Usage, note
from refinery_cli.show.output import print_facts, print_json
from refinery_cli.show.plain import plain
from refinery_client import Verb
from refinery_core.vibe.model import VibeType

VerbName = Literal["read", "refine", "branch", "execute", "signal", "stop", "call", "carry-out", "erase"]
TypeName = Literal["RECORD", "ROLE", "PROCESS", "CAPABILITY"]


async def may(
    verb: Annotated[VerbName, Parameter(help="The verb.")],
    id: Annotated[str, Parameter(help="With which id; none for branch.")] = "",  # noqa: A002 -- the contract's word
    /,
    *,
    principal: Annotated[str, Parameter(help="By whom; you, if it is left out.")] = "",
    group: Annotated[list[str] | None, Parameter(help="A group of that principal; may be repeated.")] = None,
    author: Annotated[str, Parameter(help="As which Role; any that is held, if it is left out.")] = "",
    branch: Annotated[
        str, Parameter(env_var="REFINERY_BRANCH", help="On which branch; for branch, its name.")
    ] = "main",
    type: Annotated[TypeName | None, Parameter(help="With which type of Vibe; else all.")] = None,  # noqa: A002
    as_of: AsOf = None,
    output: Output = "text",
    services: Services = HERE,
) -> int:
    """
    Say whether somebody may do something, and by which Role and rule.

    With --as-of, the Roles of that position or time decide.

    Exit code 1 where it may not.
    """
    if not id and verb != "branch":
        raise Usage(f"'may {verb}' takes an id: refinery may {verb} orders/7.")
    for name in group or ():
        if not name.startswith("group:"):
            raise Usage(f"--group takes a whole name, as whoami prints it: group:ISSUER#{name}.")
    async with services.connect() as refinery:
        access = await refinery.check_access(
            Verb(verb),
            id,
            branch=branch,
            type_=None if type is None else VibeType(type),
            principal=principal,
            groups=group or (),
            author_ref=author,
            as_of=context_of(branch, as_of).as_of,
        )
        is_open = not (access.allowed or (await refinery.who_am_i()).authenticated)
    if output != "text":
        print_json(plain(access), output)
    else:
        rule = "all" if access.rule is None else f"may[{access.rule}]"
        by = {"role": access.role_ref, "rule": rule, "held as": access.held_as}
        print_facts({
            "allowed": "yes" if access.allowed else "no",
            **(by if access.allowed else {}),
            "as of position": access.position,
        })  # fmt: skip
    if is_open:
        note("Nobody is authenticated here, so everybody may do everything; this is what the Roles say.")
    elif not access.allowed and type is None:
        note("Asked for Vibes of all types; --type asks for one.")
    return 0 if access.allowed else 1
