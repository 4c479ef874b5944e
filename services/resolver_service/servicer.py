"""ResolverService: each method reads the request, asks, and writes the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from grpc.aio import ServicerContext as Context

from refinery.resolver.v1 import resolver_service_pb2 as pb
from refinery.resolver.v1 import resolver_service_pb2_grpc as pb_grpc
from refinery_core.fields import context_from, reference_from
from refinery_core.kept import Kept
from refinery_core.pages import page_size
from refinery_core.serving.large import LARGE_BYTES, Entrance, read
from refinery_core.serving.principal import caller_of, current_caller
from refinery_core.vibe.roles import Reader
from refinery_core.wire import DocumentForm, document_form, vibe_message
from resolver_service import dependencies, impact, wire
from resolver_service.dependencies import Remembered
from resolver_service.forms import SchemaForm
from resolver_service.schemas import Schemas, Source

Question = tuple[str, int, DocumentForm]
"""A Vibe by canonical name, and how its schema is composed and written."""


@dataclass(frozen=True)
class ResolverServicer(pb_grpc.ResolverServiceServicer):
    """The resolver over gRPC."""

    schemas: Schemas
    answers: Kept[Question, pb.ResolveSchemaResponse] = field(default_factory=lambda: Kept(32 << 20))
    dependents: Remembered = field(default_factory=lambda: Kept(64 << 20))
    entrance: Entrance = field(default_factory=Entrance)

    async def ResolveReference(
        self, request: pb.ResolveReferenceRequest, context: Context[Any, Any]
    ) -> pb.ResolveReferenceResponse:
        """Find the Vibe that a reference means."""
        uri = reference_from(request.reference, "reference", with_fragment=True)
        from_ = context_from(request.context)
        vibe, position = await self.schemas.resolve_reference(uri, from_, await self._reader())
        return pb.ResolveReferenceResponse(vibe=vibe_message(vibe, full=False), read_position=position)

    async def ResolveSchema(
        self, request: pb.ResolveSchemaRequest, context: Context[Any, Any]
    ) -> pb.ResolveSchemaResponse:
        """Compose a schema. The answer for a ref never changes, so it is kept as it is sent."""
        document = document_form(context.invocation_metadata())
        reader = await self._reader()
        if reader.everything and not request.repin and not request.HasField("context"):
            answer = self.answers.get((request.reference, request.form or SchemaForm.BUNDLED, document))
            if answer is not None:
                return answer
        form = wire.schema_form(request.form)
        size = request.ByteSize()
        large = size >= LARGE_BYTES
        async with self.entrance.let_in(size, caller_of(context), large=large):
            source = await read(partial(wire.source, request), large=large)
            return await self._resolved(source, reader, form, document)

    async def _reader(self) -> Reader:
        """The caller's right to read."""
        return await self.schemas.rights.reader(current_caller())

    async def _resolved(
        self, source: Source, reader: Reader, form: SchemaForm, document: DocumentForm
    ) -> pb.ResolveSchemaResponse:
        name = await self.schemas.name(source, reader)
        answer = self.answers.get((name, form, document)) if name else None
        if answer is None:
            resolved = await self.schemas.resolve(source, name, form, reader)
            answer = wire.resolve_schema_response(resolved, document)
            if name:
                self.answers.keep((name, form, document), answer, 500 + 2 * answer.ByteSize())
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
            found = await self.schemas.validate(source, solution, await self._reader())
            return wire.validate_solution_response(found)

    async def ListDependencies(
        self, request: pb.ListDependenciesRequest, context: Context[Any, Any]
    ) -> pb.ListDependenciesResponse:
        """List a page of dependencies."""
        size, asked = page_size(request.page_size), wire.dependencies(request)
        page = await dependencies.list_dependencies(
            self.schemas.vibes, asked, size, request.page_token, await self._reader()
        )
        found = wire.dependency_messages(page.items)
        return pb.ListDependenciesResponse(dependencies=found, next_page_token=page.next_page_token)

    async def ListDependents(
        self, request: pb.ListDependentsRequest, context: Context[Any, Any]
    ) -> pb.ListDependentsResponse:
        """List a page of dependents."""
        size, asked = page_size(request.page_size), wire.dependents(request)
        page = await dependencies.list_dependents(
            self.schemas.vibes,
            asked,
            size,
            request.page_token,
            reader=await self._reader(),
            remembered=self.dependents,
        )
        found = wire.dependency_messages(page.items)
        return pb.ListDependentsResponse(dependents=found, next_page_token=page.next_page_token)

    async def AnalyzeImpact(
        self, request: pb.AnalyzeImpactRequest, context: Context[Any, Any]
    ) -> AsyncIterator[pb.AnalyzeImpactResponse]:
        """Send the effect of a change, part by part."""
        size = request.ByteSize()
        large = size >= LARGE_BYTES
        async with self.entrance.let_in(size, caller_of(context), large=large):
            change = await read(partial(wire.change, request), large=large)
        reader = await self._reader()
        async with aclosing(
            impact.analyze(self.schemas.vibes, self.schemas.composer, change, reader)
        ) as parts:
            async for part in parts:
                for message in wire.impact_parts(part):
                    yield message
