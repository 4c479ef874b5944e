from __future__ import annotations

from typing import Any

import pytest

from refinery_core.process.durations import DurationFault, read_duration


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("PT0S", 0),
        ("PT1.5S", 1_500),
        ("PT0.001S", 1),
        ("PT15M", 900_000),
        ("P1W", 604_800_000),
        ("P1DT2H3M4.005S", 93_784_005),
        ("P30D", 2_592_000_000),
        ("P0.5D", 43_200_000),
        ({"days": 1, "hours": 2, "minutes": 3, "seconds": 4, "milliseconds": 5}, 93_784_005),
        ({"seconds": 0}, 0),
    ],
)
def test_both_forms_give_milliseconds(written: Any, milliseconds: int) -> None:
    assert read_duration(written) == milliseconds


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("P1Y", "years and months"),
        ("P1M", "years and months"),
        ("P1M2D", "years and months"),
        ("P1Y2M3DT4H", "years and months"),
        ("P", "not an ISO 8601"),
        ("PT", "not an ISO 8601"),
        ("P1DT", "not an ISO 8601"),
        ("1D", "not an ISO 8601"),
        ("pt1s", "not an ISO 8601"),
        ("PT1H30", "not an ISO 8601"),
        ("PT1S1M", "not an ISO 8601"),
        ("-PT1S", "not an ISO 8601"),
        ("PT\u0661S", "not an ISO 8601"),
        ("", "not an ISO 8601"),
        ("PT0.0001S", "finer than a millisecond"),
        ("P40000D", "longer than a hundred years"),
        ({"years": 1}, "years and months"),
        ({"months": 1}, "years and months"),
        ({"weeks": 1}, "a duration has no 'weeks'"),
        ({}, "it is empty"),
        ({"seconds": -1}, "'seconds' needs to be a whole number"),
        ({"seconds": 1.5}, "'seconds' needs to be a whole number"),
        ({"seconds": True}, "'seconds' needs to be a whole number"),
        ({"days": 10**12}, "longer than a hundred years"),
    ],
)
def test_what_has_no_fixed_length_is_no_duration(written: Any, problem: str) -> None:
    with pytest.raises(DurationFault, match=problem):
        read_duration(written)
