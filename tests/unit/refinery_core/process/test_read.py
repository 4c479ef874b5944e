from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from refinery_core.process import model as m
from refinery_core.process import parts as p
from refinery_core.process.checker import read_capability, read_process
from refinery_core.vibe.refs import AugUri

DOCUMENT = {"dsl": "1.0.3", "namespace": "tests", "name": "a", "version": "0.1.0-rc.1+b"}
NOTHING: dict[str, Any] = {"set": {"a": 1}}
GET: dict[str, Any] = {"method": "get", "endpoint": "https://example.com/{id}"}
LIST = [{"a": NOTHING}]


def process(*tasks: Any, **members: Any) -> m.Process:
    do = [{f"t{number}": task} for number, task in enumerate(tasks)] or LIST
    return read_process({"document": DOCUMENT, "do": do, **members})


def task(**members: Any) -> Any:
    return process(members).tasks[0]


def call(kind: str, **arguments: Any) -> Any:
    return task(call=kind, **{"with": arguments}).call


def expression(source: str, *variables: str) -> p.Expression:
    return p.Expression(source, frozenset(variables))


EVENT = {"with": {"type": "a.b", "source": "https://a/{x}", "data": "${ .n > 1 }", "ext1": 2}}
PROBLEM = {"type": "https://a/b", "status": 409, "title": "${ .t }", "detail": "d", "instance": "/do/0/t"}

