"""The ledger against a model of it: refine, branch and read at random, and expect what semantics says."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from refinery_client import Draft, Refined
from refinery_core.errors import RefineryError
from refinery_core.vibe.model import Context, VibeType
from tests.support.ledger import AUTHOR, Ledger

T = TypeVar("T")
IDS = "xyz"
BRANCHES = 4


# --- The model: what semantics.md says, as plainly as it can be said ------------------------


@dataclass(frozen=True)
class Version:
    ref: str
    revision: int
    position: int


@dataclass(frozen=True)
class Reference:
    """`aug:/id`, `aug:~branch/id`, with or without a number. The branch is an index, None the context's."""

    branch: int | None
    id: str
    revision: int | None


@dataclass(frozen=True)
class Asked:
    """One draft: its branches, its expected revision, the references of its schema."""

    id: str
    branches: tuple[int, ...]
    expected: int | None
    schema: tuple[Reference, ...]


@dataclass
class Branch:
    parent: Branch | None
    fork: int
    own: dict[str, list[Version]] = field(default_factory=dict)

    def sees(self, id_: str, as_of: int) -> list[Version]:
        """All versions of an id, oldest first."""
        inherited = self.parent.sees(id_, min(as_of, self.fork)) if self.parent else []
        return inherited + [version for version in self.own.get(id_, []) if version.position <= as_of]

    def resolve(self, id_: str, revision: int | None, as_of: int) -> str | None:
        seen = self.sees(id_, as_of)
        if revision is None:
            return max(seen, key=lambda version: version.revision).ref if seen else None
        return next((version.ref for version in seen if version.revision == revision), None)


# --- What Hypothesis draws ------------------------------------------------------------------

an_index = st.integers(0, BRANCHES - 1)
an_id = st.sampled_from(IDS)
a_reference = st.builds(
    Reference, st.sampled_from([None, None, *range(BRANCHES)]), an_id, st.none() | st.integers(1, 3)
)
a_floating_one = st.builds(Reference, st.sampled_from([None, *range(BRANCHES)]), an_id, st.none())
a_draft = st.builds(
    Asked,
    an_id,
    st.sampled_from([*((n,) for n in range(BRANCHES)), (0, 1), (1, 0), (2, 1)]),
    st.sampled_from([None] * 8 + [0, 1, 2]),
    st.lists(a_floating_one | a_floating_one | a_reference, max_size=2).map(tuple),
)


