"""ResolverService: each method reads the request, asks, and writes the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from grpc.aio import ServicerContext as Context

from refinery.resolver.v1 import resolver_service_pb2 as pb
from refinery.resolver.v1 import resolver_service_pb2_grpc as pb_grpc
from refinery_core.answers import Answers
from refinery_core.fields import context_from, reference_from
from refinery_core.pages import page_size
from refinery_core.serving.large import LARGE_BYTES, Entrance, read
from refinery_core.serving.principal import caller_of
from refinery_core.wire import document_form, vibe_message
from resolver_service import dependencies, impact, wire
from resolver_service.downwards import Dependency
from resolver_service.schemas import Schemas


@dataclass(frozen=True)
class ResolverServicer(pb_grpc.ResolverServiceServicer):
    """The resolver over gRPC."""

    schemas: Schemas
    answers: Answers[pb.ResolveSchemaResponse] = field(default_factory=lambda: Answers(32 << 20))
    entrance: Entrance = field(default_factory=Entrance)
    dependents: Answers[Sequence[Dependency]] = field(default_factory=lambda: Answers(64 << 20))

    async def ResolveReference(
        self, request: pb.ResolveReferenceRequest, context: Context[Any, Any]
    ) -> pb.ResolveReferenceResponse:
        """Say which Vibe is meant."""
        uri = reference_from(request.reference, "reference", with_fragment=True)
        vibe, position = await self.schemas.resolve_reference(uri, context_from(request.context))
        return pb.ResolveReferenceResponse(vibe=vibe_message(vibe, full=False), read_position=position)

    async def ResolveSchema(
        self, request: pb.ResolveSchemaRequest, context: Context[Any, Any]
    ) -> pb.ResolveSchemaResponse:
        """Compose a schema. What a ref means never changes, so such answers are kept as they are sent."""
        form = document_form(context.invocation_metadata())
        question = request.reference, request.form, form
        varies = request.repin or not request.reference or request.HasField("context")
        answer = None if varies else self.answers.get(question)
        if answer is None:
            size, schema_form = request.ByteSize(), wire.schema_form(request.form)
            large = size >= LARGE_BYTES
            async with self.entrance.let_in(size, caller_of(context), large=large):
                source = await read(partial(wire.source, request), large=large)
                answer = wire.resolve_schema_response(await self.schemas.resolve(source, schema_form), form)
            if answer.ref == request.reference and not varies:
                self.answers.keep(question, answer, 500 + 2 * answer.ByteSize())
        return answer

    async def ValidateSolution(
        self, request: pb.ValidateSolutionRequest, context: Context[Any, Any]
    ) -> pb.ValidateSolutionResponse:
        """Check a solution."""
        size = request.ByteSize()
        large = size >= LARGE_BYTES
        async with self.entrance.let_in(size, caller_of(context), large=large):
            source = await read(partial(wire.source, request, with_fragment=True), large=large)
            solution = await read(partial(wire.solution, request), large=large)
            return wire.validate_solution_response(await self.schemas.validate(source, solution))

    async def ListDependencies(
        self, request: pb.ListDependenciesRequest, context: Context[Any, Any]
    ) -> pb.ListDependenciesResponse:
        """List a page of what a schema is composed from."""
        size, asked = page_size(request.page_size), wire.dependencies(request)
        page = await dependencies.list_dependencies(self.schemas.vibes, asked, size, request.page_token)
        found = wire.dependency_messages(page.items)
        return pb.ListDependenciesResponse(dependencies=found, next_page_token=page.next_page_token)

    async def ListDependents(
        self, request: pb.ListDependentsRequest, context: Context[Any, Any]
    ) -> pb.ListDependentsResponse:
        """List a page of what is composed from a Vibe."""
        size, asked = page_size(request.page_size), wire.dependents(request)
        page = await dependencies.list_dependents(
            self.schemas.vibes, asked, size, request.page_token, self.dependents
        )
        found = wire.dependency_messages(page.items)
        return pb.ListDependentsResponse(dependents=found, next_page_token=page.next_page_token)

    async def AnalyzeImpact(
        self, request: pb.AnalyzeImpactRequest, context: Context[Any, Any]
    ) -> AsyncIterator[pb.AnalyzeImpactResponse]:
        """Say what a change does."""
        size = request.ByteSize()
        large = size >= LARGE_BYTES
        async with self.entrance.let_in(size, caller_of(context), large=large):
            change = await read(partial(wire.change, request), large=large)
        async with aclosing(impact.analyze(self.schemas.vibes, self.schemas.composer, change)) as parts:
            async for part in parts:
                for message in wire.impact_parts(part):
                    yield message
