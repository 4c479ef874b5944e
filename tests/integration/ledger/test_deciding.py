"""Rights are decided three times, by SQL, by Python and by Cedar, and each decides the same."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import asyncpg
import cedarpy
import orjson
import pytest

from refinery_core.vibe.roles import ALL, Reader, Role, Rule, Verb, escalates
from tests.conftest import Database

QUESTIONS = 10_000
ROLES = 250
NAMES = ("a", "b", "ab", "a-b", "a.b", "A", "x")
BRANCHES = ("main", "dev/a", "dev/b", "dev", "live")
TYPES = ("RECORD", "ROLE", "PROCESS", "CAPABILITY")
PRINCIPALS = ("jwt:https://i#a", "jwt:https://i#ab", "spiffe://d/ns/a", "spiffe://d/ns/a/b", "x509:a")
GROUPS = ("group:https://i#a", "group:https://i#ab", "")
MEMBERS = (
    *PRINCIPALS,
    *GROUPS[:2],
    "*",
    "jwt:https://i#*",
    "jwt:https://i#a*",
    "spiffe://d/ns/a/*",
    "group:https://i#*",
)


@dataclass(frozen=True)
class Question:
    """Somebody, with a group or none, would do something."""

    role: int
    principal: str
    group: str
    verb: str
    id: str
    branch: str
    type: str

    @property
    def names(self) -> tuple[str, ...]:
        return (self.principal, self.group) if self.group else (self.principal,)


def ref(number: int) -> str:
    return f"main@roles/r{number}?1"


def some(random_: random.Random, items: tuple[str, ...], most: int = 3) -> list[str]:
    return random_.sample(items, random_.randint(1, min(most, len(items))))


def path(random_: random.Random) -> str:
    return "/".join(random_.choices(NAMES, k=random_.randint(1, 3)))


def pattern(random_: random.Random) -> str:
    return random_.choice((path(random_), f"{path(random_)}/**", ALL))


def branch_pattern(random_: random.Random) -> str:
    return random_.choice((*BRANCHES, "dev/**", ALL))


def solution(random_: random.Random) -> dict[str, Any]:
    rules: list[dict[str, Any]] = []
    for _ in range(random_.randint(0, 4)):
        rule: dict[str, Any] = {"do": some(random_, tuple(Verb))}
        if random_.random() < 0.8:
            rule["ids"] = [pattern(random_) for _ in range(random_.randint(1, 3))]
        if random_.random() < 0.4:
            rule["branches"] = [branch_pattern(random_) for _ in range(random_.randint(1, 2))]
        if random_.random() < 0.3:
            rule["types"] = some(random_, TYPES)
        rules.append(rule)
    return {"members": some(random_, MEMBERS), "may": rules}


def questions(random_: random.Random) -> Iterator[Question]:
    for number in range(QUESTIONS):
        yield Question(
            role=number * ROLES // QUESTIONS,
            principal=random_.choice(PRINCIPALS),
            group=random_.choice(GROUPS),
            verb=random_.choice(tuple(Verb)),
            id=path(random_),
            branch=random_.choice(BRANCHES),
            type=random_.choice(TYPES),
        )


def like(name: str, patterns: list[str]) -> str:
    tests = (
        f'context.{name} like "{pattern[:-2]}*"'
        if pattern.endswith("/**")
        else f'context.{name} == "{pattern}"'
        for pattern in patterns
    )
    return "true" if ALL in patterns else f"({' || '.join(tests)})"


def holds(members: list[str]) -> str:
    tests = []
    for member in members:
        for name in ("principal", "group"):
            there = f'context.{name} != ""'
            if member.endswith("*"):
                rest = f'context.{name} like "{member}" && context.{name} != "{member[:-1]}"'
                tests.append(f"({there} && {rest})")
            else:
                tests.append(f'context.{name} == "{member}"')
    return f"({' || '.join(tests)})"


def listed(names: Iterable[str], form: str) -> str:
    return f"[{', '.join(form.format(name) for name in names)}]"


def policies(role: dict[str, Any]) -> str:
    """The Role in Cedar's words."""
    told = []
    for rule in role["may"]:
        conditions = (
            holds(role["members"]),
            like("id", rule.get("ids", [ALL])),
            like("branch", rule.get("branches", [ALL])),
            listed(rule.get("types", TYPES), '"{}"') + ".contains(context.type)",
        )
        actions = listed(rule["do"], 'Action::"{}"')
        told.append(
            f"permit (principal, action in {actions}, resource) when {{ {' && '.join(conditions)} }};"
        )
    return "\n".join(told)


@pytest.fixture(scope="module")
def roles() -> list[dict[str, Any]]:
    random_ = random.Random(20261128)
    return [solution(random_) for _ in range(ROLES)]


@pytest.fixture(scope="module")
def asked() -> list[Question]:
    return list(questions(random.Random(7)))


@pytest.fixture
async def ledger(database: Database, roles: list[dict[str, Any]]) -> Any:
    """The tables of Roles as their trigger fills them."""
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute("set session_replication_role = replica")
    refs, texts = [ref(number) for number in range(ROLES)], [orjson.dumps(role).decode() for role in roles]
    for table, columns in (
        ("role_members", "ref, member"),
        ("role_rules", "ref, number, verbs, ids, branches, types"),
    ):
        await connection.execute(
            f"insert into refinery.{table} ({columns}) select r.ref, f.* "
            f"from unnest($1::text[], $2::text[]) r (ref, solution), refinery.{table}(r.solution::jsonb) f",
            refs,
            texts,
        )
    yield connection
    await connection.close()


