"""The looks of a schema at one value, estimated from the schema alone, before any document is seen.

A diamond of references doubles the looks at one value each time; alternatives that all lead into the same
member double the looks at each level of the document. The looks of a document of a bundle depend on it and
on those that it refers to: they are worked out once, for all that refer to it.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from typing import Any, Final

from refinery_core.schema.effort import Effort
from refinery_core.schema.graph import NOTHING, Graph, Node, Sum
from refinery_core.vibe.references import SchemaFault

MOST_LOOKS: Final = 100_000

_DEEPEST = 64
_UNTOLD = Effort((), grows=True)


def estimate(bundle: Any) -> Effort:
    """The effort of a schema; raise SchemaFault where one value is looked at more than 100,000 times.

    Only schemas that apply to the value itself count for that, not those that apply to its members.
    """
    return Looks(bundle, {}).effort if isinstance(bundle, dict) else Effort((1,), grows=False)


class Looks:
    """The looks of one document of a bundle, with all that it refers to.

    Raises SchemaFault, as `estimate` does.
    """

    def __init__(self, resource: dict[str, Any], guests: Mapping[str, Looks]) -> None:
        """`guests` are the documents that it refers to, by address."""
        graph = Graph(resource, guests)
        self.find = graph.find
        """The schema that a fragment leads to, a leaf by its looks; None if there is none."""
        order, is_round = _ordered(graph.nodes)
        for number, node in enumerate(order):
            node.number = number
            ones = [other.ones for other in (*node.inner, *node.outer)]
            node.ones = _summed(node, 1 + node.leaves, node.leaves, ones)
            if node.ones.looks > MOST_LOOKS:
                problem = (
                    f"it would look at one value more than {MOST_LOOKS:,} times; combine fewer references"
                )
                raise SchemaFault("", problem)
        self.is_untold: bool = (
            is_round or graph.is_dynamic or any(guest.is_untold for guest in guests.values())
        )
        self.is_over = False
        self.effort = _UNTOLD if self.is_untold else self._by_level(graph, order, guests.values())
        for node in order:
            node.parents = node.users = node.objects = node.arrays = None
        graph.nodes.clear()

    def _by_level(self, graph: Graph, order: list[Node], guests: Collection[Looks]) -> Effort:
        """Level by level, each at least as much as the one above, until nothing changes any more."""
        levels = _Levels(order, graph.most_of_leaves)
        self.is_over = levels.most > MOST_LOOKS or any(guest.is_over for guest in guests)
        looks = [_seen(graph.root)]
        while len(looks) < _DEEPEST:
            if any(guest.effort.grows and guest.levels <= len(looks) for guest in guests):
                break
            changed = levels.descend() | any(guest.levels > len(looks) for guest in guests)
            if not changed:
                return Effort(tuple(looks), grows=False)
            if self.is_over or levels.most > MOST_LOOKS:
                break
            looks.append(_seen(graph.root))
        return Effort(tuple(looks), grows=True)

    @property
    def levels(self) -> int:
        """The number of levels for which they are told."""
        return len(self.effort.looks)


class _Levels:
    """The looks of all schemas of a document, from one level to the next."""

    def __init__(self, order: list[Node], most: int) -> None:
        self._order = order
        self._outward = [node for node in order if node.outer]
        self._level = 0
        self._changed: list[Node] = []
        self.most = most
        for node in order:
            _connect(node)
            sums = [other.first for other in (*node.inner, *node.outer)]
            node.first = _summed(node, node.looks + node.leaf_looks, node.leaf_looks, sums)
            node.seen = node.first.looks
            self.most = max(self.most, node.seen)

    def descend(self) -> bool:
        """Go to the next level; whether anything changes there."""
        self._level += 1
        touched = self._order if self._level == 1 else self._users()
        for node in touched:
            node.way = node.most()
        todo = {node.number for node in touched}
        todo.update(node.number for node in self._outward if any(map(self._is_new, node.outer)))
        self._changed = self._spread(todo)
        for node in self._changed:
            node.seen = node.below(self._level).looks
            self.most = max(self.most, node.seen)
        return bool(self._changed)

    def _users(self) -> list[Node]:
        found = {user.number: user for node in self._changed for user in node.users or ()}
        return list(found.values())

    def _is_new(self, node: Node) -> bool:
        return any(level == self._level for level, _ in node.rows or ())

    def _spread(self, todo: set[int]) -> list[Node]:
        """Sum up again those that were touched, and all that see the same value as one that changed."""
        changed = []
        heap = sorted(todo)
        while heap:
            node = self._order[heapq.heappop(heap)]
            below = [other.below(self._level) for other in (*node.inner, *node.outer)]
            found = _summed(node, node.way, 0, below)
            if found == (node.rows[-1][1] if node.rows else NOTHING):
                continue
            node.rows = [*(node.rows or ()), (self._level, found)]
            if found.looks > node.seen:
                changed.append(node)
            for parent in node.parents or ():
                if parent.number not in todo:
                    todo.add(parent.number)
                    heapq.heappush(heap, parent.number)
        return changed


def _seen(root: Node | int) -> int:
    return root.seen if isinstance(root, Node) else root


def _connect(node: Node) -> None:
    for inner in node.inner:
        inner.parents = _with(inner.parents, node)
    for members in (node.objects, node.arrays):
        for member in (*members.one_nodes, *members.all_nodes) if members else ():
            member.users = _with(member.users, node)


def _with(nodes: list[Node] | None, node: Node) -> list[Node]:
    if nodes is None:
        return [node]
    nodes.append(node)
    return nodes


def _summed(node: Node, own: int, asked: int, sums: list[Any]) -> Sum:
    """The sum of a schema and of others that see the same value; None is one that leads back to it.

    `unevaluated…` asks all of them again which members they have seen, and they ask those below them.
    """
    for each in sums:
        if each is not None:
            own += each.looks
            asked += each.asked
    asked += own
    return Sum(own + asked if node.again else own, asked)


def _ordered(nodes: list[Node]) -> tuple[list[Node], bool]:
    """The nodes, each after those it leads to, and whether a way comes back to itself; there it ends."""
    order: list[Node] = []
    is_round = False
    done: set[int] = set()
    open_: set[int] = set()
    for start in nodes:
        todo = [] if id(start) in done else [(start, iter(start.inner))]
        open_.update(id(node) for node, _ in todo)
        while todo:
            node, rest = todo[-1]
            following = next(rest, None)
            if following is None:
                todo.pop()
                open_.discard(id(node))
                done.add(id(node))
                order.append(node)
            elif id(following) in open_:
                is_round = True
            elif id(following) not in done:
                open_.add(id(following))
                todo.append((following, iter(following.inner)))
    return order, is_round
