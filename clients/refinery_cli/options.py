"""The options that several verbs share, and the parsers of their texts."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal
from uuid import UUID

from cyclopts import Parameter
from cyclopts.validators import Number

from refinery_cli.show.failures import Usage
from refinery_cli.show.output import Form
from refinery_client.channels import Tls
from refinery_client.connection import DEFAULT_LEDGER, DEFAULT_PROCESS, DEFAULT_RESOLVER, Refinery
from refinery_core.vibe.model import Context

MAX_POSITION: Final = 2**63 - 1
Position = Annotated[int, Parameter(validator=Number(gte=0, lte=MAX_POSITION))]
Count = Annotated[int, Parameter(validator=Number(gte=0, lte=2**31 - 1))]

OnOff = Literal["on", "off"]
Reference = Annotated[str, Parameter(help="A ref (main@schemas/user?1) or reference (aug:/schemas/user).")]
Output = Annotated[Form, Parameter(name=["--output", "-o"], help="A table, one document, or one to a line.")]
Branch = Annotated[
    str, Parameter(env_var="REFINERY_BRANCH", help="The branch from which floating references are read.")
]
OnlyBranch = Annotated[str, Parameter(help="Only Vibes that were refined on this branch itself.")]
AsOf = Annotated[
    str | None,
    Parameter(help="The moment to read at: a position, or a time (2026-11-21T09:30Z; local without a zone)."),
]
Author = Annotated[
    str, Parameter(name="--author", env_var="REFINERY_AUTHOR", help="The acting Role or Process.")
]
RequestId = Annotated[
    str | None, Parameter(help="A UUID of your own: repeated, it gives the first answer again.")
]
Transitive = Annotated[bool, Parameter(negative="", help="Also indirect ones.")]
Repin = Annotated[bool, Parameter(negative="", help="Pin again at that moment, in place of the stored pins.")]
Data = Annotated[Path, Parameter(help="The folder with all data; `up` makes it.")]
DATA: Final = Path(".refinery")
Limit = Annotated[Count, Parameter(help="The most to list; 0 for all.")]


def document(help_: str) -> Parameter:
    """Describe an option that is a document; unlike others its value may begin with a hyphen, or be one."""
    return Parameter(help=help_, allow_leading_hyphen=True)


SchemaText = Annotated[
    str | None, document("A schema that is not stored: inline JSON, @FILE, or - for standard input.")
]


@Parameter(name="*", group="Connection")
@dataclass(frozen=True, kw_only=True)
class Services:
    """The addresses of the services, the token of calls, and the time that a call may take."""

    ledger: Annotated[str, Parameter(env_var="REFINERY_LEDGER", help="The ledger, HOST:PORT.")] = (
        DEFAULT_LEDGER
    )
    resolver: Annotated[str, Parameter(env_var="REFINERY_RESOLVER", help="The resolver, HOST:PORT.")] = (
        DEFAULT_RESOLVER
    )
    process: Annotated[str, Parameter(env_var="REFINERY_PROCESS", help="The process service, HOST:PORT.")] = (
        DEFAULT_PROCESS
    )
    tls: Annotated[
        OnOff | None,
        Parameter(env_var="REFINERY_TLS", help="Speak TLS; by itself, where a CA or a certificate is given."),
    ] = None
    tls_ca: Annotated[
        str | None,
        Parameter(env_var="REFINERY_TLS_CA", help="The certificate authorities to trust: a file of PEM."),
    ] = None
    tls_cert: Annotated[
        str | None, Parameter(env_var="REFINERY_TLS_CERT", help="Your certificate: a file of PEM.")
    ] = None
    tls_key: Annotated[
        str | None, Parameter(env_var="REFINERY_TLS_KEY", help="The key of your certificate: a file of PEM.")
    ] = None
    tls_server_name: Annotated[
        str | None,
        Parameter(env_var="REFINERY_TLS_SERVER_NAME", help="The name in their certificates, if another."),
    ] = None
    timeout: Annotated[
        float,
        Parameter(
            help="Seconds that one call may take, retries included.",
            validator=Number(gt=0, lte=86_400),
        ),
    ] = 30.0
    token_file: Annotated[
        Path | None,
        Parameter(
            help="A file with the token of each call, read when it changes. [env: REFINERY_TOKEN_FILE]"
        ),
    ] = None
    token_command: Annotated[
        str | None,
        Parameter(
            help="A command that prints the token of each call. [env: REFINERY_TOKEN_COMMAND]",
            allow_leading_hyphen=True,
        ),
    ] = None

    def connect(self) -> AbstractAsyncContextManager[Refinery]:
        """Connect."""
        return Refinery.connect(
            ledger=self.ledger,
            resolver=self.resolver,
            process=self.process,
            tls=Tls(
                tls=self.tls,
                tls_ca=self.tls_ca,
                tls_cert=self.tls_cert,
                tls_key=self.tls_key,
                tls_server_name=self.tls_server_name,
            ),
            timeout_seconds=self.timeout,
            token_file=self.token_file,
            token_command=self.token_command,
        )


HERE: Final = Services()


def context_of(branch: str, as_of: str | None) -> Context:
    """The context in which references are read."""
    return Context(branch, None if as_of is None else moment_of(as_of, "--as-of"))


def moment_of(text: str, option: str) -> int | datetime:
    """Read a position or a time."""
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MAX_POSITION:
        return int(text)
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise Usage(f"{option}: '{text}' is neither a position nor a time.") from None


def request_id_of(text: str | None) -> UUID | None:
    """Read a request_id."""
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise Usage(f"--request-id: '{text}' is not a UUID.") from None
