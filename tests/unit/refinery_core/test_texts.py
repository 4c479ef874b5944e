from __future__ import annotations

from refinery_core.texts import cut, cut_bytes


def test_a_text_that_fits_stays_and_a_longer_one_ends_in_an_ellipsis() -> None:
    assert cut("12345", 5) == "12345"
    assert cut("123456", 5) == "1234…"
    assert len(cut("x" * 101)) == 100


def test_bytes_are_cut_at_a_character() -> None:
    assert cut_bytes("ééé", 6) == "ééé"
    assert cut_bytes("éééé", 6) == "é…"
    assert cut_bytes("\ud800", 6) == "\\ud800"
