"""Which ledger answers: the first answer says it, and every later one has to say the same."""

from __future__ import annotations

from collections.abc import Iterable

from refinery_client.refusals import Unreachable, service_of
from refinery_core.wire import LEDGER_ID_KEY


class AnotherLedger(Unreachable):
    """The {service} service {problem}."""

    reason = "ANOTHER_LEDGER"


class Identity:
    """The ledger that answered first. Ledger and resolver have to answer from the same one."""

    def __init__(self) -> None:
        self._seen: str | None = None

    def check(self, metadata: Iterable[tuple[str, str | bytes]] | None, request: object) -> None:
        """
        Look at the metadata of an answer; those of the process service do not say.

        Raises:
            AnotherLedger: the answer comes from another ledger than those before.
        """
        for key, value in metadata or ():
            if key != LEDGER_ID_KEY:
                continue
            found = value if isinstance(value, str) else value.decode()
            self._seen = self._seen or found
            if found != self._seen:
                problem = f"answers from the ledger {found}, and before from {self._seen}"
                raise AnotherLedger(
                    service=service_of(request), problem=f"{problem}; connect anew if that is meant"
                )