class Both(RuleBasedStateMachine):
    """Does everything twice, in the ledger and in the model; ids and branches have a prefix of its own."""

    ledger: Ledger
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    numbers = itertools.count()

    @initialize()
    def begin(self) -> None:
        self.prefix = f"m{next(self.numbers)}"
        self.last = self.run(self.ledger.last_position())
        self.names = ["main"]
        self.branches = [Branch(None, 0)]
        self.answers: list[tuple[dict[str, Any], Refined]] = []
        self.refine(0, [Asked(id_, (0,), None, ()) for id_ in IDS[:-1]], [])
        self.create_branch(0, 0)

    def outcome(self, work: Coroutine[Any, Any, T]) -> T | str:
        """The answer, or the reason of the refusal."""
        try:
            return cast("T", self.run(work))
        except RefineryError as refusal:
            return refusal.reason

    def branch_at(self, index: int) -> int:
        return index % len(self.names)

    def written(self, reference: Reference) -> str:
        path = f"{self.prefix}/{reference.id}"
        if reference.branch is not None:
            name = self.names[self.branch_at(reference.branch)].replace("/", "%2F")
            path = f"~{name}/{path}"
        else:
            path = f"/{path}"
        return f"aug:{path}" + (f"?{reference.revision}" if reference.revision else "")

    def meant(self, reference: Reference, context: int, as_of: int) -> str | None:
        branch = context if reference.branch is None else self.branch_at(reference.branch)
        return self.branches[branch].resolve(reference.id, reference.revision, as_of)

    @precondition(lambda self: len(self.names) < BRANCHES)
    @rule(parent=an_index, back=st.integers(0, 5))
    def create_branch(self, parent: int, back: int) -> None:
        parent = self.branch_at(parent)
        name, fork = f"{self.prefix}/{len(self.names)}", max(1, self.last - back)
        asked = None if back == 0 else fork
        assert self.run(self.ledger.branch(name, self.names[parent], fork=asked)) == fork
        self.last += 1
        self.names.append(name)
        self.branches.append(Branch(self.branches[parent], fork))

    @rule(
        context=an_index,
        drafts=st.lists(a_draft, min_size=1, max_size=3),
        inputs=st.lists(a_floating_one | a_reference, max_size=2),
    )
    def refine(self, context: int, drafts: list[Asked], inputs: list[Reference]) -> None:
        context = self.branch_at(context)
        request: dict[str, Any] = {
            "request_id": uuid.uuid4(),
            "branch": self.names[context],
            "target_refs": [self.written(reference) for reference in inputs],
            "drafts": [self.draft(asked) for asked in drafts],
        }
        expected = self.expected(context, drafts, inputs)
        refined = self.outcome(self.ledger.refinery.refine(author_ref=AUTHOR, **request))
        if isinstance(refined, str) or isinstance(expected, str):
            assert refined == expected
            return
        self.last += 1
        refs, pins, made_from = expected
        assert [vibe.ref for vibe in refined.vibes] == refs
        assert refined.refinement is not None
        assert list(refined.refinement.target_refs) == made_from
        assert refined.refinement.position == self.last
        stored = self.run(self.ledger.refinery.batch_get_vibes(refs))
        assert [
            [part["$refResolved"] for _, part in sorted(vibe.schema["properties"].items())] for vibe in stored
        ] == pins
        self.keep(drafts, refs)
        self.answers.append((request, refined))

    def joined(self, asked: Asked) -> list[int]:
        return list(dict.fromkeys(self.branch_at(index) for index in asked.branches))

    def draft(self, asked: Asked) -> Draft:
        return Draft(
            type=VibeType.RECORD,
            id=f"{self.prefix}/{asked.id}",
            branches=[self.names[index] for index in self.joined(asked)],
            expected_revision=asked.expected,
            schema={"properties": {f"{n}": {"$ref": self.written(r)} for n, r in enumerate(asked.schema)}},
        )

    def expected(
        self, context: int, drafts: list[Asked], inputs: list[Reference]
    ) -> str | tuple[list[str], list[list[str]], list[str]]:
        """The refs, pins and pinned targets that come out, or the reason why not."""
        highest: dict[tuple[int, str], int] = {}
        refs: list[str] = []
        pins: list[list[str]] = []
        drafted: dict[tuple[int, str], str] = {}
        conflict = False
        for asked in drafts:
            own: list[str] = []
            for reference in asked.schema:
                branch = context if reference.branch is None else self.branch_at(reference.branch)
                ref = drafted.get((branch, reference.id)) if reference.revision is None else None
                ref = ref or self.meant(reference, context, self.last)
                if ref is None:
                    return "UNKNOWN_REFERENCE"
                own.append(ref)
            lines = [(index, asked.id) for index in self.joined(asked)]
            current = max(highest.get(line, self.highest(line)) for line in lines)
            conflict = conflict or (asked.expected is not None and asked.expected != current)
            ref = f"{self.names[lines[0][0]]}@{self.prefix}/{asked.id}?{current + 1}"
            for line in lines:
                highest[line], drafted[line] = current + 1, ref
            refs.append(ref)
            pins.append(own)
        made_from = [self.meant(reference, context, self.last) for reference in inputs]
        if None in made_from:
            return "UNKNOWN_REFERENCE"
        return "REVISION_CONFLICT" if conflict else (refs, pins, [str(ref) for ref in made_from])

    def highest(self, line: tuple[int, str]) -> int:
        branch, id_ = line
        return max((version.revision for version in self.branches[branch].sees(id_, self.last)), default=0)

    def keep(self, drafts: list[Asked], refs: list[str]) -> None:
        for asked, ref in zip(drafts, refs, strict=True):
            version = Version(ref, int(ref.rpartition("?")[2]), self.last)
            for index in self.joined(asked):
                self.branches[index].own.setdefault(asked.id, []).append(version)

    @precondition(lambda self: self.answers)
    @rule(which=st.integers(0, 100))
    def send_again(self, which: int) -> None:
        request, first = self.answers[which % len(self.answers)]
        again = self.run(self.ledger.refinery.refine(author_ref=AUTHOR, **request))
        assert again.replayed
        assert (again.refinement, again.vibes) == (first.refinement, first.vibes)

    @rule(reference=a_reference, context=an_index, back=st.integers(0, 8))
    def get(self, reference: Reference, context: int, back: int) -> None:
        context, as_of = self.branch_at(context), max(1, self.last - back)
        at = Context(self.names[context], None if back == 0 else as_of)
        ref = self.outcome(self.ledger.ref(self.written(reference), at.branch, at.as_of))
        assert ref == (self.meant(reference, context, as_of) or "VIBE_NOT_FOUND")

    @rule(id_=st.sampled_from(IDS), context=an_index, back=st.integers(0, 8), size=st.integers(1, 4))
    def list_revisions(self, id_: str, context: int, back: int, size: int) -> None:
        context, as_of = self.branch_at(context), max(1, self.last - back)
        expected = [version.ref for version in self.branches[context].sees(id_, as_of)][::-1]
        listed = self.outcome(self.revisions(id_, Context(self.names[context], as_of), size))
        assert listed == (expected or "VIBE_NOT_FOUND")

    async def revisions(self, id_: str, context: Context, size: int) -> list[str]:
        listed = self.ledger.refinery.list_revisions(f"{self.prefix}/{id_}", context=context, page_size=size)
        return [vibe.ref async for vibe in listed]

    @invariant()
    def the_ledger_ends_where_the_model_does(self) -> None:
        if hasattr(self, "last"):
            assert self.run(self.ledger.refinery.get_refinement(position=self.last)).position == self.last


async def test_the_ledger_does_what_the_model_does(ledger: Ledger) -> None:
    """Hypothesis is not asynchronous: it works in a thread, and waits there for the ledger in this loop."""
    loop = asyncio.get_running_loop()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=60)

    class Machine(Both):
        pass

    Machine.ledger, Machine.run = ledger, staticmethod(run)
    await asyncio.to_thread(
        run_state_machine_as_test,
        Machine,
        settings=settings(
            max_examples=100,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
