from __future__ import annotations

import pytest

from refinery_core.postgres.composition import _answerable
from tests.cases.composed import Composition, compositions, is_same
from tests.cases.store import Store


@pytest.fixture(params=compositions(), ids=lambda composition: composition.name)
def composition(request: pytest.FixtureRequest) -> Composition:
    assert isinstance(request.param, Composition)
    return request.param


def test_a_stored_schema_composes_to_the_bytes_that_it_always_did(
    store: Store, composition: Composition
) -> None:
    bundle, embedded = store.ask(
        composition.vibes,
        ("select refinery.bundle_vibe_schema($1)::text", (composition.ref,)),
        ("select refinery.resolve_vibe_schema($1)::text", (composition.ref,)),
    )
    assert is_same(_answerable(bundle), composition.bundle)
    assert is_same(_answerable(embedded), composition.embedded)
