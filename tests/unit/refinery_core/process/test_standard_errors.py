from __future__ import annotations

import pytest

from refinery_core.process.standard_errors import STATUSES, error_uri, same_error_type

OLD = "https://serverlessworkflow.io/dsl/errors/types/"


@pytest.mark.parametrize("name", STATUSES)
def test_both_families_of_uris_mean_the_same_errors(name: str) -> None:
    assert same_error_type(error_uri(name), OLD + name)
    assert same_error_type(OLD + name, error_uri(name))


def test_errors_of_different_names_or_other_houses_differ() -> None:
    assert not same_error_type(error_uri("timeout"), OLD + "runtime")
    assert not same_error_type(error_uri("timeout"), "https://example.com/errors/timeout")
    assert same_error_type("https://example.com/errors/x", "https://example.com/errors/x")
