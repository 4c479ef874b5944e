"""Validates documents against bundled schemas: compiled once, cached, offline, and in linear time."""

from __future__ import annotations

import itertools
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs
import orjson
from jsonschema_specifications import REGISTRY as SPECIFICATIONS

from refinery_core.errors import Violation
from refinery_core.schema.effort import count_looks, weigh
from refinery_core.vibe.keywords import escaped
from refinery_core.vibe.references import SchemaFault

__all__ = ["Validator", "ValidatorCache", "compile_schema", "violations"]

_MESSAGE_LIMIT = 300
_SHOWN_VALUE = 80
_MOST_LOOKS = 500_000
_MOST_BYTES = 64 << 20
_VALUE = "\N{REPLACEMENT CHARACTER}value\N{REPLACEMENT CHARACTER}"
_NOT_LINEAR = (
    "is not a regular expression that runs in linear time: look-around and back references are not "
    "supported, and repetitions are limited"
)

# The library knows the meta-schema of the root's dialect only; a bundle may mix dialects.
_META_SCHEMAS: Final = jsonschema_rs.Registry(
    [
        (uri, SPECIFICATIONS.contents(uri))
        for uri in SPECIFICATIONS
        if any(dialect in uri for dialect in ("draft-07", "2019-09", "2020-12"))
    ]
)


@dataclass(frozen=True, slots=True)
class Validator:
    """A compiled schema, and how often it looks at one value at the most."""

    compiled: jsonschema_rs.Validator
    looks: int

    def is_valid(self, instance: Any) -> bool:
        """Whether a document satisfies the schema; stops at the first thing that is wrong."""
        return self.compiled.is_valid(instance)


def compile_schema(bundle: Mapping[str, Any] | bool | str) -> Validator:
    """Compile a bundled schema, given as a value or as JSON text.

    Nothing is ever fetched. `format` asserts in draft-07 and annotates in the later dialects.

    Raises:
        SchemaFault: It breaks its meta-schema, has a pattern or a diamond of references that could run
            away, or refers to nothing.
    """
    schema = orjson.loads(bundle) if isinstance(bundle, str) else bundle
    looks = count_looks(schema)
    try:
        compiled = jsonschema_rs.validator_for(
            schema if isinstance(schema, bool) else dict(schema),
            registry=_META_SCHEMAS,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            mask=_VALUE,
        )
    except jsonschema_rs.ValidationError as error:
        raise SchemaFault(_pointer(error.instance_path), _problem(error)) from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaFault("", _cut(str(error))) from None
    return Validator(compiled, looks)


def violations(validator: Validator, instance: Any, limit: int) -> tuple[Violation, ...]:
    """What is wrong with a document, at most `limit` things; nothing if it satisfies the schema.

    Only the first where listing all might take too much memory: the library finds all or one.
    """
    try:
        validator.compiled.validate(instance)
    except jsonschema_rs.ValidationError as error:
        values, size = weigh(instance)
        if validator.looks * values > _MOST_LOOKS or validator.looks * size > _MOST_BYTES:
            return (_violation(error),)
        found = validator.compiled.iter_errors(instance)
        return tuple(_violation(error) for error in itertools.islice(found, limit))
    return ()


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    return Violation(_pointer(error.instance_path), _pointer(error.evaluation_path), _message(error))


class ValidatorCache:
    """Compiled validators by a key that stands for the bundle, the least recently used forgotten first.

    Safe to share between threads. `cost` is what the caller reckons a validator weighs: the bytes of its
    bundle are a fair measure.
    """

    def __init__(self, max_count: int, max_cost: int) -> None:
        self._max_count = max_count
        self._max_cost = max_cost
        self._cost = 0
        self._kept: OrderedDict[bytes | str, tuple[Validator, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def cost(self) -> int:
        """The sum of what is kept."""
        return self._cost

    def get(self, key: bytes | str) -> Validator | None:
        """The validator, if it is still there."""
        with self._lock:
            entry = self._kept.get(key)
            if entry is None:
                return None
            self._kept.move_to_end(key)
            return entry[0]

    def put(self, key: bytes | str, validator: Validator, cost: int) -> None:
        """Keep a validator, unless it alone would fill the cache."""
        if cost > self._max_cost:
            return
        with self._lock:
            if key in self._kept:
                self._cost -= self._kept.pop(key)[1]
            self._kept[key] = validator, cost
            self._cost += cost
            while self._cost > self._max_cost or len(self._kept) > self._max_count:
                self._cost -= self._kept.popitem(last=False)[1][1]


def _pointer(path: list[str | int]) -> str:
    return "".join(f"/{step}" if isinstance(step, int) else f"/{escaped(step)}" for step in path)


def _problem(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Format) and kind.format == "regex":
        return f"{_shown(error.instance)} {_NOT_LINEAR}"
    return _message(error)


def _message(error: jsonschema_rs.ValidationError) -> str:
    message = error.message
    return _cut(message.replace(_VALUE, _shown(error.instance)) if _VALUE in message else message)


def _shown(value: Any) -> str:
    """A short scalar as it is; of anything else only what it is, because it may be huge."""
    if isinstance(value, dict | list):
        return "the object" if isinstance(value, dict) else "the array"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_VALUE else f'{text[: _SHOWN_VALUE - 2]}…"'


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[: _MESSAGE_LIMIT - 1]}…"
