"""Answers GetLedger: which ledger it is, where it ends, the versions that serve it, and its limits."""

from __future__ import annotations

from ledger_service import branches, extent, lineage, reads, wire
from refinery.ledger.v1 import ledger_service_pb2 as pb
from refinery_core import pages
from refinery_core import wire as core_wire
from refinery_core.errors import DataCorrupted
from refinery_core.postgres.database import Database
from refinery_core.release import VERSION
from refinery_core.stored import sources
from refinery_core.vibe import digests, documents, refs

LIMITS = pb.Limits(
    message_bytes=core_wire.MAX_MESSAGE_BYTES,
    document_bytes=documents.MAX_BYTES,
    document_levels=documents.MAX_DEPTH,
    schema_bytes=documents.MAX_BYTES,
    schema_levels=sources.MAX_LEVELS,
    reference_bytes=refs.MAX_BYTES,
    drafts=wire.MAX_DRAFTS,
    drafts_times_inputs=wire.MAX_DRAFTS_TIMES_INPUTS,
    branches_of_a_draft=wire.MAX_BRANCHES,
    branch_levels=branches.MAX_LEVELS,
    refine_bytes=extent.MAX_BYTES,
    refine_references=extent.MAX_EDGES,
    batch_references=reads.MAX_BATCH,
    page_size=pages.MAX_SIZE,
    lineage_levels=lineage.MAX_DEPTH,
    lineage_vibes=lineage.MAX_VIBES,
)


async def about(database: Database) -> pb.GetLedgerResponse:
    """
    Read all of that, as of now.

    Raises:
        DataCorrupted: the row with the id of the ledger is gone.
    """
    row = await database.first("about")
    if row is None:
        raise DataCorrupted
    return pb.GetLedgerResponse(
        ledger_id=str(row["id"]),
        origin=digests.origin(row["id"]),
        position=row["position"],
        chain=row["chain"],
        versions=pb.Versions(
            program=VERSION,
            migration=row["migration"],
            code=bytes.fromhex(row["code"] or ""),
            postgres=row["postgres"],
        ),
        limits=LIMITS,
    )
