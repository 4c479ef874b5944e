"""`refinery token`: a token for a principal, signed on this machine."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from refinery_cli.options import DATA, Data
from refinery_cli.show.failures import Usage
from refinery_cli.show.output import say
from refinery_core.serving.authentication.names import is_name
from refinery_local.issuer import ISSUER, Issuer
from refinery_local.secured import FOLDER


def token(
    *,
    for_: Annotated[
        str, Parameter(name="--for", help="The name that it is for: the principal is jwt:ISSUER#NAME.")
    ],
    group: Annotated[
        tuple[str, ...], Parameter(negative="", help="A group that it gives; again for more.")
    ] = (),
    for_seconds: Annotated[
        int, Parameter(validator=Number(gte=1, lte=31_536_000), help="The time until it expires.")
    ] = 3_600,
    data: Data = DATA,
) -> None:
    """
    Sign a token that the services of `refinery up --secure` take, and print it.

    Access to the folder is access as anybody. This is for one machine, and for
    trying things out.
    """
    for name in (f"jwt:{ISSUER}#{for_}", *(f"group:{ISSUER}#{one}" for one in group)):
        if not is_name(name) or name.endswith("#"):
            raise Usage(
                f"'{name}' cannot be held by a Role: it is too long, not printable, or ends with '*'."
            )
    say(Issuer(data.resolve() / FOLDER).token(for_, group, for_seconds))
