from __future__ import annotations

import pytest

from refinery_core.postgres.address import has_password, see_address
from refinery_core.settings import CannotStart

CANARY = "canary7"


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://ada@localhost/ledger", False),
        ("postgres://ada:p%40ss%2Fword@localhost:5432/ledger?sslmode=verify-full", True),
        ("postgresql://ada@a:1,b:2,[::1]:3/ledger?target_session_attrs=read-write", False),
        ("postgresql:///ledger?host=/var/run/postgresql&user=ada", False),
        ("postgresql://ada@/ledger?host=/var/run/postgresql&password=x", True),
        ("postgresql://ada@%2Fvar%2Frun%2Fpostgresql/ledger", False),
        ("postgresql://:x@localhost/ledger", True),
    ],
)
def test_addresses_that_can_be_read(url: str, password: bool) -> None:
    see_address(url)
    assert has_password(url) is password


@pytest.mark.parametrize(
    "url",
    [
        CANARY,
        f"{CANARY}://localhost/ledger",
        f"postgresql://ada:{CANARY}/x@localhost/ledger",
        f"postgresql://ada:{CANARY}?x@localhost/ledger",
        f"postgresql://ada:{CANARY}#x@localhost/ledger",
        f"postgresql://ada:12/{CANARY}@localhost/ledger",
        f"postgresql://ada:x@{CANARY}@localhost/ledger",
        f"postgresql://ada@localhost:{CANARY}/ledger",
        f"postgresql://ada:[{CANARY}@localhost/ledger",
        f"postgresql://ada:x@[{CANARY}]/ledger",
        f"postgresql://ada:x@local host{CANARY}/ledger",
        f"host=localhost password={CANARY}",
    ],
)
def test_an_address_that_cannot_be_read_is_not_quoted(url: str) -> None:
    with pytest.raises(CannotStart) as caught:
        see_address(url)
    assert CANARY not in str(caught.value)
