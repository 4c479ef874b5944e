"""The identity of the ledger: the first answer tells it, and every later one has to tell the same."""

from __future__ import annotations

from collections.abc import Iterable

from refinery_core.errors import AnotherLedger
from refinery_core.wire import LEDGER_ID_KEY


class Identity:
    """
    The ledger that answered first. Ledger and resolver have to answer from the same one.

    Calls carry its id, so that a service of another ledger refuses them before it does anything.
    """

    def __init__(self) -> None:
        self._seen: str | None = None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata that each call carries."""
        return () if self._seen is None else ((LEDGER_ID_KEY, self._seen),)

    def check(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> None:
        """
        Check the metadata of an answer; those of the process service name no ledger.

        Raises:
            AnotherLedger: the answer comes from another ledger than those before.
        """
        for key, value in metadata or ():
            if key != LEDGER_ID_KEY:
                continue
            found = value if isinstance(value, str) else value.decode()
            self._seen = self._seen or found
            if found != self._seen:
                raise AnotherLedger(meant=self._seen, ledger=found)
