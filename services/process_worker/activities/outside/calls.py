"""Makes the calls of an execution, of every kind; a capability is a small process of its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from process_worker.activities.outside import functions, http, openapi, rpc
from process_worker.activities.outside.credentials import Credentials
from process_worker.activities.outside.documents import Documents
from process_worker.activities.outside.functions import Caller
from process_worker.activities.outside.gateway import Gateway
from process_worker.activities.outside.secrets import Secrets
from process_worker.activities.outside.tokens import Tokens
from process_worker.engine.calls import (
    Call,
    CapabilityCall,
    Emit,
    Fetch,
    GrpcCall,
    HttpCall,
    OpenApiCall,
    PythonCall,
    RunProcess,
    StoredDocument,
)
from process_worker.engine.faults import Fault, standard
from process_worker.engine.interpreter import Interpreter
from process_worker.engine.ports import Busy, EvaluationFault, Killed, Request
from process_worker.engine.run import Setting
from process_worker.jq.evaluator import Evaluator
from refinery_client import Refinery
from refinery_core.process.checker import ProcessFault, read_capability
from refinery_core.process.model import Capability, Process
from refinery_core.process.parts import Expression
from refinery_core.vibe.model import VibeType


@dataclass(frozen=True)
class Calls:
    """Everything that a process can reach."""

    documents: Documents
    evaluator: Evaluator
    gateway: Gateway
    credentials: Credentials
    functions: Mapping[str, functions.Function]

    @classmethod
    def of(cls, refinery: Refinery, evaluator: Evaluator, gateway: Gateway) -> Calls:
        """The calls that this worker can make: with its secrets, and the functions that are installed."""
        return cls(
            documents=Documents(refinery),
            evaluator=evaluator,
            gateway=gateway,
            credentials=Credentials(Secrets.from_environment(evaluator), Tokens(gateway)),
            functions={**functions.installed(), **functions.LedgerFunctions(refinery).by_name()},
        )

    async def perform(self, call: Call, caller: Caller, frozen: Mapping[str, str] | None = None) -> Any:
        """
        Make a call. `frozen` is what the references of a called capability stand for.

        Raises:
            Fault: it failed for good.
            RefineryError: the ledger refused it.
        """
        match call:
            case HttpCall():
                return await self._http(call, caller)
            case OpenApiCall():
                return await self._http(await self._operation(call, caller), caller)
            case GrpcCall():
                return await self._grpc(call)
            case CapabilityCall():
                return await self._capability(call, caller, frozen or {})
            case PythonCall():
                return await functions.call(self.functions, call.function, call.arguments, caller)
            case Emit():
                return await self.documents.emit(call.event, caller)
            case Fetch():
                return await self.documents.solution(call.ref)

    async def evaluate(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        """Evaluate expressions, with the patience of an activity.

        Raises:
            EvaluationFault: one cannot be evaluated, or was killed.
            Busy: there is no result yet.
        """
        try:
            return await self.evaluator.evaluate_patiently(expressions, value, variables)
        except Busy:
            raise
        except Killed as killed:
            raise EvaluationFault(f"${{ {expressions[0].source} }}: {killed}") from None

    async def _http(self, call: HttpCall, caller: Caller) -> Any:
        authorization = await self.credentials.headers(call.authentication)
        request = http.asked_of(call, authorization, str(caller.key))
        with self.credentials.shown(authorization):
            reply = await self.gateway.send(request, follow=call.redirect)
            return http.output_of(call, request, reply)

    async def _operation(self, call: OpenApiCall, caller: Caller) -> HttpCall:
        if isinstance(call.document, StoredDocument):
            return openapi.request_of(await self.documents.solution(call.document.ref), call, None)
        get = HttpCall("GET", call.document.uri, authentication=call.document_authentication)
        return openapi.request_of(await self._http(get, caller), call, get.uri)

    async def _grpc(self, call: GrpcCall) -> Any:
        authorization = await self.credentials.headers(call.authentication)
        descriptor = None if call.descriptor is None else await self.documents.solution(call.descriptor)
        with self.credentials.shown(authorization):
            return await rpc.call(self.gateway, call, authorization, descriptor)

    async def _capability(self, call: CapabilityCall, caller: Caller, frozen: Mapping[str, str]) -> Any:
        vibe = await self.documents.vibe(call.ref)
        if vibe.type is not VibeType.CAPABILITY:
            raise standard("configuration", f"'{vibe.ref}' is a {vibe.type}, not a CAPABILITY")
        try:
            capability = read_capability(vibe.solution)
        except ProcessFault as fault:
            raise standard("configuration", f"the capability '{vibe.ref}' is refused at {fault}") from None
        setting = Setting(
            workflow=str(caller.key),
            input=call.arguments,
            frozen=frozen,
            bundles=await self.documents.bundles(capability.schemas, frozen),
        )
        try:
            return await Interpreter(_alone(capability), _Ports(self, caller), setting).run()
        except Fault as fault:
            # The process knows nothing of places in the capability.
            problem = fault.problem
            detail = f"{vibe.ref}: {problem.detail}" if problem.detail else f"{vibe.ref} failed"
            raise Fault(type(problem)(problem.type, problem.status, problem.title, detail)) from None


def _alone(capability: Capability) -> Process:
    return Process(
        namespace="capability",
        name="capability",
        version="1.0.0",
        tasks=(capability.call,),
        secrets=capability.secrets,
    )


@dataclass(frozen=True)
class _Ports:
    """The engine's ports outside a workflow: nothing is recorded, and everything may be repeated."""

    calls: Calls
    caller: Caller

    async def evaluate(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        return await self.calls.evaluate(expressions, value, variables)

    async def perform(self, request: Request) -> Any:
        assert not isinstance(request.call, RunProcess)  # The checker refuses a capability that runs one.
        # A capability is one call, so both have the same key.
        return await self.calls.perform(request.call, self.caller)

    async def pause(self, milliseconds: int, pointer: str) -> None:  # noqa: ARG002 -- the port's shape
        await asyncio.sleep(milliseconds / 1_000)

    async def breathe(self) -> None:
        await asyncio.sleep(0)

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def random(self) -> float:
        return random.random()  # noqa: S311 -- nothing secret about a delay

    def is_full(self) -> bool:
        return False
