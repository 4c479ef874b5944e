"""Reads the resolver's questions from messages, and writes its answers as messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from refinery.resolver.v1 import resolver_service_pb2 as pb
from refinery_core import wire
from refinery_core.errors import InvalidField
from refinery_core.fields import bounded_from, branch_from, context_from, id_from, reference_from
from refinery_core.vibe.documents import Document
from refinery_core.vibe.model import Context
from refinery_core.wire import DocumentForm
from resolver_service.dependencies import Dependencies, Dependents
from resolver_service.downwards import Dependency
from resolver_service.forms import Resolved, SchemaForm
from resolver_service.impact import DEFAULT_VIBES, MAX_VIBES, Change, Part, Verdict
from resolver_service.schemas import Source, Validation

MAX_VIOLATION_BYTES = 1 << 20
"""The room of violations in one answer: a path can be as long as the longest key."""

MAX_PART_BYTES = 2 << 20

_VERDICTS = {verdict: pb.ImpactVerdict.Value(f"IMPACT_VERDICT_{verdict.name}") for verdict in Verdict}
_NOW = Context()


# --- Questions ----------------------------------------------------------------------------


def schema_form(number: int) -> SchemaForm:
    """Read the form of a schema."""
    try:
        return SchemaForm(number or SchemaForm.BUNDLED)
    except ValueError:
        raise InvalidField(field="form", problem=f"{number} is not a form") from None


def source(
    request: pb.ResolveSchemaRequest | pb.ValidateSolutionRequest, *, with_fragment: bool = False
) -> Source:
    """Read the source of a schema."""
    kind = request.WhichOneof("source")
    if kind is None:
        raise InvalidField(field="reference", problem="is required, or schema")
    context = context_from(request.context) if request.HasField("context") else _NOW
    if kind == "schema":
        return Source(None, wire.document_from(request.schema, "schema"), context, request.repin)
    uri = reference_from(request.reference, "reference", with_fragment=with_fragment)
    return Source(uri, None, context, request.repin)


def solution(request: pb.ValidateSolutionRequest) -> Document | None:
    """Read the solution to check; None for that of the reference."""
    if request.HasField("solution"):
        return wire.document_from(request.solution, "solution")
    if not request.HasField("reference"):
        raise InvalidField(field="solution", problem="is required with schema")
    return None


def dependencies(request: pb.ListDependenciesRequest) -> Dependencies:
    """Read a question for dependencies."""
    uri = reference_from(request.reference, "reference")
    return Dependencies(uri, context_from(request.context), request.transitive)


def dependents(request: pb.ListDependentsRequest) -> Dependents:
    """Read a question for dependents."""
    uri = reference_from(request.reference, "reference")
    return Dependents(uri, context_from(request.context), request.transitive, request.any_revision)


def change(request: pb.AnalyzeImpactRequest) -> Change:
    """Read a change."""
    return Change(
        id=id_from(request.id, "id"),
        branch=branch_from(request.branch, "branch"),
        schema=wire.document_from(request.schema, "schema") if request.HasField("schema") else None,
        max_vibes=bounded_from(request.max_vibes, DEFAULT_VIBES, MAX_VIBES, "max_vibes"),
    )


# --- Answers ------------------------------------------------------------------------------


def resolve_schema_response(resolved: Resolved, form: DocumentForm) -> pb.ResolveSchemaResponse:
    """Write a resolved schema."""
    message = pb.ResolveSchemaResponse(
        pins=[wire.pin_message(pin) for pin in resolved.pins],
        dependencies=resolved.dependencies,
        ref=resolved.ref,
    )
    if form is DocumentForm.JSON:
        message.schema.json = resolved.schema
    else:
        wire.write_document(message.schema, resolved.schema, form)
    return message


def validate_solution_response(validation: Validation) -> pb.ValidateSolutionResponse:
    """Write whether a solution is valid, with as many violations as fit."""
    written = wire.fitting_violations(validation.violations, MAX_VIOLATION_BYTES)
    return pb.ValidateSolutionResponse(
        valid=not validation.violations,
        violations=written,
        truncated=validation.truncated or len(written) < len(validation.violations),
    )


def dependency_messages(found: Iterable[Dependency]) -> list[pb.Dependency]:
    """Write a page."""
    return [pb.Dependency(ref=one.ref, depth=one.depth, floating=one.floating) for one in found]


def impact_parts(part: Part) -> Iterator[pb.AnalyzeImpactResponse]:
    """Write a part of an impact, in several messages where one would be too large."""
    message, size = pb.AnalyzeImpactResponse(), 0
    for one in part.impacts:
        impact = pb.Impact(
            ref=one.ref,
            verdict=_VERDICTS[one.verdict],
            depth=one.depth,
            violations=wire.fitting_violations(one.violations, MAX_VIOLATION_BYTES),
            message=one.message,
        )
        size += impact.ByteSize()
        if message.impacts and size > MAX_PART_BYTES:
            yield message
            message, size = pb.AnalyzeImpactResponse(), impact.ByteSize()
        message.impacts.append(impact)
    message.truncated = part.truncated
    yield message
