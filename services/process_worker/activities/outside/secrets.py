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
from refinery_core.settings import CannotStart, secret_variable

PREFIX: Final = "REFINERY_SECRET_"


@dataclass(frozen=True)
class Secrets:
    """The variables REFINERY_SECRET_<NAME>, or the files of REFINERY_SECRET_<NAME>_FILE; text or JSON."""

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
            Fault: there is no such secret, or it cannot be read.
        """
        variable = f"{PREFIX}{name.upper().replace('-', '_')}"
        text = self.environment.get(variable)
        if f"{variable}_FILE" in self.environment:
            try:
                text = secret_variable(variable, self.environment)
            except CannotStart:
                detail = f"the secret '{name}' of this worker is set twice, or its file cannot be read"
                raise standard("authorization", detail) from None
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