def by_python(roles: list[dict[str, Any]], asked: list[Question]) -> list[bool]:
    read = [Role.of(ref(number), role) for number, role in enumerate(roles)]
    return [
        any(map(read[one.role].held_by, one.names))
        and read[one.role].allows(one.verb, one.id, one.branch, one.type)
        for one in asked
    ]


def by_cedar(roles: list[dict[str, Any]], asked: list[Question]) -> list[bool]:
    decisions: list[bool] = []
    for number, some_ in groupby(asked, key=lambda one: one.role):
        requests = [
            {
                "principal": 'Somebody::"s"',
                "action": f'Action::"{one.verb}"',
                "resource": 'Vibe::"v"',
                "context": {
                    "principal": one.principal,
                    "group": one.group,
                    "id": one.id,
                    "branch": one.branch,
                    "type": one.type,
                },
            }
            for one in some_
        ]
        answers = cedarpy.is_authorized_batch(requests, policies(roles[number]), [])
        assert not any(answer.diagnostics.errors for answer in answers)
        decisions += [answer.allowed for answer in answers]
    return decisions


async def by_sql(ledger: asyncpg.Connection, asked: list[Question]) -> list[bool]:
    columns = [
        [ref(one.role) for one in asked],
        [orjson.dumps(one.names).decode() for one in asked],
        *([getattr(one, name) for one in asked] for name in ("verb", "id", "branch", "type")),
    ]
    rows = await ledger.fetch(
        "select refinery.held_as(q.role, q.names::jsonb) is not null "
        "and refinery.role_allows(q.role, q.verb, q.id, q.branch, q.type) as allowed "
        "from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) "
        "with ordinality as q (role, names, verb, id, branch, type, place) order by q.place",
        *columns,
    )
    return [row["allowed"] for row in rows]


async def test_sql_python_and_cedar_decide_alike(
    ledger: asyncpg.Connection, roles: list[dict[str, Any]], asked: list[Question]
) -> None:
    python = by_python(roles, asked)
    assert 500 < sum(python) < QUESTIONS - 500, "the questions decide nothing"
    for other in (await by_sql(ledger, asked), by_cedar(roles, asked)):
        different = [one for one, mine, theirs in zip(asked, python, other, strict=True) if mine != theirs]
        assert not different, different[:3]


async def test_sql_and_python_agree_on_what_escalates(
    ledger: asyncpg.Connection, roles: list[dict[str, Any]]
) -> None:
    random_ = random.Random(11)
    cases = [
        (random_.randrange(ROLES), random_.randrange(ROLES), _like(random_, roles[random_.randrange(ROLES)]))
        for _ in range(3_000)
    ]
    # Half of them are near to what is there, or nearly all would escalate.
    for number in range(0, len(cases), 2):
        author, previous, _ = cases[number]
        cases[number] = author, previous, _like(random_, roles[previous])
    rows = await ledger.fetch(
        "select refinery.escalation(q.author, q.previous, q.role::jsonb) is not null as escalates "
        "from unnest($1::text[], $2::text[], $3::text[]) with ordinality q (author, previous, role, place)"
        " order by q.place",
        [ref(author) for author, _, _ in cases],
        [ref(previous) for _, previous, _ in cases],
        [orjson.dumps(role).decode() for _, _, role in cases],
    )
    read = [Role.of(ref(number), role) for number, role in enumerate(roles)]
    python = [escalates(read[author], read[previous], Role.of("", role)) for author, previous, role in cases]
    assert 100 < sum(python) < len(cases) - 100
    different = [
        case for case, mine, row in zip(cases, python, rows, strict=True) if mine != row["escalates"]
    ]
    assert not different, different[:3]


def _like(random_: random.Random, role: dict[str, Any]) -> dict[str, Any]:
    """A Role with less, or a little more."""
    rules = [{**rule} for rule in role["may"] if random_.random() < 0.8]
    for rule in rules:
        if random_.random() < 0.3:
            rule["ids"] = [f"{path(random_)}/b"] if ALL in rule.get("ids", [ALL]) else rule["ids"][:1]
    members = [member for member in role["members"] if random_.random() < 0.9]
    if random_.random() < 0.2:
        members.append(random_.choice(MEMBERS))
    return {"members": list(dict.fromkeys(members)), "may": rules}


def test_a_reader_sees_what_its_rules_allow(roles: list[dict[str, Any]], asked: list[Question]) -> None:
    read = [[rule for _, rule in Role.of(ref(number), role).rules] for number, role in enumerate(roles)]
    readers = [Reader(rules) for rules in read]
    for one in asked:
        rules: list[Rule] = read[one.role]
        allowed = any(rule.allows(Verb.READ, one.id, one.branch, one.type) for rule in rules)
        assert readers[one.role].sees(one.id, (one.branch,), one.type) == allowed
        if allowed:
            folder = one.id.rpartition("/")[0]
            for prefix in ("", one.id, one.id[:1], folder and f"{folder}/"):
                assert readers[one.role].may_see(prefix, one.branch)
                assert readers[one.role].may_see(prefix, "")
