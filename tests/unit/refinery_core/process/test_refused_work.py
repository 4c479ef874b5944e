from __future__ import annotations

from typing import Any

import pytest

from refinery_core.process.checker import read_capability, read_process
from tests.unit.refinery_core.process.refused import (
    EVENT,
    GET,
    GRPC,
    NOTHING,
    T,
    check,
    http,
    listen,
    one,
    top,
    use,
)

DOCUMENTS: list[tuple[Any, str, str]] = [
    # wait, listen, emit
    (one(wait=5), f"{T}/wait", "'wait' needs to be an ISO 8601 duration or an object, not a number"),
    (one(wait="1s"), f"{T}/wait", "'wait' is no duration: it is not an ISO 8601 duration"),
    (one(wait={"months": 1}), f"{T}/wait", "years and months have no fixed length; write days"),
    (one(wait="${ now }"), f"{T}/wait", "'now' is not allowed"),
    (listen(), f"{T}/listen/to", "'to' needs 'one' or 'any' or 'all'"),
    (listen(one={"with": {"type": "a"}}, all=[]), f"{T}/listen/to", "not 2 of them"),
    (listen(all=[]), f"{T}/listen/to/all", "'all' is empty"),
    (listen(one={}), f"{T}/listen/to/one", "an event filter needs 'with'"),
    (listen(one={"with": {}}), f"{T}/listen/to/one/with", "an event filter needs at least one attribute"),
    (listen(one={"with": {"Type": "a"}}), f"{T}/listen/to/one/with/Type", "small letters and digits"),
    (
        listen(one={"with": {"source": "here"}}),
        f"{T}/listen/to/one/with/source",
        "needs to be a URI with a scheme",
    ),
    (
        listen(one={"with": {"author_ref": "aug:x"}}),
        f"{T}/listen/to/one/with/author_ref",
        "is not a reference",
    ),
    (
        listen(one={"with": {"type": "a"}, "correlate": {"a": {"expect": "1"}}}),
        f"{T}/listen/to/one/correlate/a",
        "a correlation needs 'from'",
    ),
    (listen(**EVENT, until="."), f"{T}/listen/to/until", "'until' belongs to 'any'"),
    (
        listen(any=[], until={"any": [], "until": "."}),
        f"{T}/listen/to/until/until",
        "'until' has no 'until', only one, any, all",
    ),
    (
        one(listen={"to": EVENT, "read": "all"}),
        f"{T}/listen/read",
        "'read' cannot be 'all', only data, envelope, raw",
    ),
    (one(listen={"to": EVENT}, foreach={"item": "1"}), f"{T}/foreach/item", "'item' needs to be a name"),
    (one(emit={}), f"{T}/emit", "'emit' needs 'event'"),
    (one(emit={"event": {"with": {"type": "a"}}}), f"{T}/emit/event/with", "an event to emit needs 'source'"),
    (
        one(emit={"event": {"with": {"type": 1, "source": "a:b"}}}),
        f"{T}/emit/event/with/type",
        "a string, not a number",
    ),
    # call
    (one(call=1), f"{T}/call", "what is called needs to be a string, not a number"),
    (one(call="${ .a }"), f"{T}/call", "what is called is fixed when the document is refined"),
    (one(call="htpp"), f"{T}/call", "there is no function 'htpp' in use.functions; perhaps you mean 'http'"),
    (one(call="asyncapi", **{"with": {}}), f"{T}/call", "a call of 'asyncapi' is not supported"),
    (one(call="mcp"), f"{T}/call", "a call of 'mcp' is not supported"),
    (one(call="log:1.0.0@default"), f"{T}/call", "functions are not fetched from catalogs"),
    (one(call="aug:capabilities/x"), f"{T}/call", "'aug:capabilities/x' is not a reference"),
    (one(call="aug:/x#/a"), f"{T}/call", "a fragment names a part of a schema"),
    (one(call="aug:/x", **{"with": []}), f"{T}/with", "'with' needs to be an object, not a list"),
    (one(call="python", **{"with": {"function": "f"}}), f"{T}/with", "only a capability calls python"),
    (one(call="http"), T, "a call of http needs 'with'"),
    (one(call="http", **{"with": {"method": "get"}}), f"{T}/with", "an http call needs 'endpoint'"),
    (http(method="fetch"), f"{T}/with/method", "'method' needs to be one of GET, HEAD, POST"),
    (http(methd="get"), f"{T}/with/methd", "an http call has no 'methd'; perhaps you mean 'method'"),
    (http(endpoint="ftp://example.com"), f"{T}/with/endpoint", "an http or https URI with a host"),
    (http(endpoint="https://"), f"{T}/with/endpoint", "an http or https URI with a host"),
    (http(endpoint="/pets"), f"{T}/with/endpoint", "an http or https URI with a host"),
    (
        http(endpoint={"url": "https://a"}),
        f"{T}/with/endpoint/url",
        "an endpoint has no 'url'; perhaps you mean 'uri'",
    ),
    (http(endpoint="https://a/{x"), f"{T}/with/endpoint", "has no partner"),
    (http(endpoint="https://a/{+x}"), f"{T}/with/endpoint", "is no variable of a URI"),
    (http(headers={"a b": "c"}), f"{T}/with/headers/a b", "no name of a header"),
    (http(headers={"a": 1}), f"{T}/with/headers/a", "a header needs to be a string, not a number"),
    (http(headers="a"), f"{T}/with/headers", "'headers' needs to be an object or an expression in ${ }"),
    (
        http(query={"a": ["b", ["c"]]}),
        f"{T}/with/query/a/1",
        "a value in 'query' needs to be a string, a number or a boolean",
    ),
    (http(output="text"), f"{T}/with/output", "'output' cannot be 'text', only content, raw, response"),
    (http(redirect=1), f"{T}/with/redirect", "'redirect' needs to be true or false, not a number"),
    (
        http(endpoint={"uri": "https://a", "authentication": {"use": "a"}}),
        f"{T}/with/endpoint/authentication/use",
        "there is no authentication 'a' in use.authentications",
    ),
    (
        http(endpoint={"uri": "https://a", "authentication": {"basic": {"username": "a"}}}),
        f"{T}/with/endpoint/authentication/basic",
        "basic authentication needs 'password'",
    ),
    (
        http(endpoint={"uri": "https://a", "authentication": {"bearer": {"use": "a"}}}),
        f"{T}/with/endpoint/authentication/bearer/use",
        "there is no secret 'a' in use.secrets",
    ),
    (one(call="openapi", **{"with": {"document": {}}}), f"{T}/with", "an openapi call needs 'operationId'"),
    (
        one(call="openapi", **{"with": {"document": {"endpoint": "file:///etc/passwd"}, "operationId": "a"}}),
        f"{T}/with/document/endpoint",
        "an http or https URI",
    ),
    (one(call="grpc", **{"with": {"method": "a"}}), f"{T}/with", "a grpc call needs 'service'"),
    (
        one(call="grpc", **{"with": {**GRPC, "service": {"name": "a", "host": "a b"}}}),
        f"{T}/with/service/host",
        "a host cannot be written like that",
    ),
    (
        one(call="grpc", **{"with": {**GRPC, "service": {"name": "a", "host": "b", "port": 70_000}}}),
        f"{T}/with/service/port",
        "a port needs to be from 1 to 65535",
    ),
    (
        one(call="grpc", **{"with": {**GRPC, "proto": {"endpoint": "file://a.proto"}}}),
        f"{T}/with/proto/endpoint",
        "without 'proto' the server is asked by reflection",
    ),
    # run
    (one(run={}), f"{T}/run", "'run' needs 'workflow' or 'shell' or 'script' or 'container'"),
    (
        one(run={"shell": {"command": "ls"}}),
        f"{T}/run/shell",
        "'run: shell' is not supported: a worker runs no foreign",
    ),
    (one(run={"script": {}}), f"{T}/run/script", "'run: script' is not supported"),
    (one(run={"container": {}}), f"{T}/run/container", "'run: container' is not supported"),
    (
        one(run={"workflow": {"name": "x"}}),
        f"{T}/run/workflow/name",
        "a process is named by an 'aug:' reference, not 'x'",
    ),
    (
        one(run={"workflow": {"name": "aug:/x"}, "return": "code"}),
        f"{T}/run/return",
        "'return' cannot be 'code'",
    ),
    # use
    (use(function={}), "/use/function", "'use' has no 'function'; perhaps you mean 'functions'"),
    (use(extensions=[]), "/use/extensions", "'extensions' are not supported"),
    (use(catalogs={}), "/use/catalogs", "'catalogs' are not supported"),
    (use(secrets=["a b"]), "/use/secrets/0", "the name of a secret needs to be a name"),
    (use(errors={"a": {}}), "/use/errors/a", "an error needs 'type'"),
    (use(timeouts={"a": {"after": "x"}}), "/use/timeouts/a/after", "'after' is no duration"),
    (use(timeouts={"a": {"after": "${ $input.a }"}}), "/use/timeouts/a/after", "there is no $input here"),
    (use(retries={"a": {"when": "$problem"}}), "/use/retries/a/when", "there is no $problem here"),
    (use(functions={"f": {}}), "/use/functions/f", "a task needs one of"),
    (
        use(functions={"f": {**NOTHING, "then": "t"}}),
        "/use/functions/f/then",
        "a function has no task beside it",
    ),
    (
        use(functions={"f": {"call": "f"}}),
        "/use/functions/f/call",
        "functions call each other in a circle: f → f",
    ),
    (
        use(functions={"f": {"call": "g"}, "g": {"do": [{"h": {"call": "f"}}]}}),
        "/use/functions/g/do/0/h/call",
        "functions call each other in a circle: f → g → f",
    ),
    (
        use(functions={f"f{n}": {"call": f"f{n + 1}"} if n < 40 else NOTHING for n in range(41)}),
        "/use/functions/f33",
        "tasks are nested more than 32 deep",
    ),
    (
        use(functions={f"f{n}": {"call": f"f{n - 1}"} if n else NOTHING for n in range(41)}),
        "/use/functions/f33/call",
        "tasks are nested more than 32 deep",
    ),
    # schedule, timeout, input, output
    (top(schedule={}), "/schedule", "'schedule' needs 'cron' or 'every' or 'after' or 'on'"),
    (top(schedule={"cron": "0 0 * * *", "every": "PT1H"}), "/schedule", "not 2 of them"),
    (top(schedule={"after": "PT1H"}), "/schedule/after", "is not supported; 'every' and 'cron' are"),
    (top(schedule={"on": EVENT}), "/schedule/on", "a schedule 'on' events is not supported"),
    (top(schedule={"every": "PT0.5S"}), "/schedule/every", "'every' has whole seconds, and at least one"),
    (top(schedule={"every": "PT1.5S"}), "/schedule/every", "'every' has whole seconds, and at least one"),
    (top(schedule={"every": "${ .a }"}), "/schedule/every", "'every' is no duration"),
    (top(schedule={"cron": "@daily"}), "/schedule/cron", "a cron expression has five fields"),
    (top(schedule={"cron": "60 0 * * *"}), "/schedule/cron", "'60' is no minute of a cron expression"),
    (top(schedule={"cron": "0 0 * FOO *"}), "/schedule/cron", "'FOO' is no month of a cron expression"),
    (top(schedule={"cron": "0 0 13 * FRI"}), "/schedule/cron", "either days of the month or of the week"),
    (top(schedule={"cron": "0 0 */2 * 1-5"}), "/schedule/cron", "either days of the month or of the week"),
    (top(schedule={"cron": "0 0 5-1 * *"}), "/schedule/cron", "'5-1' is no day of the month"),
    (top(timeout="t"), "/timeout", "there is no timeout 't' in use.timeouts"),
    (top(timeout={"after": "${ $context.a }"}), "/timeout/after", "there is no $context here"),
    (top(input={"from": "$context"}), "/input/from", "there is no $context here"),
    (top(input={"from": "$secrets.a"}), "/input/from", "$secrets can only be read in an authentication"),
    (
        http(endpoint={"uri": "https://a", "authentication": {"bearer": {"token": "${ $secrets.a }"}}}),
        f"{T}/with/endpoint/authentication/bearer/token",
        "there is no secret 'a' in use.secrets",
    ),
    (top(output={"as": "$input"}), "/output/as", "there is no $input here"),
]

