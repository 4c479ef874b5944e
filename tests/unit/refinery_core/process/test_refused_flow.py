from __future__ import annotations

from typing import Any

import pytest

from refinery_core.process.checker import read_process
from tests.unit.refinery_core.process.refused import (
    DOCUMENT,
    NOTHING,
    PROBLEM,
    T,
    catch,
    check,
    deep,
    document,
    nested,
    one,
    tasks,
    top,
)

DOCUMENTS: list[tuple[Any, str, str]] = [
    ([], "", "a process needs to be an object, not a list"),
    (None, "", "a process needs to be an object, not null"),
    ({}, "", "a process needs 'document'"),
    ({"document": DOCUMENT}, "", "a process needs 'do'"),
    (top(tasks=[]), "/tasks", "a process has no 'tasks', only document, input, use,"),
    (top(timeuot="x"), "/timeuot", "a process has no 'timeuot'; perhaps you mean 'timeout'"),
    (top(document=1), "/document", "'document' needs to be an object, not a number"),
    (top(document={"dsl": "1.0.3"}), "/document", "'document' needs 'namespace'"),
    (document(dsl="0.8.0"), "/document/dsl", "the version of the language needs to be 1.0.x"),
    (document(dsl=1.0), "/document/dsl", "'dsl' needs to be a string, not a number"),
    (document(name="a b"), "/document/name", "'name' has 1 to 63 letters, digits and inner hyphens"),
    (document(namespace=""), "/document/namespace", "'namespace' is empty"),
    (document(version="1"), "/document/version", "'version' needs to be a semantic version"),
    (document(titel="x"), "/document/titel", "'document' has no 'titel'; perhaps you mean 'title'"),
    (document(tags=[]), "/document/tags", "'tags' needs to be an object, not a list"),
    (top(evaluate={"mode": "loose"}), "/evaluate/mode", "strict mode only"),
    (top(evaluate={"language": "js"}), "/evaluate/language", "the language of expressions cannot be 'js'"),
    # Lists of tasks
    (top(do={}), "/do", "'do' needs to be a list, not an object"),
    (top(do=[]), "/do", "'do' is empty"),
    (top(do=["x"]), "/do/0", "an item of a list of tasks needs to be an object, not a string"),
    (top(do=[{}]), "/do/0", "an item of a list of tasks has exactly one key, its name, not 0"),
    (top(do=[{"a": NOTHING, "b": NOTHING}]), "/do/0", "has exactly one key, its name, not 2"),
    (top(do=[{"": NOTHING}]), "/do/0/", "a task needs a name"),
    (top(do=[{"exit": NOTHING}]), "/do/0/exit", "a task cannot be named 'exit'"),
    (tasks(("a", NOTHING), ("a", NOTHING)), "/do/1/a", "two tasks of one list have this name"),
    (top(do=[{"a/b~c": {}}]), "/do/0/a~1b~0c", "a task needs one of do, set, switch"),
    (tasks(*((f"t{n}", NOTHING) for n in range(1_001))), "/do/1000/t1000", "at most 1000 tasks"),
    (nested(33), T + "/do/0/t" * 33, "tasks are nested more than 32 deep"),
    (
        tasks(*((f"t{n}", {"set": "${ " + "1+" * 4_000 + "1 }"}) for n in range(40))),
        "/do/32/t32/set",
        "the expressions of a document have at most 262144 characters together",
    ),
    # Which task
    (one(), T, "a task needs one of do, set, switch, for, fork, try"),
    (top(do=[{"t": 1}]), T, "a task needs to be an object, not a number"),
    (one(sett={}), f"{T}/sett", "there is no task 'sett'; perhaps you mean 'set'"),
    (one(set={"a": 1}, wait="PT1S"), T, "a task is one thing: it cannot be both 'set' and 'wait'"),
    (one(**{"while": "."}), f"{T}/while", "'while' belongs to 'for', which this task does not have"),
    (one(catch={}), f"{T}/catch", "'catch' belongs to 'try'"),
    (one(**{"with": {}}), f"{T}/with", "'with' belongs to 'call'"),
    (one(set={"a": 1}, inputs={}), f"{T}/inputs", "a set task has no 'inputs'; perhaps you mean 'input'"),
    (one(emit={}, foreach={}), f"{T}/foreach", "an emit task has no 'foreach'"),
    # What all tasks have
    (one(**NOTHING, **{"if": True}), f"{T}/if", "'if' needs to be a string, not a boolean"),
    (one(**NOTHING, **{"if": "$input.a"}), f"{T}/if", "there is no $input here"),
    (one(**NOTHING, **{"if": "${ .a "}), f"{T}/if", "'${ … }' needs to be the whole string"),
    (one(**NOTHING, input={"as": "."}), f"{T}/input/as", "'input' has no 'as'"),
    (
        one(**NOTHING, input={"from": 1}),
        f"{T}/input/from",
        "'input.from' needs to be an expression or an object",
    ),
    (
        one(**NOTHING, output={"as": {"a": ["${ $output }"]}}),
        f"{T}/output/as/a/0",
        "there is no $output here",
    ),
    (
        one(**NOTHING, export={"as": "$context +"}),
        f"{T}/export/as",
        "it ends where a value should be, at character 11",
    ),
    (one(**NOTHING, export={"schema": {}}), f"{T}/export/schema", "a schema needs 'document' or 'resource'"),
    (
        one(**NOTHING, input={"schema": {"document": True, "resource": {}}}),
        f"{T}/input/schema",
        "a schema needs 'document' or 'resource', not both",
    ),
    (
        one(**NOTHING, input={"schema": {"format": "avro", "document": {}}}),
        f"{T}/input/schema/format",
        "only JSON Schema is supported",
    ),
    (
        one(**NOTHING, input={"schema": {"document": {"$ref": "https://example.com/x"}}}),
        f"{T}/input/schema/document/$ref",
        "nothing is ever fetched",
    ),
    (
        one(**NOTHING, input={"schema": {"resource": {"endpoint": "https://example.com/x"}}}),
        f"{T}/input/schema/resource/endpoint",
        "the schema of a Vibe is named by an 'aug:' reference",
    ),
    (one(**NOTHING, timeout="PT5S"), f"{T}/timeout", "there is no timeout 'PT5S' in use.timeouts"),
    (one(**NOTHING, timeout={"after": "P1M"}), f"{T}/timeout/after", "years and months have no fixed length"),
    (one(**NOTHING, timeout={}), f"{T}/timeout", "'timeout' needs 'after'"),
    (one(**NOTHING, metadata=1), f"{T}/metadata", "'metadata' needs to be an object"),
    (
        one(**NOTHING, then="nowhere"),
        f"{T}/then",
        "'then' leads only to a task of the same list: there is no 'nowhere'",
    ),
    (
        tasks(("start", NOTHING), ("x", {**NOTHING, "then": "strat"})),
        "/do/1/x/then",
        "perhaps you mean 'start'",
    ),
    (
        tasks(("a", {"do": [{"b": {**NOTHING, "then": "c"}}]}), ("c", NOTHING)),
        "/do/0/a/do/0/b/then",
        "'then' leads only to a task of the same list: there is no 'c', only b, continue, exit, end",
    ),
    (one(**NOTHING, then="${ .a }"), f"{T}/then", "cannot be an expression"),
    # do, set, switch
    (one(do=NOTHING), f"{T}/do", "'do' needs to be a list"),
    (one(set={}), f"{T}/set", "'set' is empty"),
    (one(set="a"), f"{T}/set", "'set' needs to be an object or an expression in ${ }"),
    (one(set={"a": "Hello ${ .name }"}), f"{T}/set/a", "'${ … }' needs to be the whole string"),
    (one(set={"a": "${ .a } ${ .b }"}), f"{T}/set/a", "'${ … }' needs to be the whole string"),
    (one(set={"a": "${ $error }"}), f"{T}/set/a", "there is no $error here"),
    (one(set={"a": "${ $secrets.a }"}), f"{T}/set/a", "$secrets can only be read in an authentication"),
    (
        one(**NOTHING, input={"from": "${ $secrets.a }"}),
        f"{T}/input/from",
        "$secrets can only be read in an authentication",
    ),
    (one(set=deep(70)), f"{T}/set/data" + "/0" * 63, "data is nested more than 64 deep"),
    (one(switch={}), f"{T}/switch", "'switch' needs to be a list"),
    (one(switch=[]), f"{T}/switch", "'switch' is empty"),
    (one(switch=[{"a": {"when": ".a"}}]), f"{T}/switch/0/a", "a case needs 'then'"),
    (one(switch=[{"a": {"then": "b"}}]), f"{T}/switch/0/a/then", "there is no 'b'"),
    (
        one(switch=[{"a": {"then": "end"}}, {"b": {"then": "end"}}]),
        f"{T}/switch/1/b",
        "at most one case without 'when'",
    ),
    (
        one(switch=[{"a": {"when": ".", "then": "end"}}, {"a": {"then": "end"}}]),
        f"{T}/switch/1/a",
        "two cases of one switch have this name",
    ),
    # for, fork
    (one(**{"for": {"in": "."}}), T, "a for task needs 'do'"),
    (one(**{"for": {}, "do": [{"a": NOTHING}]}), f"{T}/for", "'for' needs 'in'"),
    (
        one(**{"for": {"in": ["a"]}, "do": [{"a": NOTHING}]}),
        f"{T}/for/in",
        "'in' needs to be a string, not a list",
    ),
    (one(**{"for": {"in": "$item"}, "do": [{"a": NOTHING}]}), f"{T}/for/in", "there is no $item here"),
    (
        one(**{"for": {"in": ".", "each": "a b"}, "do": [{"a": NOTHING}]}),
        f"{T}/for/each",
        "needs to be a name of",
    ),
    (
        one(**{"for": {"in": ".", "each": "input"}, "do": [{"a": NOTHING}]}),
        f"{T}/for/each",
        "$input means something",
    ),
    (
        one(**{"for": {"in": ".", "each": "i", "at": "i"}, "do": [{"a": NOTHING}]}),
        f"{T}/for",
        "both named 'i'",
    ),
    (one(**{"for": {"in": "."}, "while": "$x", "do": [{"a": NOTHING}]}), f"{T}/while", "there is no $x here"),
    (one(fork={"branches": []}), f"{T}/fork/branches", "'branches' is empty"),
    (
        one(fork={"branches": [{"a": NOTHING}], "compete": "yes"}),
        f"{T}/fork/compete",
        "needs to be true or false",
    ),
    (one(fork={"branchs": []}), f"{T}/fork/branchs", "perhaps you mean 'branches'"),
    (
        one(fork={"branches": [{"a": {**NOTHING, "then": "b"}}, {"b": NOTHING}]}),
        f"{T}/fork/branches/0/a/then",
        "a branch of a fork has no task beside it",
    ),
    # try, raise
    (one(**{"try": [{"a": NOTHING}]}), T, "a try task needs 'catch'"),
    (catch(**{"as": "context"}), f"{T}/catch/as", "$context means something already"),
    (catch(errors={"type": "x"}), f"{T}/catch/errors/type", "'errors' has no 'type', only with"),
    (catch(errors={"with": {}}), f"{T}/catch/errors/with", "an error filter needs at least one of"),
    (
        catch(errors={"with": {"status": "404"}}),
        f"{T}/catch/errors/with/status",
        "a whole number, not a string",
    ),
    (catch(errors={"with": {"status": 4}}), f"{T}/catch/errors/with/status", "needs to be from 100 to 599"),
    (
        catch(errors={"with": {"type": "${ .a }"}}),
        f"{T}/catch/errors/with/type",
        "compares with fixed values",
    ),
    (
        catch(errors={"with": {"type": "https://serverlessworkflow.io/spec/1.0.0/errors/comunication"}}),
        f"{T}/catch/errors/with/type",
        "there is no standard error 'comunication'; perhaps you mean 'communication'",
    ),
    (catch(errors={"with": {"detail": "a", "details": "a"}}), f"{T}/catch/errors/with", "not both"),
    (catch(when="$err.status"), f"{T}/catch/when", "there is no $err here; perhaps you mean $error"),
    (
        catch(**{"as": "e", "do": [{"a": {"set": {"x": "${ $error }"}}}]}),
        f"{T}/catch/do/0/a/set/x",
        "no $error here",
    ),
    (catch(retry="patient"), f"{T}/catch/retry", "there is no retry policy 'patient' in use.retries"),
    (
        catch(retry={"backoff": {}}),
        f"{T}/catch/retry/backoff",
        "'backoff' needs 'constant' or 'linear' or 'exponential'",
    ),
    (
        catch(retry={"backoff": {"linear": {}, "constant": {}}}),
        f"{T}/catch/retry/backoff",
        "'backoff' needs 'constant' or 'linear' or 'exponential', not 2 of them",
    ),
    (
        catch(retry={"backoff": {"linear": {"a": 1}}}),
        f"{T}/catch/retry/backoff/linear/a",
        "'linear' has no 'a'",
    ),
    (catch(retry={"limit": {"attempt": {"count": -1}}}), f"{T}/catch/retry/limit/attempt/count", "from 0 to"),
    (catch(retry={"jitter": {"from": "PT1S"}}), f"{T}/catch/retry/jitter", "'jitter' needs 'to'"),
    (
        catch(retry={"jitter": {"from": "PT2S", "to": "PT1S"}}),
        f"{T}/catch/retry/jitter",
        "'jitter' ends before it begins",
    ),
    (catch(retry={"delay": 3}), f"{T}/catch/retry/delay", "an ISO 8601 duration or an object, not a number"),
    (
        catch(retry="r", **{"as": "e"}, use={"retries": {"r": {"when": "$error.status == 1"}}}),
        f"{T}/catch/retry",
        "this retry policy reads $error, but the catch gives the error another name",
    ),
    (one(**{"raise": {}}), f"{T}/raise", "'raise' needs 'error'"),
    (one(**{"raise": {"error": "x"}}), f"{T}/raise/error", "there is no error 'x' in use.errors"),
    (one(**{"raise": {"error": {"type": "https://a/b"}}}), f"{T}/raise/error", "an error needs 'status'"),
    (
        one(**{"raise": {"error": {**PROBLEM, "type": "x"}}}),
        f"{T}/raise/error/type",
        "the type of an error is a URI",
    ),
    (
        one(**{"raise": {"error": {**PROBLEM, "instance": "do/0"}}}),
        f"{T}/raise/error/instance",
        "'instance' needs to be a JSON pointer",
    ),
]


@pytest.mark.parametrize(("solution", "path", "problem"), DOCUMENTS)
def test_a_process_is_refused_in_one_sentence_at_what_is_wrong(
    solution: Any, path: str, problem: str
) -> None:
    check(read_process, solution, path, problem)