EVERY_FORM: dict[str, Any] = {
    "do": {"do": LIST},
    "set an object": {"set": {"a": [1, "${ .b }", None, ""], "b": {"c": "x"}}},
    "set an expression": {"set": "${ . + { a: 1 } }"},
    "switch": {"switch": [{"a": {"when": ".x == 1", "then": "t0"}}, {"b": {"then": "exit"}}]},
    "for": {"for": {"in": "."}, "do": [{"a": {"set": {"x": "${ [$item, $index] }"}}}]},
    "for named": {
        "for": {"each": "pet", "in": "${ .pets }", "at": "n"},
        "while": "$pet != null and $n < 3",
        "do": [{"a": {"set": {"x": "${ $pet }"}}}],
    },
    "fork": {"fork": {"branches": LIST}},
    "fork competing": {"fork": {"compete": True, "branches": [*LIST, {"b": {**NOTHING, "then": "end"}}]}},
    "try": {"try": LIST, "catch": {}},
    "try with everything": {
        "try": LIST,
        "catch": {
            "errors": {
                "with": {"type": "https://a/b", "status": 404, "title": "t", "details": "d", "instance": "/a"}
            },
            "as": "err",
            "when": "$err.status == 404",
            "exceptWhen": "${ $err.title == null }",
            "retry": {
                "when": "$err.status > 1",
                "exceptWhen": "false",
                "delay": {"seconds": 1},
                "backoff": {"exponential": {}},
                "limit": {"attempt": {"count": 3, "duration": "PT1S"}, "duration": "PT1M"},
                "jitter": {"from": "PT0S", "to": "PT1S"},
            },
            "do": [{"a": {"set": {"x": "${ $err }"}}}],
        },
    },
    "raise": {"raise": {"error": PROBLEM}},
    "raise an expression": {"raise": {"error": {**PROBLEM, "type": '${ "https://a/\\(.t)" }'}}},
    "wait an object": {"wait": {"days": 1, "hours": 1, "minutes": 1, "seconds": 1, "milliseconds": 1}},
    "wait a text": {"wait": "PT1.5S"},
    "wait an expression": {"wait": "${ .pause }"},
    "listen to one": {"listen": {"to": {"one": EVENT}}},
    "listen to any": {"listen": {"to": {"any": [EVENT, EVENT]}, "read": "envelope"}},
    "listen to everything": {"listen": {"to": {"any": []}, "read": "raw"}},
    "listen until a condition": {"listen": {"to": {"any": [], "until": "length > 3"}}},
    "listen until an event": {"listen": {"to": {"any": [EVENT], "until": {"one": EVENT}}}},
    "listen to all": {
        "listen": {
            "to": {
                "all": [{**EVENT, "correlate": {"room": {"from": ".roomid", "expect": "${ $input.room }"}}}]
            },
            "read": "data",
        },
        "foreach": {
            "item": "event",
            "at": "n",
            "do": [{"a": {"set": {"x": "${ $event }"}}}],
            "output": {"as": ".x"},
            "export": {"as": "$context + { x: $output }"},
        },
    },
    "listen, for each": {"listen": {"to": {"one": EVENT}}, "foreach": {}},
    "listen to a role": {"listen": {"to": {"one": {"with": {"author_ref": "aug:/roles/boss"}}}}},
    "emit": {
        "emit": {
            "event": {
                "with": {
                    "id": "${ .id }",
                    "source": "https://a",
                    "type": "a.b",
                    "time": "2026-01-01T00:00:00Z",
                    "subject": "s",
                    "datacontenttype": "application/json",
                    "dataschema": "https://a/b",
                    "data": {"a": "${ . }"},
                    "traceparent": "x",
                }
            }
        }
    },
    "call http": {"call": "http", "with": GET},
    "call http with everything": {
        "call": "http",
        "with": {
            "method": "POST",
            "endpoint": {
                "uri": "${ .url }",
                "authentication": {"basic": {"username": "a", "password": "${ .p }"}},
            },
            "headers": {"Accept": "text/plain", "X-A": "${ .a }"},
            "query": {"a": "b", "n": 1, "c": "${ .c }"},
            "body": ["${ . }", 1],
            "output": "response",
            "redirect": True,
        },
    },
    "call http with expressions": {"call": "http", "with": {**GET, "headers": "${ .h }", "query": "${ .q }"}},
    "call openapi": {
        "call": "openapi",
        "with": {
            "document": {"name": "pets", "endpoint": "https://a/openapi.json"},
            "operationId": "getPet",
            "parameters": {"id": "${ .id }"},
            "authentication": {"bearer": {"token": "${ .token }"}},
            "output": "raw",
            "redirect": False,
        },
    },
    "call openapi of a vibe": {
        "call": "openapi",
        "with": {"document": {"endpoint": {"uri": "aug:/openapi/pets?1"}}, "operationId": "getPet"},
    },
    "call grpc": {
        "call": "grpc",
        "with": {
            "proto": {"endpoint": "aug:/protos/greet"},
            "service": {"name": "a.b.C", "host": "localhost", "port": 5011},
            "method": "SayHello",
            "arguments": {"name": "${ .name }"},
        },
    },
    "call grpc by reflection": {
        "call": "grpc",
        "with": {"service": {"name": "C", "host": "a.b"}, "method": "D"},
    },
    "call a capability": {"call": "aug:/capabilities/x", "with": {"a": "${ . }"}},
    "call a capability with its input": {"call": "aug:~dev%2Fx/capabilities/x?3"},
    "run": {
        "run": {"workflow": {"name": "aug:main@processes/x?1", "input": {"a": "${ . }"}}, "await": False}
    },
    "run with labels": {
        "run": {
            "workflow": {"namespace": "a", "name": "aug:/x", "version": "1.0.0", "input": "${ . }"},
            "await": True,
            "return": "none",
        }
    },
}


@pytest.mark.parametrize("form", EVERY_FORM)
def test_every_task_is_read_in_every_form_and_knows_where_it_stands(form: str) -> None:
    read = process(EVERY_FORM[form]).tasks[0]
    assert type(read).__name__.lower() == form.split(maxsplit=1)[0].rstrip(",")
    assert (read.name, read.pointer, read.then) == ("t0", "/do/0/t0", "continue")
    assert read.definition is EVERY_FORM[form]


def test_all_twelve_tasks_are_among_the_forms() -> None:
    assert {form.split(maxsplit=1)[0].rstrip(",") for form in EVERY_FORM} == {
        kind.__name__.lower() for kind in m.Task.__subclasses__()
    }


