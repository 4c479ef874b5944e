"""Checks data against the schemas of a process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from process_worker.engine.faults import standard
from refinery_core.kept import Kept
from refinery_core.process.parts import Schema
from refinery_core.schema.validator import Validator, compile_schema
from refinery_core.vibe.references import SchemaFault

_SHOWN: Final = 5
_VALIDATORS: Final[Kept[bytes, Validator]] = Kept(16 << 20, most=512)
"""The cache of compiled schemas, shared by all executions of this worker."""


class Schemas:
    """The schemas of one process; `bundles` has those that refer to Vibes, bundled, by their pointers."""

    def __init__(self, bundles: Mapping[str, str]) -> None:
        self._bundles = bundles

    def check(self, schema: Schema | None, value: Any, what: str, at: str) -> None:
        """
        Check data; `what` names it in the fault, `at` is the task to blame.

        Raises:
            Fault: a validation error, with the first violations.
        """
        if schema is None:
            return
        try:
            found = self._validator(schema, at).violations(value, _SHOWN)
        except SchemaFault as fault:
            detail = f"the schema of the {what} is refused: {fault}"
            raise standard("configuration", detail, at) from None
        if found:
            listed = "; ".join(f"{each.instance_path or '(root)'}: {each.message}" for each in found)
            raise standard("validation", f"the {what} does not satisfy its schema: {listed}", at)

    def _validator(self, schema: Schema, at: str) -> Validator:
        text = self._bundles.get(schema.pointer)
        if text is None:
            if schema.reference is not None:
                raise standard("configuration", f"{schema.reference} was not frozen", at)
            text = orjson.dumps(schema.document, option=orjson.OPT_SORT_KEYS).decode()
        key = hashlib.sha256(text.encode()).digest()
        validator = _VALIDATORS.get(key)
        if validator is None:
            validator = compile_schema(text)
            _VALIDATORS.keep(key, validator, len(text))
        return validator
