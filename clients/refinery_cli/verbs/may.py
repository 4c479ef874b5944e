"""`refinery may`: whether somebody may do something, or might then, and by whose decision."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from refinery_cli.options import HERE, AsOf, Branch, Output, Services, context_of
from refinery_cli.show.failures import Usage
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
    branch: Branch = "main",
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
    return 0 if access.allowed else 1
