"""`refinery status`: the ledger itself."""

from __future__ import annotations

from refinery_cli.options import HERE, Output, Services
from refinery_cli.show.output import print_facts, print_json
from refinery_cli.show.plain import plain


async def status(*, output: Output = "text", services: Services = HERE) -> None:
    """
    Show the ledger's id, its end, the versions that serve it, and its limits.

    Keep the printed chain: `refinery verify --expect` takes it, and shows later
    that nothing before it was changed.
    """
    async with services.connect() as refinery:
        ledger = await refinery.get_ledger()
    if output != "text":
        print_json(plain(ledger), output)
        return
    versions = ledger.versions
    print_facts({
        "ledger": ledger.ledger_id,
        "position": ledger.position,
        "chain": f"{ledger.position}:{ledger.chain.hex()}",
        "program": versions.program,
        "migration": versions.migration,
        "code": versions.code.hex(),
        "postgres": versions.postgres,
        **{name.replace("_", " "): f"{limit:,} at most" for name, limit in ledger.limits.items()},
    })  # fmt: skip
