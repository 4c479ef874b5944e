"""Secrets, by name: from the environment of the worker, and into nothing but the request that needs them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from process_worker.engine.faults import standard
from process_worker.engine.ports import Busy, EvaluationFault, Killed
from process_worker.jq.evaluator import Evaluator
from refinery_core.process.parts import Expression

PREFIX: Final = "REFINERY_SECRET_"


@dataclass(frozen=True)
class Secrets:
    """Every variable REFINERY_SECRET_<NAME>; its text may be JSON."""

    environment: Mapping[str, str]
    evaluator: Evaluator

    @classmethod
    def from_environment(cls, evaluator: Evaluator) -> Secrets:
        """Those of this process."""
        return cls(os.environ, evaluator)

    def read(self, name: str) -> Any:
        """
        One secret.

        Raises:
            Fault: there is none of this name.
        """
        text = self.environment.get(f"{PREFIX}{name.upper().replace('-', '_')}")
        if text is None:
            raise standard("authorization", f"there is no secret '{name}' for this worker")
        try:
            value = orjson.loads(text)
        except ValueError:
            return text
        # A token may well look like a number.
        return value if isinstance(value, dict | list | str) else text

    async def values(self, authentication: Mapping[str, Any]) -> Any:
        """What an authentication says, filled in: a secret, or texts by their paths; see `engine.calling`."""
        if "secret" in authentication:
            return self.read(authentication["secret"])
        return {**authentication["texts"], **await self._filled(authentication)}

    async def _filled(self, authentication: Mapping[str, Any]) -> dict[str, Any]:
        if not authentication["expressions"]:
            return {}
        variables = dict(authentication["variables"])
        if authentication["secrets"]:
            variables["secrets"] = {name: self.read(name) for name in authentication["secrets"]}
        expressions = [
            Expression(source, frozenset(variables)) for source in authentication["expressions"].values()
        ]
        read = authentication["input"]
        try:
            results = await self.evaluator.evaluate_patiently(expressions, read, variables)
        except Busy:
            raise
        except (EvaluationFault, Killed):
            # What exactly is wrong might quote the secret.
            detail = "an expression in the authentication cannot be evaluated"
            raise standard("expression", detail) from None
        return dict(zip(authentication["expressions"], results, strict=True))
