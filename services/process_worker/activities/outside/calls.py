"""Carries out one request of an execution, whatever its kind; a capability is a small process of its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from process_worker.activities.outside import functions, http, openapi, rpc
from process_worker.activities.outside.credentials import Credentials
from process_worker.activities.outside.documents import Documents
from process_worker.activities.outside.gateway import Gateway
from process_worker.activities.outside.secrets import Secrets
from process_worker.activities.outside.tokens import Tokens
from process_worker.engine.faults import Fault, standard
from process_worker.engine.interpreter import Interpreter
from process_worker.engine.ports import Busy, EvaluationFault, Killed, Request
from process_worker.engine.run import Setting
from process_worker.jq.evaluator import Evaluator
from process_worker.workflow.steps import Perform
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
        """What this process can reach: with its secrets, and the functions that are installed in it."""
        return cls(
            documents=Documents(refinery),
            evaluator=evaluator,
            gateway=gateway,
            credentials=Credentials(Secrets.from_environment(evaluator), Tokens(gateway)),
            functions={**functions.installed(), **functions.LedgerFunctions(refinery).by_name()},
        )

    async def perform(self, asked: Perform) -> Any:
        """
        Do it.

        Raises:
            Fault: it failed for good.
            RefineryError: the ledger refused it.
        """
        match asked.kind:
            case "http":
                return await self._http(asked)
            case "openapi":
                return await self._openapi(asked)
            case "grpc":
                authorization = await self.credentials.headers(asked.what["authentication"])
                ref = asked.what["descriptor"]
                descriptor = None if ref is None else await self.documents.solution(ref)
                with self.credentials.shown(authorization):
                    return await rpc.call(self.gateway, asked.what, authorization, descriptor)
            case "capability":
                return await self._capability(asked)
            case "python":
                caller = functions.Caller(UUID(asked.key), asked.behalf)
                name, arguments = asked.what["function"], asked.what["arguments"]
                return await functions.call(self.functions, name, arguments, caller)
            case "emit":
                return await self.documents.emit(asked)
            case "fetch":
                return await self.documents.solution(asked.what["ref"])
        raise standard("configuration", f"a call of {asked.kind} is not supported by this worker")

    async def evaluate(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        """Evaluate, with time to spare.

        Raises:
            EvaluationFault: also where it had to be killed.
            Busy: there is no answer yet.
        """
        try:
            return await self.evaluator.evaluate_patiently(expressions, value, variables)
        except Busy:
            raise
        except Killed as killed:
            raise EvaluationFault(f"${{ {expressions[0].source} }}: {killed}") from None

    async def _http(self, asked: Perform) -> Any:
        authorization = await self.credentials.headers(asked.what["authentication"])
        request = http.asked_of(asked.what, authorization, asked.key)
        with self.credentials.shown(authorization):
            reply = await self.gateway.send(request, follow=asked.what["redirect"])
            return http.output_of(asked.what, request, reply)

    async def _openapi(self, asked: Perform) -> Any:
        source, base = asked.what["document"], asked.what["document"].get("uri")
        if base is None:
            document = await self.documents.solution(source["ref"])
        else:
            get = {"method": "GET", "uri": base, "answer": "content", "redirect": False}
            authorization = await self.credentials.headers(asked.what["document_authentication"])
            request = http.asked_of(get, authorization, asked.key)
            with self.credentials.shown(authorization):
                document = http.output_of(get, request, await self.gateway.send(request))
        what = openapi.request_of(document, asked.what, base)
        what["authentication"] = asked.what["authentication"]
        return await self._http(replace(asked, what=what))

    async def _capability(self, asked: Perform) -> Any:
        vibe = await self.documents.vibe(asked.what["ref"])
        if vibe.type is not VibeType.CAPABILITY:
            raise standard("configuration", f"'{vibe.ref}' is a {vibe.type}, not a CAPABILITY")
        try:
            capability = read_capability(vibe.solution)
        except ProcessFault as fault:
            raise standard("configuration", f"the capability '{vibe.ref}' is refused at {fault}") from None
        setting = Setting(
            workflow=asked.key,
            input=asked.what["arguments"],
            frozen=asked.frozen,
            bundles=await self.documents.bundles(capability.schemas, asked.frozen),
        )
        try:
            return await Interpreter(_alone(capability), _Ports(self, asked), setting).run()
        except Fault as fault:
            # Where in the capability it was says nothing to the process.
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
    """The engine's ports outside the workflow: nothing is recorded, and all of it may be done again."""

    calls: Calls
    asked: Perform

    async def evaluate(
        self, expressions: Sequence[Expression], value: Any, variables: Mapping[str, Any]
    ) -> list[Any]:
        return await self.calls.evaluate(expressions, value, variables)

    async def perform(self, request: Request) -> Any:
        # A capability is one call, so the key of the one is the key of the other.
        asked = Perform(request.kind, request.pointer, self.asked.key, request.what, self.asked.behalf)
        return await self.calls.perform(asked)

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
