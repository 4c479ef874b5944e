from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from refinery_cli.read.documents import document_of, value_of
from refinery_cli.read.yaml import read_yaml
from refinery_cli.show.failures import Usage
from refinery_cli.show.output import json_text
from refinery_client.drafts import ABSENT, JsonText
from refinery_core.vibe.documents import from_value, parse
from tests.cases.numbers import KEPT, REFUSED, named


def test_inline_json_is_handed_on_as_it_was_written() -> None:
    text = document_of('{"a": 1.10, "a": 2}', "--solution")
    assert isinstance(text, JsonText)
    assert text == '{"a": 1.10, "a": 2}'


def test_no_document_is_absent_and_null_is_a_document() -> None:
    assert document_of(None, "--solution") is ABSENT
    assert document_of("null", "--solution") == "null"


def test_a_bare_word_is_told_how_to_be_a_string_or_a_file() -> None:
    with pytest.raises(Usage, match=r"--solution is not JSON .* @FILE"):
        document_of("hello", "--solution")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", '{"a": 1}', '{"a": 1}'),
        ("a.yaml", "a: 1", {"a": 1}),
        ("a.yml", "{a: 1}", {"a": 1}),
        ("a.txt", '{"a": 1}', '{"a": 1}'),
        ("a", "a: 1", {"a": 1}),
        ("a", "12", "12"),
    ],
)
def test_a_file_is_json_or_yaml_by_its_name_and_else_by_its_content(
    tmp_path: Path, name: str, text: str, expected: Any
) -> None:
    (tmp_path / name).write_text(text)
    assert document_of(f"@{tmp_path / name}", "--solution") == expected


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a: [1, 2]\n")))
    assert document_of("-", "--solution") == {"a": [1, 2]}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    with pytest.raises(Usage, match="not UTF-8"):
        document_of("-", "--solution")


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="cannot be read: No such file"):
        document_of(f"@{tmp_path / 'none.json'}", "--solution")


def test_a_file_that_is_not_utf8_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'"\xff"')
    with pytest.raises(Usage, match="is not UTF-8"):
        document_of(f"@{tmp_path / 'a.json'}", "--solution")


@pytest.mark.parametrize("literal", KEPT, ids=named)
def test_a_number_is_read_from_files_and_printed_as_it_is_kept(tmp_path: Path, literal: str) -> None:
    document = parse(literal)
    (tmp_path / "a.json").write_text(literal)
    (tmp_path / "a.yaml").write_text(f"a: {literal}")
    (tmp_path / "b.yaml").write_text(f"a: [+{literal.lstrip('-')}]")
    assert from_value(value_of(tmp_path / "a.json")) == document
    assert from_value(value_of(tmp_path / "a.yaml")["a"]) == document
    assert from_value(value_of(tmp_path / "b.yaml")["a"][0]) == parse(literal.lstrip("-"))
    assert parse(json_text(document.value, pretty=True)) == document


@pytest.mark.parametrize("literal", REFUSED, ids=named)
def test_a_number_that_would_change_is_refused_in_files_as_well(tmp_path: Path, literal: str) -> None:
    for name, text in (
        ("a.json", literal),
        ("a.yaml", f"a: {literal}"),
        ("b.yaml", literal if literal[0] == "-" else f"+{literal}"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(Usage, match=f"is not (JSON|YAML): {re.escape(REFUSED[literal])}"):
            value_of(tmp_path / name)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": 0.10000000000000000001}', "[" * 100_000, "[1,"])
def test_a_json_file_that_would_change_when_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(Usage, match="is not JSON"):
        value_of(tmp_path / "a.json")


# --- YAML ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on: off", {"on": "off"}),
        ("no", "no"),
        ("2026-11-21", "2026-11-21"),
        ("2026-11-21T09:30:00Z", "2026-11-21T09:30:00Z"),
        ("1.50", 1.5),
        ("~", None),
        ("true", True),
        ("'12'", "12"),
        ("9007199254740991", 9007199254740991),
        ("{$ref: 'aug:/schemas/user'}", {"$ref": "aug:/schemas/user"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
    ],
)
def test_yaml_means_what_yaml_1_2_says_with_the_values_of_json(text: str, expected: Any) -> None:
    assert read_yaml(text, "it") == expected


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "a: [",
        "--- 1\n--- 2",
        "18446744073709551616",
        "0.10000000000000000001",
        ".10000000000000000001",
        "+1.8446744073709551617e19",
        "!!python/x 1",
    ],
)
def test_yaml_that_cannot_be_kept_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(Usage, match=r"^it is not YAML: [^\n]+$"):
        read_yaml(text, "it")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "the key 'a' occurs twice (line 2, column 1)"),
        ("1: a", "the key '1' is no string; write it in quotes (line 1, column 1)"),
        ("a:\n  true: b", "the key 'true' is no string; write it in quotes (line 2, column 3)"),
        ("~: a", "the key '~' is no string; write it in quotes (line 1, column 1)"),
        ("[1]: a", "the key a list or an object is no string; write it in quotes (line 1, column 1)"),
        ("? {a: 1}\n: b", "the key a list or an object is no string; write it in quotes (line 1, column 3)"),
    ],
)
def test_keys_that_json_cannot_have_are_told_with_their_place(text: str, problem: str) -> None:
    with pytest.raises(Usage, match=f"^it is not YAML: {re.escape(problem)}.$"):
        read_yaml(text, "it")


def test_a_merged_key_gives_way_to_the_one_that_is_written() -> None:
    assert read_yaml("a: &x {b: 1}\nc:\n  <<: *x\n  b: 2", "it")["c"] == {"b": 2}


def test_aliases_cannot_explode() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    with pytest.raises(Usage, match="too large once its aliases are written out"):
        read_yaml(bomb, "it")


def test_an_alias_to_itself_is_refused() -> None:
    with pytest.raises(Usage, match="nested too deeply"):
        read_yaml("&a [*a]", "it")


@pytest.mark.parametrize("depth", [100, 5_000])
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_deep_nesting_is_refused(tmp_path: Path, name: str, depth: int) -> None:
    (tmp_path / name).write_text("[" * depth + "]" * depth)
    with pytest.raises(Usage, match="nested too deeply"):
        value_of(tmp_path / name)
