from __future__ import annotations

from typing import Any

from refinery_client import ImpactVerdict, SchemaForm


async def test_a_schema_is_resolved_by_reference_or_as_given(small: Any) -> None:
    stored = await small.refinery.resolve_schema("main@schemas/a?1", form=SchemaForm.EMBEDDED)
    given = await small.refinery.resolve_schema(schema={"type": "array"})

    assert (stored.schema, stored.ref) == ({"type": "object"}, "main@schemas/a?1")
    assert stored.dependencies == ("SCHEMA_FORM_EMBEDDED",)
    assert (given.schema, given.text, given.ref) == ({"type": "array"}, '{"type":"array"}', None)


async def test_impact_says_what_breaks_and_why(small: Any) -> None:
    analysis = small.refinery.analyze_impact("schemas/a", schema={"type": "array"})

    (impact,) = [impact async for impact in analysis]

    assert impact.verdict is ImpactVerdict.INVALID
    assert impact.violations[0].instance_path == "/a"
    assert not analysis.truncated