def test_what_all_tasks_have_is_read() -> None:
    schema = {"format": "json:2020-12", "document": {"type": "object"}}
    read = task(
        **NOTHING,
        **{
            "if": "$context.x",
            "input": {"schema": schema, "from": "${ .a }"},
            "output": {"as": {"b": "${ $input }"}},
        },
        export={"as": "$context + $output", "schema": {"resource": {"endpoint": "aug:/schemas/x#/a"}}},
        timeout={"after": "PT1S"},
        then="t0",
        metadata={"any": ["thing"]},
    )
    assert read.condition == expression("$context.x", "context")
    assert read.input.schema.document == {"type": "object"}
    assert read.input.template == p.Template(expression(".a"), constant=False)
    assert read.output.template == p.Template({"b": expression("$input", "input")}, constant=False)
    assert read.export.template == p.Template(
        expression("$context + $output", "context", "output"), constant=False
    )
    assert read.export.schema.reference == AugUri.parse("aug:/schemas/x#/a")
    assert read.timeout == p.Duration(1_000)
    assert read.then == "t0"


def test_the_process_itself_is_read() -> None:
    read = process(
        input={"from": "$workflow.id"},
        output={"as": "$context"},
        timeout="long",
        use={"secrets": ["key"], "timeouts": {"long": {"after": {"days": 2}}}},
        schedule={"cron": "*/5 9-17 1,15 JAN-MAR *"},
        evaluate={"language": "jq", "mode": "strict"},
    )
    assert (read.namespace, read.name, read.version) == ("tests", "a", "0.1.0-rc.1+b")
    assert read.timeout == p.Duration(172_800_000)
    assert read.secrets == {"key"}
    assert read.schedule == m.Schedule(cron="*/5 9-17 1,15 JAN-MAR *")
    assert process(schedule={"every": "PT1H"}).schedule == m.Schedule(every=3_600_000)


def test_data_without_expressions_is_known_to_be_constant() -> None:
    assert task(set={"a": [1, "x", {"b": None}]}).data == p.Template(
        {"a": [1, "x", {"b": None}]}, constant=True
    )
    data = task(set={"a": "  ${ .b }  ", "c": "$x"}).data
    assert data == p.Template({"a": expression(".b"), "c": "$x"}, constant=False)


def test_a_retry_policy_is_read_once_and_used_by_name() -> None:
    policies = {"r": {"when": "$error.status == 503", "delay": "PT1S", "backoff": {"linear": {}}}}
    read = process({"try": LIST, "catch": {"retry": "r"}}, use={"retries": policies}).tasks[0]
    assert isinstance(read, m.Try)
    assert read.catch.retry == p.RetryPolicy(
        when=expression("$error.status == 503", "error"), delay=p.Duration(1_000), backoff=p.Backoff.LINEAR
    )


def test_errors_and_timeouts_are_used_by_name() -> None:
    use = {"errors": {"e": {"type": "https://a/b", "status": 409}}, "timeouts": {"t": {"after": "PT1S"}}}
    read = process({"raise": {"error": "e"}, "timeout": "t"}, use=use).tasks[0]
    assert isinstance(read, m.Raise)
    assert (read.problem, read.timeout) == (p.Problem("https://a/b", 409), p.Duration(1_000))


def test_a_function_is_a_task_that_may_call_one_defined_below_it() -> None:
    functions = {"f": {"call": "g", "with": {"x": 1}}, "g": {"set": {"y": "${ .x }"}}}
    read = process({"call": "f", "with": {"x": "${ .a }"}}, {"call": "f"}, use={"functions": functions})
    first, second = read.tasks
    assert isinstance(first, m.Call)
    assert isinstance(second, m.Call)
    assert isinstance(first.call, m.FunctionCall)
    assert isinstance(second.call, m.FunctionCall)
    assert first.call.function is second.call.function
    assert first.call.function.pointer == "/use/functions/f"
    assert first.call.arguments == p.Template({"x": expression(".a")}, constant=False)
    assert second.call.arguments is None


