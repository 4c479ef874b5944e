from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from refinery_cli import verbs
from refinery_cli.__main__ import run
from refinery_cli.app import VERBS

Capsys = pytest.CaptureFixture[str]
VERB_FILES = Path(verbs.__path__[0])


def test_help_needs_neither_grpc_nor_a_database_driver() -> None:
    script = (
        "import sys; from refinery_cli.__main__ import run; run(['--help']);"
        "sys.exit(bool({'grpc', 'asyncio', 'asyncpg', 'rich.progress', 'ruamel.yaml'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("verb", [name for _, name, _, _ in VERBS])
def test_the_lines_of_a_help_are_not_broken_in_80_columns(verb: str) -> None:
    tree = ast.parse((VERB_FILES / f"{verb.replace('-', '_')}.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lines = [line for function in functions for line in (ast.get_docstring(function) or "").splitlines()]
    assert [line for line in lines if len(line) > 80] == []


def test_every_verb_stands_in_the_help_and_explains_itself(capsys: Capsys) -> None:
    assert run(["--help"]) == 0
    overview = capsys.readouterr().out
    for _, name, _, help_ in VERBS:
        assert name in overview
        assert help_ in overview
        assert run([name, "--help"]) == 0
        assert "Usage: refinery" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("lineage", "A * after it means that it has edges to others"),
        ("refine", "A request file has the fields of a RefineRequest"),
        ("run", "Exit code 1 with --watch if the execution did not complete."),
        ("branch", "Make and list branches."),
    ],
)
def test_the_help_of_a_verb_is_all_that_it_has_to_say(capsys: Capsys, verb: str, words: str) -> None:
    assert run([verb, "--help"]) == 0
    assert words in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (["frob"], 'Unknown command "frob"'),
        (["get"], "takes a reference or a --digest"),
        (["get", "aug:/x", "--digest", "ab"], "one of the two"),
        (["get", "--digest", "xy"], "'xy' is not hex"),
        (["get", "aug:/x", "--colour"], "--colour"),
        (["get", "aug:/x", "-o", "xml"], "xml"),
        (["get", "aug:/x", "--as-of", "once"], "neither a position nor a time"),
        (["refine", "--id", "x"], "takes a --type and an --id"),
        (["refine", "--type", "thing", "--id", "x"], "thing"),
        (["refine", "--file", "x.yaml", "--id", "x"], "--file brings its own drafts"),
        (["refine", "--type", "record", "--id", "x", "--schema", "-", "--solution", "-"], "Standard input"),
        (["refine", "--type", "record", "--id", "x", "--solution", "@nowhere"], "nowhere cannot be read"),
        (["resolve"], "takes a reference or a --schema"),
        (["validate"], "takes a reference or a --schema"),
        (["watch", "-o", "json"], "A watch has no end"),
        (["verify", "--data", "/nowhere"], "No 'refinery up' is running on /nowhere"),
        (["verify", "--url", "x", "--expect", "7"], "--expect: '7' is not POSITION:CHAIN"),
        (["verify", "--url", "x", "--from", "7"], "--from: '7' is not POSITION:CHAIN"),
        (["verify", "--url", "x", "--from", f"7:{'0' * 64}", "--expect", f"6:{'0' * 64}"], "before --from"),
        (["verify", "--url", "x", "--parallel", "0"], "--parallel"),
        (["import-schemas"], "at least one file"),
        (["import-schemas", "/nowhere/*.json"], "matches no file"),
        (["branch", "create", "x", "--fork", "once"], "--fork: 'once'"),
        (["list", "--after", "99999999999999999999"], "--after"),
        (["list", "--limit", "-1"], "--limit"),
        (["watch", "--count", "99999999999"], "--count"),
        (["get", "aug:/x", "--as-of", "9" * 30], "neither a position nor a time"),
        (["get", "aug:/x", "--timeout", "0"], "--timeout"),
        (["get", "aug:/x\udcff"], "not UTF-8"),
        (["refine", "--type", "record", "--id", "x", "--expect", "99999999999"], "--expect"),
    ],
)
def test_a_wrong_command_is_one_sentence_and_exit_code_2(
    capsys: Capsys, tokens: list[str], sentence: str
) -> None:
    assert run(tokens) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert err.startswith("error: ")
    assert err.endswith("Add --help to see what can be said.\n")
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize("verb", ["verify", "migrate"])
def test_a_database_that_is_not_there_is_one_sentence_and_exit_code_1(capsys: Capsys, verb: str) -> None:
    for url, sentence in (
        ("postgresql:///x?host=/nowhere", "The database cannot be "),
        ("x", "The address of the database cannot be read"),
    ):
        assert run([verb, "--url", url]) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"error: {sentence}")
        assert len(err.splitlines()) == 1


def test_a_ledger_that_is_not_there_is_told_with_what_to_do(capsys: Capsys) -> None:
    tokens = ["refine", "--type", "record", "--id", "x", "--ledger", "127.0.0.1:1", "--timeout", "0.2"]
    tokens += ["--request-id", "6f1f4b0e-9d3b-4a53-8f3e-0d8a4c1f2b3a"]
    assert run(tokens) == 3
    err = capsys.readouterr().err
    assert "--request-id 6f1f4b0e-9d3b-4a53-8f3e-0d8a4c1f2b3a" in err
    assert "(UNREACHABLE)" in err
    assert "Is 'refinery up' running? The address is --ledger." in err
    assert run([*tokens, "-o", "json"]) == 3
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert json.loads(err)["reason"] == "UNREACHABLE"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_verb(capsys: Capsys, shell: str) -> None:
    assert run(["completion", "show", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for _, name, _, _ in VERBS)
    assert "transitive" in script


def test_help_is_there_at_once() -> None:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "refinery_cli", "--help"], check=True, stdout=subprocess.DEVNULL)
    print(f"refinery --help: {time.monotonic() - begun:.2f} s")
