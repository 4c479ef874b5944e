"""Counts the patterns of a schema, which share one limit of memory."""

from __future__ import annotations

from typing import Any


def count_patterns(schema: Any) -> int:
    """Count the patterns, with data that looks like one."""
    count, todo = 0, [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            count += isinstance(node.get("pattern"), str)
            if isinstance(named := node.get("patternProperties"), dict):
                count += len(named)
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    return count
