"""`refinery resolve`: the Vibe that a reference means, or a composed schema."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

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
)
from refinery_cli.read.documents import document_of
from refinery_cli.show.failures import Usage
from refinery_cli.show.output import print_document, print_json, say
from refinery_cli.show.plain import plain
from refinery_client.answers import SchemaForm


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
    Show the Vibe that a reference means, or compose a schema.

    With --form, --schema or --repin it composes. Forms: pinned, as written, with
    the exact ref beside each reference; embedded, with the referenced schemas
    inside, for reading; bundled, for any JSON Schema validator.
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
