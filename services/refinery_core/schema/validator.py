"""Validates documents against bundled schemas: compiled once, offline, and within bounds."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import orjson

from refinery_core.errors import Violation
from refinery_core.schema.bundle import UNSTORED
from refinery_core.schema.composition import Composition, bundled
from refinery_core.schema.effort import Effort, weigh
from refinery_core.schema.looks import estimate
from refinery_core.schema.meter import COUNTED, Counter, counting, is_within
from refinery_core.schema.patterns import count_patterns
from refinery_core.schema.shared import NOTHING_SHARED, Shared
from refinery_core.texts import cut
from refinery_core.vibe import pointers
from refinery_core.vibe.references import SchemaFault

_MESSAGE_LIMIT = 300
_SHOWN_VALUE = 80
MOST_LOOKS = 500_000
"""The most looks of a validator at values of one document, where they are counted."""

_MOST_ESTIMATED = 10_000_000
# Listing violations costs more than deciding, and most where alternatives nest (decision 11).
_MOST_LISTED = 500_000
_MOST_AT_ONE = 1_000
_MOST_NESTED = 10_000
_MOST_BYTES = 64 << 20
_TOO_MANY = f"cannot be checked: it would be looked at values more than {MOST_LOOKS:,} times"
_NOT_TOLD = "does not satisfy the schema; to say where, values would be looked at too many times"
_VALUE = "\N{REPLACEMENT CHARACTER}value\N{REPLACEMENT CHARACTER}"
_NOT_LINEAR = (
    "is not a regular expression that runs in linear time: look-around and back references are not "
    "supported, and repetitions are limited, in one pattern and in all patterns of a schema together"
)
MAX_PATTERN_BYTES = 32 << 20
"""The most memory of the patterns of one schema: to compile them holds up the process, and they stay."""
_ONE_PATTERN_BYTES = 10 << 20
"""The most memory of one pattern."""


class Validator:
    """A compiled schema, which refuses a document that would keep it busy for seconds.

    The decision depends on the schema and the document alone. Where the schema allows for more than
    10,000,000 looks at a document of that shape, they are counted, by a copy of the schema, before it is
    validated: more than 500,000 are too many.
    """

    def __init__(
        self, schema: dict[str, Any] | bool, effort: Effort, shared: Shared = NOTHING_SHARED
    ) -> None:
        """`shared` has the guests of the schema that are not in its bundle."""
        self._schema = schema
        self._effort = effort
        self._shared = shared
        self._compiled = _compiled(schema, shared, shared.plain)
        self._lock = threading.Lock()
        self._counted: jsonschema_rs.Validator | None = None

    @property
    def _counting(self) -> jsonschema_rs.Validator:
        with self._lock:
            if self._counted is None:
                copy = counting(self._schema)
                self._counted = _compiled(copy, self._shared, self._shared.counting, {COUNTED: Counter})
            return self._counted

    def is_ready(self, instance: Any) -> bool:
        """Whether nothing is left to compile before a document can be decided on."""
        return self._counted is not None or self._is_bounded(instance)

    def is_valid(self, instance: Any) -> bool:
        """Whether a document satisfies the schema, and can be checked."""
        return self._can_decide(instance) and self._compiled.is_valid(instance)

    def violations(self, instance: Any, limit: int) -> tuple[Violation, ...]:
        """The violations of a document, at most `limit`; none if it satisfies the schema.

        Lists the first alone where listing all might take too long, and only says so, at the root, where
        even finding the first might. The library finds all or one.
        """
        if not self._can_decide(instance):
            return (Violation("", "", _TOO_MANY),)
        if self._compiled.is_valid(instance):
            return ()
        levels, size = weigh(instance)
        looks, at_one = self._effort.most(levels)
        if at_one > _MOST_AT_ONE and looks > _MOST_NESTED:
            return (Violation("", "", _NOT_TOLD),)
        if looks > _MOST_LISTED or at_one * size > _MOST_BYTES:
            return self._first(instance)
        found = self._compiled.iter_errors(instance)
        return tuple(_violation(error) for error in itertools.islice(found, limit))

    def _can_decide(self, instance: Any) -> bool:
        return self._is_bounded(instance) or is_within(MOST_LOOKS, self._counting.is_valid, instance)

    def _is_bounded(self, instance: Any) -> bool:
        return self._effort.few or self._effort.most(weigh(instance)[0])[0] <= _MOST_ESTIMATED

    def _first(self, instance: Any) -> tuple[Violation, ...]:
        try:
            self._compiled.validate(instance)
        except jsonschema_rs.ValidationError as error:
            return (_violation(error),)
        return ()


def compile_schema(bundle: Mapping[str, Any] | bool | str) -> Validator:
    """Compile a bundled schema, given as a value or as JSON text.

    Nothing is ever fetched. `format` asserts in draft-07 and annotates in the later dialects.

    Raises:
        SchemaFault: It breaks its meta-schema, has a pattern or a diamond of references that could run
            away, or refers to nothing.
    """
    schema = orjson.loads(bundle) if isinstance(bundle, str) else bundle
    return _validator(schema if isinstance(schema, bool) else dict(schema), estimate(schema))


def compile_alone(schema: str, composition: Composition) -> Validator:
    """Compile, as `compile_schema` does, a schema that refers to no other and was read for composing."""
    if composition.document.is_bare:
        return compile_schema(schema)  # In a bundle it is wrapped, with other looks.
    return _validator(orjson.loads(schema), composition.looks(UNSTORED).effort)


def compile_composition(root: Composition, guests: Mapping[str, Composition], shared: Shared) -> Validator:
    """
    Compile a composed schema.

    Args:
        root: The schema.
        guests: All that it is composed from, by ref.
        shared: Those of them that others use as well.

    Raises:
        SchemaFault: As `compile_schema`.
        ResolutionTooLarge: Its bundle would have more than 1 MiB.
    """
    bundle = bundled(root, UNSTORED, guests, without=shared.guests)
    return _validator(bundle, root.looks(UNSTORED).effort, shared)


def _validator(schema: dict[str, Any] | bool, effort: Effort, shared: Shared = NOTHING_SHARED) -> Validator:
    try:
        return Validator(schema, effort, shared)
    except jsonschema_rs.ValidationError as error:
        raise SchemaFault(pointers.written(error.instance_path), _problem(error)) from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaFault("", cut(str(error), _MESSAGE_LIMIT)) from None


def _compiled(
    schema: Any, shared: Shared, registry: jsonschema_rs.Registry, keywords: dict[str, Any] | None = None
) -> jsonschema_rs.Validator:
    each = MAX_PATTERN_BYTES // max(1, count_patterns(schema) + shared.patterns)
    return jsonschema_rs.validator_for(
        schema,
        registry=registry,
        offline=True,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=min(_ONE_PATTERN_BYTES, each)),
        mask=_VALUE,
        keywords=keywords,
    )


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    return Violation(
        pointers.written(error.instance_path), pointers.written(error.evaluation_path), _message(error)
    )


def _problem(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Format) and kind.format == "regex":
        return f"{_shown(error.instance)} {_NOT_LINEAR}"
    return _message(error)


def _message(error: jsonschema_rs.ValidationError) -> str:
    message = error.message
    if _VALUE in message:
        message = message.replace(_VALUE, _shown(error.instance))
    return cut(message, _MESSAGE_LIMIT)


def _shown(value: Any) -> str:
    """A short scalar as it is, a longer one cut; of an object or array, which may be huge, only its type."""
    if isinstance(value, dict | list):
        return "the object" if isinstance(value, dict) else "the array"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_VALUE else f'{cut(text, _SHOWN_VALUE - 1)}"'
