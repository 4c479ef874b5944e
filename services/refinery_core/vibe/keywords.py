"""The keywords under which a schema may stand in a JSON Schema: one table for all walks.

Under any other keyword everything is data, `const`, `enum`, `default` and `examples` included. The table
is the union of the dialects, because people write `$defs` in draft-07 and `definitions` in 2020-12 and
mean it; the keywords that a dialect does not see are in UNSEEN: nothing can be given a name there.
`postgres/functions/schema_keyword.sql` states the same table, for embedding.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Any

from refinery_core.vibe.pointers import escaped

ONE = frozenset({
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
})  # fmt: skip
"""Keywords whose value is a schema."""

MANY = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
"""Keywords whose value is an array of schemas; `items` can be either."""

NAMED = frozenset({
    "$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties",
})  # fmt: skip
"""Keywords whose value is an object of schemas; `dependencies` holds arrays of strings as well."""

KEYWORDS = ONE | MANY | NAMED


class Dialect(enum.StrEnum):
    """The dialects of JSON Schema that are supported, by the address of their meta-schema."""

    DRAFT_07 = "http://json-schema.org/draft-07/schema#"
    DRAFT_2019_09 = "https://json-schema.org/draft/2019-09/schema"
    DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"


UNSEEN: Mapping[Dialect, frozenset[str]] = {
    Dialect.DRAFT_07: frozenset({
        "$defs", "contentSchema", "dependentSchemas", "prefixItems", "unevaluatedItems",
        "unevaluatedProperties",
    }),
    Dialect.DRAFT_2019_09: frozenset({"dependencies", "prefixItems"}),
    Dialect.DRAFT_2020_12: frozenset({"additionalItems", "dependencies"}),
}  # fmt: skip
"""Keywords of other dialects, in which validators of this one do not look for `$id` and anchors."""

_DIALECTS = {
    scheme + dialect.split("://")[1].rstrip("#") + hash_: dialect
    for dialect in Dialect
    for scheme in ("http://", "https://")
    for hash_ in ("", "#")
}


def dialect_named(address: object) -> Dialect | None:
    """The dialect that a `$schema` names; None for one that is not supported."""
    return _DIALECTS.get(address) if isinstance(address, str) else None


def dialect(schema: Any) -> Dialect:
    """The dialect of a schema that was read before: its `$schema`, else 2020-12."""
    named = dialect_named(schema.get("$schema")) if isinstance(schema, dict) else None
    return named or Dialect.DRAFT_2020_12


def is_schema(value: Any) -> bool:
    """Whether a value can be a schema: an object or a boolean."""
    return isinstance(value, dict | bool)


def members(keyword: str, value: Any) -> Iterator[tuple[str, Any, bool]]:
    """The parts that stand under a keyword of the table.

    Yields the JSON pointer from the schema, the part, and whether a schema stands there; where none
    does, the part is data, or a mistake.
    """
    if keyword in NAMED and isinstance(value, dict):
        for name, member in value.items():
            yield f"/{keyword}/{escaped(name)}", member, is_schema(member)
    elif keyword in MANY and isinstance(value, list):
        for index, member in enumerate(value):
            yield f"/{keyword}/{index}", member, is_schema(member)
    else:
        yield f"/{keyword}", value, keyword in ONE and is_schema(value)


def schema_at(schema: Any, tokens: tuple[str, ...]) -> Any | None:
    """The schema to which a JSON pointer leads, given as its tokens; None if no schema stands there."""
    if not tokens:
        return schema if is_schema(schema) else None
    if not isinstance(schema, dict) or tokens[0] not in schema:
        return None
    keyword, value = tokens[0], schema[tokens[0]]
    if keyword in ONE and is_schema(value):
        return schema_at(value, tokens[1:])
    if len(tokens) == 1:
        return None
    key, rest = tokens[1], tokens[2:]
    if keyword in MANY and isinstance(value, list):
        return schema_at(value[int(key)], rest) if _is_index(key, value) else None
    if keyword in NAMED and isinstance(value, dict):
        return schema_at(value.get(key), rest)
    return None


def _is_index(token: str, array: list[Any]) -> bool:
    return re.fullmatch("0|[1-9][0-9]{0,8}", token) is not None and int(token) < len(array)
