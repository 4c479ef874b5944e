"""The tasks `call`, `emit` and `run`: fills in a call, and gives it to the ports."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from process_worker.engine import calls
from process_worker.engine.faults import Ended, standard
from process_worker.engine.run import Run
from process_worker.engine.scope import describe_time
from process_worker.engine.site import Site
from refinery_core.process import model
from refinery_core.process.events import STRINGS
from refinery_core.process.parts import END, Authentication, Endpoint, Expression, Template
from refinery_core.vibe.refs import SCHEME, AugUri


async def call(run: Run, task: model.Call, x: Any, site: Site) -> Any:
    """Make the call of a task."""
    called = task.call
    if isinstance(called, model.FunctionCall):
        arguments = None
        if (
            not site.strand.resumes
        ):  # A resumed call has them in its frame; evaluating them again might give other values.
            arguments = await run.calculator.fill(called.arguments, x, site.scope, task.pointer)
        output, then = await run.task(called.function, arguments, site.task(called.function, 1))
        if then == END:
            raise Ended(output)
        return output
    return await run.perform(await _READERS[type(called)](run, called, x, site), site)


async def emit(run: Run, task: model.Emit, x: Any, site: Site) -> Any:
    """Send an event; the output is the event."""
    event: dict[str, Any] = {"specversion": "1.0"}
    for name, template in task.attributes.items():
        value = await run.calculator.fill(template, x, site.scope, task.pointer)
        if name in STRINGS and not isinstance(value, str):
            raise standard("expression", f"'{name}' of an event needs to be a string", task.pointer)
        if name == "author_ref" and isinstance(value, str) and value.startswith(SCHEME):
            value = run.frozen(value, task.pointer)
        event[name] = value
    event.setdefault("id", run.key(site))
    event.setdefault("time", describe_time(run.ports.now_us())["iso8601"])
    await run.perform(calls.Emit(event), site)
    return event


async def run_process(run: Run, task: model.Run, x: Any, site: Site) -> Any:
    """Run another process; the output is its result, if the task waits for it."""
    arguments = await run.calculator.fill(task.arguments, x, site.scope, task.pointer)
    ref = run.frozen(task.process, task.pointer)
    result = await run.perform(calls.RunProcess(ref, arguments, task.await_), site)
    return result if task.await_ and task.returns else x


async def _http(run: Run, called: model.HttpCall, x: Any, site: Site) -> calls.HttpCall:
    fill, scope, at = run.calculator.fill, site.scope, site.document
    return calls.HttpCall(
        method=called.method,
        uri=await _uri(run, called.endpoint, x, site),
        headers=await _fields(run, "headers", called.headers, x, site),
        query=await _fields(run, "query", called.query, x, site),
        body=await fill(called.body, x, scope, at) if called.body else calls.ABSENT,
        answer=called.answer.value,
        redirect=called.redirect,
        authentication=_authentication(run, called.endpoint.authentication, x, site),
    )


async def _fields(run: Run, what: str, template: Template | None, x: Any, site: Site) -> dict[str, Any]:
    """Fill an object, such as the headers; an empty one where the task has none."""
    if template is None:
        return {}
    fields = await run.calculator.fill(template, x, site.scope, site.document)
    if not isinstance(fields, dict | None):
        raise standard("expression", f"'{what}' needs to be an object", site.document)
    return fields or {}


async def _openapi(run: Run, called: model.OpenApiCall, x: Any, site: Site) -> calls.OpenApiCall:
    document: calls.StoredDocument | calls.WebDocument
    if isinstance(called.document, AugUri):
        document, proof = calls.StoredDocument(run.frozen(called.document, site.document)), None
    else:
        document = calls.WebDocument(await _uri(run, called.document, x, site))
        proof = _authentication(run, called.document.authentication, x, site)
    return calls.OpenApiCall(
        document=document,
        document_authentication=proof,
        operation=called.operation,
        parameters=await _fields(run, "parameters", called.parameters, x, site),
        answer=called.answer.value,
        redirect=called.redirect,
        authentication=_authentication(run, called.authentication, x, site),
    )


async def _grpc(run: Run, called: model.GrpcCall, x: Any, site: Site) -> calls.GrpcCall:
    return calls.GrpcCall(
        service=called.service,
        method=called.method,
        host=called.host,
        port=called.port,
        descriptor=None if called.descriptor is None else run.frozen(called.descriptor, site.document),
        arguments=await _fields(run, "arguments", called.arguments, x, site),
        authentication=_authentication(run, called.authentication, x, site),
    )


async def _capability(run: Run, called: model.CapabilityCall, x: Any, site: Site) -> calls.CapabilityCall:
    arguments = await run.calculator.fill(called.arguments, x, site.scope, site.document)
    ref = run.frozen(called.capability, site.document)
    if ref not in run.state.called:
        run.state.called.append(ref)
    return calls.CapabilityCall(ref, arguments)


async def _python(run: Run, called: model.PythonCall, x: Any, site: Site) -> calls.PythonCall:
    arguments = await run.calculator.fill(called.arguments, x, site.scope, site.document)
    return calls.PythonCall(called.function, arguments)


_READERS: dict[type[model.AnyCall], Callable[[Run, Any, Any, Site], Awaitable[calls.Call]]] = {
    model.HttpCall: _http,
    model.OpenApiCall: _openapi,
    model.GrpcCall: _grpc,
    model.CapabilityCall: _capability,
    model.PythonCall: _python,
}


async def _uri(run: Run, endpoint: Endpoint, x: Any, site: Site) -> str:
    """Fill a URI; in a template, {name} stands for a member of the task's input."""
    if isinstance(endpoint.uri, Expression):
        return await run.calculator.text(endpoint.uri, x, site.scope, site.document)

    def value(match: re.Match[str]) -> str:
        member = x.get(match[1]) if isinstance(x, dict) else None
        if member is None:
            return ""
        if isinstance(member, dict | list):
            detail = f"{{{match[1]}}} in a URI needs a string, a number or a boolean"
            raise standard("expression", detail, site.document)
        text = str(member).lower() if isinstance(member, bool) else str(member)
        return quote(text, safe="")

    return re.sub(r"\{([^{}]*)\}", value, endpoint.uri)


def _authentication(
    run: Run, authentication: Authentication | None, x: Any, site: Site
) -> calls.Authentication | None:
    """The credentials of a call. They are filled in by the activity: no secret may get into a history."""
    if authentication is None:
        return None
    if authentication.secret is not None:
        return calls.NamedSecret(authentication.scheme, authentication.secret)
    assert authentication.values is not None
    values: dict[str, Any] = authentication.values.value
    read = frozenset().union(*(v.variables for v in values.values() if isinstance(v, Expression)))
    expressions = {k: v.source for k, v in values.items() if isinstance(v, Expression)}
    return calls.Values(
        scheme=authentication.scheme,
        texts={k: v for k, v in values.items() if not isinstance(v, Expression)},
        expressions=expressions,
        input=x if expressions else None,
        variables=run.calculator.known(read, site.scope),
        secrets=sorted(run.process.secrets) if "secrets" in read else [],
    )
