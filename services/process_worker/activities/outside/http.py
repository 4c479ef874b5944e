"""HTTP calls: makes a request of a call, and an output of the answer."""

from __future__ import annotations

import base64
import http.client
import re
from collections.abc import Mapping
from email.message import Message
from typing import Any, Final
from urllib.parse import urldefrag, urlencode, urlsplit

import orjson

from process_worker.activities.outside.exchange import Asked, Reply
from process_worker.engine.calls import ABSENT, HttpCall
from process_worker.engine.faults import standard
from refinery_core.vibe.documents import MAX_BYTES, DocumentFault, parse

_OWN_HEADERS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that a process may not set: they name the host, or frame the request."""

_IS_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


def asked_of(call: HttpCall, authorization: Mapping[str, str], key: str) -> Asked:
    """
    Make a request of a call. The key is sent as the Idempotency-Key.

    Raises:
        Fault: it has a header that is not allowed, or is none.
    """
    uri, _ = urldefrag(call.uri)
    if call.query:
        uri = f"{uri}{'&' if '?' in uri else '?'}{form(call.query)}"
    headers = {name: _header(value) for name, value in call.headers.items()}
    if odd := next((name for name in headers if not _IS_TOKEN(name)), None):
        raise standard("configuration", f"'{odd}' is no name of a header")
    known = {name.lower() for name in headers}
    if own := sorted(known & _OWN_HEADERS):
        raise standard("configuration", f"the header '{own[0]}' cannot be set")
    content = None
    if (body := call.body) is not ABSENT:
        content = body.encode() if isinstance(body, str) else orjson.dumps(body)
        if "content-type" not in known:
            headers["Content-Type"] = "text/plain" if isinstance(body, str) else "application/json"
    if "idempotency-key" not in known:
        headers["Idempotency-Key"] = key
    return Asked(call.method, uri, {**headers, **authorization}, content)


def output_of(call: HttpCall, asked: Asked, reply: Reply) -> Any:
    """
    The output of a call, from the answer.

    Raises:
        Fault: the answer has the status of a failure, or cannot be read.
    """
    highest = 399 if call.redirect else 299
    if not 200 <= reply.status <= highest:
        detail = f"{asked.method} {urlsplit(asked.uri).hostname} was answered with {reply.status}"
        title = http.client.responses.get(reply.status, "")
        raise standard("communication", detail, title=title, status=reply.status)
    if len(reply.content) > MAX_BYTES:
        raise standard("communication", f"the answer is larger than {MAX_BYTES} bytes", status=502)
    if call.answer == "raw":
        return base64.b64encode(reply.content).decode()
    content = _content(reply)
    if call.answer == "content":
        return content
    public = {name: value for name, value in asked.headers.items() if name.lower() != "authorization"}
    request = {"method": asked.method.lower(), "uri": asked.uri, "headers": public}
    return {"request": request, "statusCode": reply.status, "headers": reply.headers, "content": content}


def _content(reply: Reply) -> Any:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not reply.content:
        return None
    try:
        if kind == "application/json" or kind.endswith("+json"):
            return parse(reply.content).value
        if kind.startswith("text/"):
            return reply.content.decode(_charset(reply))
    except DocumentFault as fault:
        raise standard(
            "communication", f"the answer is not JSON that can be kept: {fault}", status=502
        ) from None
    except (LookupError, ValueError):
        raise standard("communication", f"the answer is not the {kind} that it says", status=502) from None
    return base64.b64encode(reply.content).decode()


def _charset(reply: Reply) -> str:
    described = Message()
    described["content-type"] = reply.headers["content-type"]
    return described.get_content_charset("utf-8")


def _header(value: Any) -> str:
    text = plain(value)
    if any(ord(character) < 32 or ord(character) > 255 for character in text):
        raise standard("configuration", "a header has a character that headers cannot have")
    return text


def form(fields: Mapping[str, Any]) -> str:
    """Fields, encoded for a query or a form; a list becomes a field for each of its items."""
    pairs = [(name, value if isinstance(value, list) else [value]) for name, value in fields.items()]
    return urlencode([(name, plain(value)) for name, values in pairs for value in values])


def plain(value: Any) -> str:
    """A value as text: a string as it is, null as nothing, anything else as JSON."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if value is not None else ""
