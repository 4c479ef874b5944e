"""Secrets by name, from the environment of the worker; only the requests that need them get them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from process_worker.engine.calls import Authentication, NamedSecret, Values
from process_worker.engine.faults import standard
from process_worker.engine.ports import Busy, EvaluationFault, Killed
from process_worker.jq.evaluator import Evaluator
from refinery_core.process.parts import Expression

PREFIX: Final = "REFINERY_SECRET_"


@dataclass(frozen=True)
class Secrets:
    """The variables REFINERY_SECRET_<NAME>; their texts may be JSON."""

    environment: Mapping[str, str]
    evaluator: Evaluator

    @classmethod
    def from_environment(cls, evaluator: Evaluator) -> Secrets:
        """The secrets in the environment of this process."""
        return cls(os.environ, evaluator)

    def read(self, name: str) -> Any:
        """
        One secret.

        Raises:
            Fault: there is no such secret.
        """
        text = self.environment.get(f"{PREFIX}{name.upper().replace('-', '_')}")
        if text is None:
            raise standard("authorization", f"there is no secret '{name}' for this worker")
        try:
            value = orjson.loads(text)
        except ValueError:
            return text
        # A token may look like a number.
        return value if isinstance(value, dict | list | str) else text

    async def values(self, authentication: Authentication) -> Any:
        """Credentials, filled in: a secret, or texts by their paths."""
        if isinstance(authentication, NamedSecret):
            return self.read(authentication.secret)
        return {**authentication.texts, **await self._filled(authentication)}

    async def _filled(self, values: Values) -> dict[str, Any]:
        if not values.expressions:
            return {}
        variables = dict(values.variables)
        if values.secrets:
            variables["secrets"] = {name: self.read(name) for name in values.secrets}
        expressions = [Expression(source, frozenset(variables)) for source in values.expressions.values()]
        try:
            results = await self.evaluator.evaluate_patiently(expressions, values.input, variables)
        except Busy:
            raise
        except (EvaluationFault, Killed):
            # The exact error might quote the secret.
            detail = "an expression in the authentication cannot be evaluated"
            raise standard("expression", detail) from None
        return dict(zip(values.expressions, results, strict=True))
