from __future__ import annotations

import json
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery_core.schema.bundle import UNSTORED, address_of
from refinery_core.schema.composition import bundled_size, bundled_text
from refinery_core.schema.looks import estimate
from refinery_core.vibe.jsonb import printed_size
from tests.cases import grown
from tests.cases.composed import Composition, compositions, is_same
from tests.support.composing import bundle, compose


@pytest.fixture(params=compositions(), ids=lambda composition: composition.name)
def composition(request: pytest.FixtureRequest) -> Composition:
    assert isinstance(request.param, Composition)
    return request.param


def test_a_schema_bundles_to_the_bytes_that_it_always_did(composition: Composition) -> None:
    assert is_same(bundle(composition.vibes), composition.bundle)
    assert is_same(bundle(composition.vibes, stored=False), composition.unstored)


def test_a_bundle_is_estimated_as_it_always_was(composition: Composition) -> None:
    effort = estimate(json.loads(bundle(composition.vibes)))
    assert {"looks": list(effort.looks), "grows": effort.grows} == composition.effort


@given(st.integers(0, 1 << 32))
def test_what_is_estimated_document_by_document_is_the_estimate_of_the_whole(seed: int) -> None:
    vibes = grown.composition(seed)
    composed = compose(vibes)
    address = address_of(list(vibes)[-1])
    for name, guest in composed.guests.items():
        guest.looks(address_of(name))
    assert astuple(composed.root.looks(address).effort) == astuple(estimate(json.loads(bundle(vibes))))


@given(st.integers(0, 1 << 32))
def test_the_size_of_a_bundle_is_known_before_it_is_made(seed: int) -> None:
    composed = compose(grown.composition(seed))
    root, guests = composed.root, composed.guests
    sizes = {address_of(ref): guest.sized(address_of(ref))[1] for ref, guest in guests.items()}
    made = json.loads(bundled_text(root, UNSTORED, guests))
    assert bundled_size(*root.sized(UNSTORED), sizes) == printed_size(made)
