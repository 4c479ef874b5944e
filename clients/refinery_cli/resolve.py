"""Ask what references mean: resolve, validate."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from refinery_cli.documents import STDIN, document_of
from refinery_cli.failures import Usage, note, violation_line
from refinery_cli.options import HERE, AsOf, Branch, Output, Reference, Services, context_of, document
from refinery_cli.output import print_document, print_json, say
from refinery_cli.plain import plain
from refinery_client.answers import SchemaForm

SchemaText = Annotated[
    str | None, document("A schema that is not stored: inline JSON, @FILE, or - for standard input.")
]
Repin = Annotated[
    bool, Parameter(negative="", help="As it would be there and then, in place of how it was pinned.")
]


async def resolve(
    reference: Reference | None = None,
    /,
    *,
    schema: SchemaText = None,
    form: Annotated[
        Literal["pinned", "embedded", "bundled"] | None, Parameter(help="Compose the schema, in this form.")
    ] = None,
    repin: Repin = False,
    branch: Branch = "main",
    as_of: AsOf = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """
    Say which Vibe a reference means; or with --form, --schema or --repin compose a schema.

    pinned: the author's words, and beside each reference what it stands for.
    embedded: with what is referred to inside, for reading. bundled: for any JSON
    Schema validator.
    """
    if (reference is None) == (schema is None):
        raise Usage("resolve takes a reference or a --schema, one of the two.")
    context = context_of(branch, as_of)
    async with services.connect() as refinery:
        if reference is not None and form is None and not repin:
            resolved = await refinery.resolve_reference(reference, context=context)
            if output == "text":
                say(resolved.vibe.ref)
            else:
                print_json(plain(resolved), output)
            return
        composed = await refinery.resolve_schema(
            reference,
            schema=document_of(schema, "--schema"),
            form=SchemaForm(form or "bundled"),
            context=context,
            repin=repin,
        )
    if output == "text":
        print_document(composed.schema)
    else:
        answer = plain(composed)
        del answer["text"]
        print_json(answer, output)


async def validate(
    reference: Reference | None = None,
    /,
    *,
    schema: SchemaText = None,
    solution: Annotated[
        str | None, document("What to check, likewise; else the solution of the reference.")
    ] = None,
    repin: Repin = False,
    branch: Branch = "main",
    as_of: AsOf = None,
    output: Output = "text",
    services: Services = HERE,
) -> int:
    """
    Check a solution against the schema of a Vibe, or against one that is not stored.

    Exit code 1 where it does not satisfy it.
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
