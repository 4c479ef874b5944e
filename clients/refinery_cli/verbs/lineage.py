"""`refinery lineage`: the edges walked up or down, drawn as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text
from rich.tree import Tree

from refinery_cli.options import HERE, AsOf, Branch, Count, Output, Reference, Services, context_of
from refinery_cli.show.failures import note
from refinery_cli.show.output import console, print_json, printable
from refinery_cli.show.plain import plain
from refinery_client.answers import LineageDirection, LineageStep
from refinery_core.vibe.model import EdgeType


async def lineage(
    reference: Reference,
    /,
    *,
    down: Annotated[
        bool, Parameter(negative="", help="Vibes that it led to, in place of those that made it.")
    ] = False,
    depth: Annotated[Count, Parameter(help="The most edges to follow in a row; 0: all.")] = 0,
    edge: Annotated[
        tuple[EdgeType, ...], Parameter(negative="", help="Follow only these edges; again for more.")
    ] = (),
    max_vibes: Annotated[Count, Parameter(help="The most Vibes to reach; 0: 10,000.")] = 0,
    branch: Branch = "main",
    as_of: AsOf = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """
    Draw the Vibes that made one, or that it led to.

    Every Vibe appears once, at its nearest place, after the types of its edges to
    the one above. A * after it means that it has edges to others at that distance
    as well: -o json shows all. A hidden Vibe is one that you may not read; its
    digest stands for it.
    """
    async with services.connect() as refinery:
        steps = refinery.trace_lineage(
            reference,
            context=context_of(branch, as_of),
            direction=LineageDirection.DOWN if down else LineageDirection.UP,
            edge_types=edge,
            max_depth=depth,
            max_vibes=max_vibes,
        )
        walk = []
        async for step in steps:
            walk.append(step)
            if output == "jsonl":
                print_json(plain(step), output)
    if output == "json":
        print_json({"steps": plain(walk), "truncated": steps.truncated}, output)
    elif output == "text":
        console().print(drawn(walk))
    if steps.truncated:
        note("There is more; see --depth and --max-vibes.")


def drawn(walk: Sequence[LineageStep]) -> Tree:
    """Draw a walk, nearest first, the start before all."""
    start = walk[0]
    trees = {start.ref: Tree(_label(start, (), more=False), guide_style="dim")}
    for step in walk[1:]:
        nearer = [edge.from_ref if edge.to_ref == step.ref else edge.to_ref for edge in step.edges]
        above = next(ref for ref in nearer if ref in trees)
        why = [edge.type for edge, ref in zip(step.edges, nearer, strict=True) if ref == above]
        label = _label(step, why, more=any(ref != above for ref in nearer))
        tree = trees[above].add(label)
        if not step.hidden:
            trees[step.ref] = tree
    return trees[start.ref]


def _label(step: LineageStep, why: Sequence[EdgeType], *, more: bool) -> Text:
    label = Text()
    if why:
        label.append(f"{', '.join(dict.fromkeys(kind.value for kind in why))} ", style="cyan")
    if step.type is None:
        label.append(f"hidden  {step.digest.hex()}", style="dim")
    else:
        label.append(printable(step.ref), style="bold")
        label.append(f"  {step.type.value}", style="dim")
    return label.append(" *" if more else "")
