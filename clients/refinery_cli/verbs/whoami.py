"""`refinery whoami`: the principal that the ledger takes this command for, and its Roles."""

from __future__ import annotations

from refinery_cli.options import HERE, Output, Services
from refinery_cli.show.output import Columns, print_facts, print_json, print_table, say
from refinery_cli.show.plain import plain
from refinery_client import HeldRole, RoleRule

COLUMNS: Columns[tuple[HeldRole, RoleRule | None]] = {
    "role": lambda row: row[0].ref,
    "held as": lambda row: row[0].held_as,
    "may": lambda row: "everything" if row[1] is None else ", ".join(row[1].verbs),
    "ids": lambda row: "" if row[1] is None else ", ".join(row[1].ids),
    "branches": lambda row: "" if row[1] is None else ", ".join(row[1].branches),
    "types": lambda row: "" if row[1] is None else ", ".join(row[1].types),
}


async def whoami(*, output: Output = "text", services: Services = HERE) -> None:
    """Print your principal, the Roles in force that it holds, and what they allow."""
    async with services.connect() as refinery:
        identity = await refinery.who_am_i()
    if output != "text":
        print_json(plain(identity), output)
        return
    print_facts({
        "principal": identity.principal,
        **({"groups": ", ".join(identity.groups)} if identity.groups else {}),
        "authenticated": "yes" if identity.authenticated else "no: everybody may do everything here",
    })  # fmt: skip
    rows: list[tuple[HeldRole, RoleRule | None]] = []
    for role in identity.roles:
        if role.ref.startswith("main@system/genesis?"):
            rows.append((role, None))
        rows.extend((role, rule) for rule in role.rules)
    if rows:
        say()
        print_table(COLUMNS, rows)
