"""The resolver's calls: meanings of references, composed schemas, validation, and the impact of changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from refinery.resolver.v1 import resolver_service_pb2 as pb
from refinery.resolver.v1.resolver_service_pb2_grpc import ResolverServiceStub
from refinery_client.answers import (
    Answers,
    Dependency,
    Impact,
    ResolvedReference,
    ResolvedSchema,
    SchemaForm,
    Validation,
    dependency_from,
    impact_from,
    resolved_schema_from,
    validation_from,
    vibe_from,
)
from refinery_client.drafts import ABSENT, context_message, document_message
from refinery_client.pages import items_of
from refinery_client.retry import Patience
from refinery_core.vibe.model import Context


class Resolver:
    """
    The calls of the ResolverService, one method each. It writes nothing.

    Every method may raise a RefineryError: the refusal of the server, Unreachable or
    DeadlineExceeded. `timeout_seconds` covers all attempts of one request.
    """

    def __init__(self, channel: grpc.aio.Channel, patience: Patience) -> None:
        """Call over a channel; the caller closes it."""
        self._resolver = ResolverServiceStub(channel)
        self._patience = patience

    async def resolve_reference(
        self, reference: str, *, context: Context | None = None, timeout_seconds: float | None = None
    ) -> ResolvedReference:
        """Return the Vibe that a reference means in a context."""
        request = pb.ResolveReferenceRequest(reference=reference, context=context_message(context))
        answer = await self._patience.call(self._resolver.ResolveReference, request, timeout_seconds)
        return ResolvedReference(vibe_from(answer.vibe), answer.read_position)

    async def resolve_schema(
        self,
        reference: str | None = None,
        *,
        schema: Any = ABSENT,
        form: SchemaForm = SchemaForm.BUNDLED,
        context: Context | None = None,
        repin: bool = False,
        timeout_seconds: float | None = None,
    ) -> ResolvedSchema:
        """Compose the schema of a Vibe, or one that is not stored, from those that it refers to."""
        request = pb.ResolveSchemaRequest(
            schema=document_message(schema, "schema"),
            form=pb.SchemaForm.Value(f"SCHEMA_FORM_{form.name}"),
            context=context_message(context),
            repin=repin,
        )
        if reference is not None:
            request.reference = reference
        return resolved_schema_from(
            await self._patience.call(self._resolver.ResolveSchema, request, timeout_seconds)
        )

    async def validate_solution(
        self,
        reference: str | None = None,
        *,
        schema: Any = ABSENT,
        solution: Any = ABSENT,
        context: Context | None = None,
        repin: bool = False,
        timeout_seconds: float | None = None,
    ) -> Validation:
        """Check a document against the schema of a Vibe, or one not stored; ABSENT: the Vibe's own."""
        request = pb.ValidateSolutionRequest(
            schema=document_message(schema, "schema"),
            solution=document_message(solution, "solution"),
            context=context_message(context),
            repin=repin,
        )
        if reference is not None:
            request.reference = reference
        return validation_from(
            await self._patience.call(self._resolver.ValidateSolution, request, timeout_seconds)
        )

    def list_dependencies(
        self,
        reference: str,
        *,
        context: Context | None = None,
        transitive: bool = False,
        page_size: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Dependency]:
        """List the Vibes that a schema is composed from, nearest first."""
        request = pb.ListDependenciesRequest(
            reference=reference, context=context_message(context), transitive=transitive, page_size=page_size
        )
        return items_of(
            self._patience,
            self._resolver.ListDependencies,
            request,
            lambda page: map(dependency_from, page.dependencies),
            timeout_seconds=timeout_seconds,
        )

    def list_dependents(
        self,
        reference: str,
        *,
        context: Context | None = None,
        transitive: bool = False,
        any_revision: bool = False,
        page_size: int = 0,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Dependency]:
        """List the Vibes whose schemas are composed from this one, nearest first."""
        request = pb.ListDependentsRequest(
            reference=reference,
            context=context_message(context),
            transitive=transitive,
            any_revision=any_revision,
            page_size=page_size,
        )
        return items_of(
            self._patience,
            self._resolver.ListDependents,
            request,
            lambda page: map(dependency_from, page.dependents),
            timeout_seconds=timeout_seconds,
        )

    def analyze_impact(
        self,
        id: str,  # noqa: A002 -- the contract's word
        *,
        branch: str = "",
        schema: Any = ABSENT,
        max_vibes: int = 0,
        timeout_seconds: float | None = None,
    ) -> Answers[Impact]:
        """Yield the effect of a changed schema on each Vibe that uses it; ABSENT: the change already made."""
        request = pb.AnalyzeImpactRequest(
            id=id, branch=branch, schema=document_message(schema, "schema"), max_vibes=max_vibes
        )
        parts = self._patience.stream(self._resolver.AnalyzeImpact, request, timeout_seconds)
        return Answers(
            ([impact_from(impact) for impact in part.impacts], part.truncated) async for part in parts
        )
