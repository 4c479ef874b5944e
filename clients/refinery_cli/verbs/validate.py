"""`refinery validate`: a solution checked against a schema."""

from __future__ import annotations

from typing import Annotated

from refinery_cli.options import (
    HERE,
    AsOf,
    Branch,
    Output,
    Reference,
    Repin,
    SchemaText,
    Services,
    context_of,
    document,
)
from refinery_cli.read.documents import STDIN, document_of
from refinery_cli.show.failures import Usage, note, violation_line
from refinery_cli.show.output import print_json, say
from refinery_cli.show.plain import plain


async def validate(
    reference: Reference | None = None,
    /,
    *,
    schema: SchemaText = None,
    solution: Annotated[
        str | None, document("The solution, likewise. Default: that of the reference.")
    ] = None,
    repin: Repin = False,
    branch: Branch = "main",
    as_of: AsOf = None,
    output: Output = "text",
    services: Services = HERE,
) -> int:
    """
    Check a solution against the schema of a Vibe, or one that is not stored.

    Exit code 1 if it does not satisfy it.
    """
    if (reference is None) == (schema is None):
        raise Usage("validate takes a reference or a --schema, one of the two.")
    if schema == solution == STDIN:
        raise Usage("Standard input can be only one of the documents.")
    async with services.connect() as refinery:
        validation = await refinery.validate_solution(
            reference,
            schema=document_of(schema, "--schema"),
            solution=document_of(solution, "--solution"),
            context=context_of(branch, as_of),
            repin=repin,
        )
    if output != "text":
        print_json(plain(validation), output)
    elif validation.valid:
        say("valid")
    else:
        say("invalid")
        for violation in validation.violations:
            say(f"  {violation_line(violation)}")
        if validation.truncated:
            note("There are more violations than these.")
    return 0 if validation.valid else 1