def test_an_authentication_takes_a_secret_by_name_or_by_expression() -> None:
    use = {
        "secrets": ["my-login", "token"],
        "authentications": {
            "a": {"basic": {"use": "my-login"}},
            "b": {"bearer": {"token": "${ $secrets.token }"}},
        },
    }
    found = []
    for name in ("a", "b"):
        endpoint = {"uri": "https://a", "authentication": {"use": name}}
        read = process({"call": "http", "with": {"method": "get", "endpoint": endpoint}}, use=use).tasks[0]
        assert isinstance(read, m.Call)
        assert isinstance(read.call, m.HttpCall)
        found.append(read.call.endpoint.authentication)
    assert found == [
        p.Authentication("basic", secret="my-login"),
        p.Authentication(
            "bearer", values=p.Template({"token": expression("$secrets.token", "secrets")}, constant=False)
        ),
    ]


def test_every_reference_is_known_with_its_use_and_place() -> None:
    schema = {"document": {"properties": {"a": {"$ref": "aug:/schemas/a"}}}}
    read = process(
        EVERY_FORM["call a capability"],
        {"do": [{"x": EVERY_FORM["run"]}]},
        EVERY_FORM["call openapi of a vibe"],
        EVERY_FORM["call grpc"],
        EVERY_FORM["listen to a role"],
        {**NOTHING, "output": {"schema": {"resource": {"endpoint": {"uri": "aug:/schemas/b#/c"}}}}},
        {"call": "f"},
        input={"schema": schema},
        use={"functions": {"f": {"call": "aug:/capabilities/y"}}},
    )
    assert [(found.pointer, str(found.uri), found.use.value) for found in read.references] == [
        ("/use/functions/f/call", "aug:/capabilities/y", "capability"),
        ("/input/schema/document/properties/a", "aug:/schemas/a", "schema"),
        ("/do/0/t0/call", "aug:/capabilities/x", "capability"),
        ("/do/1/t1/do/0/x/run/workflow/name", "aug:main@processes/x?1", "process"),
        ("/do/2/t2/with/document/endpoint/uri", "aug:/openapi/pets?1", "document"),
        ("/do/3/t3/with/proto/endpoint", "aug:/protos/greet", "document"),
        ("/do/4/t4/listen/to/one/with/author_ref", "aug:/roles/boss", "role"),
        ("/do/5/t5/output/schema/resource/endpoint/uri", "aug:/schemas/b#/c", "schema"),
    ]


def test_calls_are_read_with_their_defaults() -> None:
    read = call("http", **GET)
    assert (read.method, read.answer, read.redirect) == ("GET", m.Answer.CONTENT, False)
    assert read.endpoint == p.Endpoint("https://example.com/{id}")
    read = call("grpc", service={"name": "a.B", "host": "h"}, method="M")
    assert read == m.GrpcCall(service="a.B", method="M", host="h")


def test_a_capability_is_one_call_with_schemas() -> None:
    schema = {"schema": {"document": {"type": "object"}}}
    read = read_capability(
        {
            "use": {"secrets": ["key"], "authentications": {"a": {"bearer": {"use": "key"}}}},
            "call": "http",
            "with": {
                **GET,
                "endpoint": {"uri": "https://a", "authentication": {"use": "a"}},
                "body": "${ . }",
            },
            "input": schema,
            "output": {**schema, "as": ".b"},
            "timeout": {"after": "PT10S"},
        }
    )
    assert read.call.input.schema is not None
    assert read.call.output.template == p.Template(expression(".b"), constant=False)
    assert read.secrets == {"key"}
    assert not read.references
    python = read_capability({"call": "python", "with": {"function": "refinery.ledger:refine"}})
    assert python.call.call == m.PythonCall(function="refinery.ledger:refine")


def test_a_thousand_tasks_and_thirty_two_levels_are_allowed() -> None:
    assert len(process(*[NOTHING] * 1_000).tasks) == 1_000
    nested: dict[str, Any] = NOTHING
    for _ in range(32):
        nested = {"do": [{"t": nested}]}
    process(nested)


def test_what_is_read_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        process().name = "b"  # type: ignore[misc]
