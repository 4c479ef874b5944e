"""Keeps large payloads out of Temporal's histories: they become RECORDs in the ledger, and refs travel."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import uuid
from collections.abc import Sequence
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverSelectContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from process_worker.temporal.codec import Codec, Keys, is_encrypted
from process_worker.workflow.messages import ANSWER_MARK, MAX_INLINE_BYTES, WORKFLOW_ID_PREFIX
from refinery_client import Draft, Refinery
from refinery_core.errors import RequestIdReused
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.refs import EXECUTIONS

_PART_BYTES: Final = 384 << 10
"""The size of a part of a payload: in base64 it stays well below the limit of a document."""
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "refinery:payload")


def converter(refinery: Refinery, author_ref: str, keys: Keys | None = None) -> DataConverter:
    """The data converter of workers, and of clients that read their payloads; with keys, it encrypts."""
    ledger = LedgerStorage(refinery, author_ref)

    def chosen(_: StorageDriverSelectContext, payload: Payload) -> StorageDriver | None:
        return ledger if _goes_to_ledger(payload) else None

    storage = ExternalStorage([ledger], driver_selector=chosen, payload_size_threshold=MAX_INLINE_BYTES)
    # The codec comes before the storage. It passes what the ledger gets: encrypted anew whenever a history is
    # replayed, the same payload would become another RECORD each time.
    plain = dataclasses.replace(
        DataConverter.default, external_storage=storage, payload_codec=Codec(keys, _goes_to_ledger)
    )
    if keys is None:
        return plain
    return dataclasses.replace(plain, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


def _goes_to_ledger(payload: Payload) -> bool:
    """Whether a payload becomes RECORDs. An encrypted one was smaller before, and stays inline."""
    inline = ANSWER_MARK in payload.metadata or is_encrypted(payload)
    return payload.ByteSize() >= MAX_INLINE_BYTES and not inline


class LedgerStorage(StorageDriver):
    """The storage of payloads. Their ids contain their digests, so that writing one again writes nothing."""

    def __init__(self, refinery: Refinery, author_ref: str) -> None:
        self._refinery = refinery
        self._author_ref = author_ref

    def name(self) -> str:
        """The name in Temporal's references; it never changes."""
        return "refinery-ledger"

    def type(self) -> str:
        """The same for other languages."""
        return "refinery-ledger"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Write payloads."""
        return [await self._store(_folder(context), payload.SerializeToString()) for payload in payloads]

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,  # noqa: ARG002 -- the driver's shape
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        """Read payloads."""
        return [await self._retrieve(claim.claim_data["refs"].split()) for claim in claims]

    async def _store(self, folder: str, content: bytes) -> StorageDriverClaim:
        digest = hashlib.sha256(content).hexdigest()
        refs: list[str] = []
        for at in range(0, len(content), _PART_BYTES):
            id_ = f"{folder}/payloads/{digest}/{at // _PART_BYTES}"
            refs.append(await self._keep(id_, content[at : at + _PART_BYTES]))
        return StorageDriverClaim(claim_data={"refs": " ".join(refs)})

    async def _keep(self, id_: str, part: bytes) -> str:
        request_id = uuid.uuid5(_NAMESPACE, id_)
        solution = {"base64": base64.b64encode(part).decode()}
        try:
            refined = await self._refinery.refine(
                request_id=request_id,
                author_ref=self._author_ref,
                drafts=[Draft(type=VibeType.RECORD, id=id_, solution=solution)],
            )
        except RequestIdReused:
            # A worker with another author has kept the same payload: its id has the digest.
            return (await self._refinery.get_refinement(request_id=request_id)).vibe_refs[0]
        return refined.vibes[0].ref

    async def _retrieve(self, refs: list[str]) -> Payload:
        parts = [(await self._refinery.get_vibe(ref)).solution["base64"] for ref in refs]
        return Payload.FromString(b"".join(base64.b64decode(part) for part in parts))


def _folder(context: StorageDriverStoreContext) -> str:
    target = context.target
    workflow = target.id if isinstance(target, StorageDriverWorkflowInfo) else None
    if workflow is None or not workflow.startswith(WORKFLOW_ID_PREFIX):
        return EXECUTIONS.rstrip("/")
    return EXECUTIONS + workflow.removeprefix(WORKFLOW_ID_PREFIX)
