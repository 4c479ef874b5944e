from __future__ import annotations

from pathlib import Path

import pytest

from refinery_core.postgres.queries import load

GET = "-- name: get_colour\n-- One colour by its name.\nselect 1 where $1;\n"


def test_each_query_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "colours.sql").write_text(GET + "\n-- name: list_colours\n-- All of them.\nselect 2\n")
    (tmp_path / "notes.txt").write_text("not SQL")
    assert load(tmp_path) == {
        "get_colour": "/* get_colour */ select 1 where $1",
        "list_colours": "/* list_colours */ select 2",
    }


def test_one_name_for_two_queries_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(GET)
    (tmp_path / "b.sql").write_text(GET)
    with pytest.raises(ValueError, match="two queries named get_colour"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["-- name: x\nselect 1", "-- name: X\n-- Why.\nselect 1"])
def test_a_query_without_a_purpose_or_with_an_odd_name_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.sql").write_text(text)
    with pytest.raises(ValueError, match="needs a comment line of purpose"):
        load(tmp_path)


def test_a_query_without_sql_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- name: x\n-- Why.\n")
    with pytest.raises(ValueError, match="x has no SQL"):
        load(tmp_path)
