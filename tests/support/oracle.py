"""The verdicts of a standard validator on the sources of a case, without any bundle."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from refinery_core.vibe.keywords import Dialect
from refinery_core.vibe.references import ORIGINAL, REF, RESOLVED, dialect, read_schema, schema_at
from tests.cases.composition import Case


def accepts_sources(case: Case, instance: Any) -> bool:
    """Whether the last Vibe's schema accepts an instance, its references read as plain addresses."""
    stored = case.pinned
    sources = {_address(ref, stored): _addressed(ref, schema, stored) for ref, schema in stored.items()}
    registry: Registry[Any] = (
        Registry().with_contents(sources.items(), default_specification=DRAFT202012).crawl()
    )
    root = sources[_address(case.ref, stored)]
    return bool(validator_for(root, default=Draft202012Validator)(root, registry=registry).is_valid(instance))


def _address(ref: str, stored: Mapping[str, Any]) -> str:
    schema = stored[ref]
    id_ = schema.get("$id") if isinstance(schema, dict) else None
    return id_ if isinstance(id_, str) else f"aug:{ref}"


def _addressed(ref: str, pinned: Any, stored: Mapping[str, Any]) -> Any:
    if isinstance(pinned, bool):
        return pinned
    schema = copy.deepcopy(pinned)
    for found in read_schema(pinned).references:
        tokens = (token.replace("~1", "/").replace("~0", "~") for token in found.pointer.split("/")[1:])
        referrer = schema_at(schema, tuple(tokens))
        assert referrer is not None
        target = _address(referrer.pop(RESOLVED), stored) + found.written[len(found.vibe) :]
        if found.key == ORIGINAL and dialect(schema) is Dialect.DRAFT_07:
            referrer["allOf"] = [*referrer.get("allOf", []), {REF: target}]
        else:
            referrer[REF] = target
    return {"$schema": str(dialect(schema)), "$id": _address(ref, stored), **schema}
