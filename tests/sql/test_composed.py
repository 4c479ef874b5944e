from __future__ import annotations

import pytest

from refinery_core.vibe.jsonb import answerable
from tests.cases.composed import Composition, compositions, is_same
from tests.support.store import Store


@pytest.fixture(params=compositions(), ids=lambda composition: composition.name)
def composition(request: pytest.FixtureRequest) -> Composition:
    assert isinstance(request.param, Composition)
    return request.param


def test_a_stored_schema_embeds_to_the_bytes_that_it_always_did(
    store: Store, composition: Composition
) -> None:
    question = ("select refinery.resolve_vibe_schema($1)::text", (composition.ref,))
    [embedded] = store.ask(composition.vibes, question)
    assert is_same(answerable(embedded), composition.embedded)