CAPABILITIES: list[tuple[Any, str, str]] = [
    (1, "", "a capability needs to be an object, not a number"),
    ({}, "", "a capability needs 'call'"),
    ({"do": []}, "/do", "a capability has no 'do', only call, with"),
    ({"call": "http", "with": GET, "then": "end"}, "/then", "a capability has no 'then'"),
    ({"call": "aug:/x"}, "/call", "a capability is one call of http, openapi, grpc or python"),
    ({"call": "f"}, "/call", "a capability is one call of http, openapi, grpc or python"),
    ({"call": "mcp"}, "/call", "a call of 'mcp' is not supported"),
    ({"call": "python", "with": {}}, "/with", "a python call needs 'function'"),
    ({"call": "python", "with": {"function": "os system"}}, "/with/function", "cannot be written like that"),
    ({"call": "http", "with": {**GET, "body": "${ $context }"}}, "/with/body", "there is no $context here"),
    ({"call": "http", "with": GET, "use": {"functions": {}}}, "/use/functions", "'use' has no 'functions'"),
    ({"call": "http", "with": GET, "output": {"as": "now"}}, "/output/as", "'now' is not allowed"),
]


@pytest.mark.parametrize(("solution", "path", "problem"), DOCUMENTS)
def test_a_process_is_refused_in_one_sentence_at_what_is_wrong(
    solution: Any, path: str, problem: str
) -> None:
    check(read_process, solution, path, problem)


@pytest.mark.parametrize(("solution", "path", "problem"), CAPABILITIES)
def test_a_capability_is_refused_in_one_sentence_at_what_is_wrong(
    solution: Any, path: str, problem: str
) -> None:
    check(read_capability, solution, path, problem)
