"""The refusals of processes, capabilities and expressions: a problem, and its place."""

from __future__ import annotations


class ProcessFault(ValueError):  # noqa: N818 - an error is a refusal; this names what is wrong in a document
    """A document that is refused: `path` is a JSON pointer ("" is the root), `problem` a phrase."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or '(root)'}: {problem}")
        self.path = path
        self.problem = problem


class ExpressionFault(ValueError):  # noqa: N818 - as above
    """An expression that is refused: `offset` counts its characters from 0."""

    def __init__(self, offset: int, problem: str) -> None:
        super().__init__(f"{problem}, at character {offset + 1} of the expression")
        self.offset = offset
        self.problem = problem
