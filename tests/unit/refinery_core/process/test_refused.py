from __future__ import annotations

from typing import Any

import pytest

from refinery_core.process.checker import ProcessFault, read_capability, read_process

DOCUMENT: dict[str, Any] = {"dsl": "1.0.3", "namespace": "tests", "name": "a", "version": "0.1.0"}
NOTHING: dict[str, Any] = {"set": {"a": 1}}
GET: dict[str, Any] = {"method": "get", "endpoint": "https://example.com"}
T = "/do/0/t"


def top(**members: Any) -> dict[str, Any]:
    return {"document": DOCUMENT, "do": [{"t": NOTHING}], **members}


def document(**members: Any) -> dict[str, Any]:
    return top(document={**DOCUMENT, **members})


def one(**task: Any) -> dict[str, Any]:
    return top(do=[{"t": task}])


def tasks(*named: tuple[str, Any], **members: Any) -> dict[str, Any]:
    return top(do=[{name: task} for name, task in named], **members)


def http(**members: Any) -> dict[str, Any]:
    return one(call="http", **{"with": {**GET, **members}})


def catch(use: Any = None, **members: Any) -> dict[str, Any]:
    members = {"t": {"try": [{"a": NOTHING}], "catch": members}}
    return top(do=[members]) if use is None else top(do=[members], use=use)


def listen(**to: Any) -> dict[str, Any]:
    return one(listen={"to": to})


def use(**members: Any) -> dict[str, Any]:
    return top(use=members)


def nested(levels: int) -> dict[str, Any]:
    task: dict[str, Any] = NOTHING
    for _ in range(levels):
        task = {"do": [{"t": task}]}
    return one(**task)


def deep(levels: int) -> Any:
    data: Any = 1
    for _ in range(levels):
        data = [data]
    return {"data": data}


GRPC = {"service": {"name": "a.B", "host": "localhost"}, "method": "C"}
EVENT = {"one": {"with": {"type": "x"}}}
PROBLEM = {"type": "https://example.com/x", "status": 400}

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
        http(query={"a": ["b"]}),
        f"{T}/with/query/a",
        "a value in 'query' needs to be a string, a number or a boolean",
    ),
    (http(output="text"), f"{T}/with/output", "'output' cannot be 'text', only content, raw, response"),
    (http(redirect=1), f"{T}/with/redirect", "'redirect' needs to be true or false, not a number"),
    (
        http(endpoint={"uri": "https://a", "authentication": {"oauth2": {}}}),
        f"{T}/with/endpoint/authentication/oauth2",
        "authentication by oauth2 is not supported; basic and bearer are",
    ),
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
    with pytest.raises(ProcessFault) as refused:
        read_process(solution)
    assert refused.value.path == path
    assert problem in refused.value.problem
    assert "\n" not in refused.value.problem
    assert len(refused.value.problem) < 300


@pytest.mark.parametrize(("solution", "path", "problem"), CAPABILITIES)
def test_a_capability_is_refused_in_one_sentence_at_what_is_wrong(
    solution: Any, path: str, problem: str
) -> None:
    with pytest.raises(ProcessFault) as refused:
        read_capability(solution)
    assert refused.value.path == path
    assert problem in refused.value.problem
