"""The start of the worker: connects to Temporal, prepares its namespace, and waits for the ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from typing import Final, TypeVar

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client, TLSConfig
from temporalio.converter import DataConverter
from temporalio.runtime import (
    LoggingConfig,
    LoggingFormat,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import RPCError, RPCStatusCode

from process_worker.records.ledger import Ledger
from process_worker.settings import Settings
from process_worker.workflow.messages import PROCESS_KEY
from refinery_client import Draft, NoToken
from refinery_core.errors import LedgerUnavailable, RefineryError, Unauthenticated
from refinery_core.settings import CannotStart, content_of
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.refs import EXECUTIONS

T = TypeVar("T")

_PAUSE_SECONDS: Final = 0.1
_CALL: Final = timedelta(seconds=5)


async def connect(settings: Settings, converter: DataConverter = DataConverter.default) -> Client:
    """
    Connect to Temporal, and make the search attribute that executions are listed by.

    Args:
        settings: The address, the namespace, TLS and the API key.
        converter: The data converter of payloads in histories.

    Raises:
        CannotStart: Temporal does not answer in time, or refuses us.
    """
    tls = _tls(settings)

    async def attempt() -> Client:
        client = await Client.connect(
            settings.temporal_address,
            namespace=settings.temporal_namespace,
            api_key=settings.temporal_api_key,
            tls=tls,
            data_converter=converter,
            runtime=_runtime(settings.temporal_metrics_listen),
        )
        await prepare(client)
        return client

    return await _patiently(attempt, f"Temporal at {settings.temporal_address}", settings.start_seconds)


async def wait_for_ledger(ledger: Ledger, settings: Settings) -> None:
    """
    Wait until the ledger answers.

    Raises:
        CannotStart: it does not answer in time.
    """

    async def attempt() -> None:
        if not await ledger.is_ready():
            raise LedgerUnavailable(problem="it does not serve yet")

    await _patiently(attempt, f"The ledger at {settings.ledger}", settings.start_seconds)


async def see_author(ledger: Ledger, author_ref: str) -> None:
    """
    Check with a dry run that the worker's author may author the RECORDs that the worker keeps.

    Raises:
        CannotStart: the ledger would refuse it.
    """
    draft = Draft(type=VibeType.RECORD, id=f"{EXECUTIONS}payloads")
    try:
        await ledger.refinery.refine(author_ref=author_ref, drafts=[draft], validate_only=True)
    except (Unauthenticated, NoToken) as refusal:
        raise CannotStart(
            f"The ledger does not know this worker. {refusal.message} A token comes from REFINERY_TOKEN, "
            "REFINERY_TOKEN_FILE or REFINERY_TOKEN_COMMAND, a certificate from REFINERY_TLS_CERT."
        ) from refusal
    except RefineryError as refusal:
        raise CannotStart(f"REFINERY_WORKER_AUTHOR_REF cannot be an author: {refusal.message}") from refusal


async def _patiently(attempt: Callable[[], Awaitable[T]], what: str, seconds: float) -> T:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await attempt()
        except (RPCError, RuntimeError, RefineryError) as fault:
            # Temporal's client raises RuntimeError where it cannot connect.
            if time.monotonic() > deadline:
                hints = "".join(f" {hint}" for hint in getattr(fault, "__notes__", ()))
                raise CannotStart(f"{what} does not answer: {str(fault).rstrip('.')}.{hints}") from fault
        await asyncio.sleep(_PAUSE_SECONDS)


async def prepare(client: Client) -> None:
    """
    Make the search attribute that executions are listed by, if it is not there.

    Raises:
        CannotStart: it is missing, and only an operator may make it.
        RPCError: Temporal does not answer.
    """
    operator, namespace = client.operator_service, client.namespace
    try:
        known = await operator.list_search_attributes(
            ListSearchAttributesRequest(namespace=namespace), timeout=_CALL
        )
        if PROCESS_KEY.name not in known.custom_attributes:
            keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
            wanted = AddSearchAttributesRequest(
                namespace=namespace, search_attributes={PROCESS_KEY.name: keyword}
            )
            await operator.add_search_attributes(wanted, timeout=_CALL)
    except RPCError as error:
        if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED):
            await _see_attribute(client, error)
        elif error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


async def _see_attribute(client: Client, why: RPCError) -> None:
    """Check that an operator made it."""
    query = f"{PROCESS_KEY.name} = 'main@none?1'"
    try:
        await client.list_workflows(query, page_size=1).fetch_next_page()
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        raise CannotStart(
            f"The namespace '{client.namespace}' of Temporal needs a search attribute {PROCESS_KEY.name} of "
            f"type Keyword, and does not let us make it: {why.message}."
        ) from error


@cache
def _runtime(metrics_listen: str | None) -> Runtime:
    """The runtime of the SDK. It logs JSON itself; through Python's logging it may crash us as we end."""
    filter_ = TelemetryFilter(core_level="WARN", other_level="ERROR")
    metrics = None if metrics_listen is None else PrometheusConfig(bind_address=metrics_listen)
    logging = LoggingConfig(filter_, format=LoggingFormat.JSON)
    try:
        return Runtime(telemetry=TelemetryConfig(logging=logging, metrics=metrics))
    except ValueError as fault:
        raise CannotStart(f"Cannot serve Temporal's metrics on {metrics_listen}: {fault}.") from fault


def _tls(settings: Settings) -> TLSConfig | bool:
    ca, cert, key = (
        content_of(path) if path else None
        for path in (settings.temporal_tls_ca, settings.temporal_tls_cert, settings.temporal_tls_key)
    )
    if not (ca or cert or key or settings.temporal_tls_server_name):
        return settings.temporal_tls or settings.temporal_api_key is not None
    return TLSConfig(
        server_root_ca_cert=ca,
        domain=settings.temporal_tls_server_name,
        client_cert=cert,
        client_private_key=key,
    )
