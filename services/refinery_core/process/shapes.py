"""Reads `input`, `output` and `export`, and the schemas in them."""

from __future__ import annotations

from refinery_core.process.parts import Reference, ReferenceUse, Schema, Shape
from refinery_core.process.place import Place
from refinery_core.process.reading import Reading, Scope, Stage
from refinery_core.vibe.references import SchemaFault, read_schema

_TEMPLATES = {"input": "from", "output": "as", "export": "as"}


def read_shape(place: Place | None, name: str, reading: Reading, scope: Scope, stage: Stage) -> Shape:
    """Read one of input, output and export."""
    if place is None:
        return Shape()
    key = _TEMPLATES[name]
    members = place.members(f"'{name}'", ("schema", key))
    template = members.get(key)
    if template is None:
        read = None
    elif isinstance(template.value, dict):
        read = reading.template(template, scope, stage)
    elif isinstance(template.value, str):
        read = reading.whole(template, f"'{name}.{key}'", scope, stage)
    else:
        template.refuse_type(f"'{name}.{key}'", "an expression or an object")
    if "schema" not in members:
        return Shape(None, read)
    schema = _read_schema(members["schema"], reading)
    reading.schemas.append(schema)
    return Shape(schema, read)


def _read_schema(place: Place, reading: Reading) -> Schema:
    form = place.one_of("a schema", ("document", "resource"), ("format",))
    if "format" in place.value:
        format_ = place.at("format")
        if format_.text("'format'").partition(":")[0] != "json":
            format_.refuse("only JSON Schema is supported: the format is 'json'")
    if form == "resource":
        resource = place.at("resource")
        members = resource.members("a resource", ("name", "endpoint"), ("endpoint",))
        endpoint = members["endpoint"]
        if isinstance(endpoint.value, dict):
            endpoint = endpoint.members("an endpoint", ("uri",), ("uri",))["uri"]
        uri = reading.reference(endpoint, "the schema of a Vibe", ReferenceUse.SCHEMA, fragment=True)
        return Schema(reference=uri, pointer=place.path)
    document = place.at("document")
    try:
        found = read_schema(document.value).references
    except SchemaFault as fault:
        Place(None, document.path + fault.path.rstrip("/")).refuse(fault.problem)
    for reference in found:
        pointer = document.path + reference.pointer
        reading.references.append(Reference(pointer, reference.uri, ReferenceUse.SCHEMA))
    return Schema(document=document.value, pointer=document.path)
