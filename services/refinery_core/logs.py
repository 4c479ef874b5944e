"""Logs: one line an event on stderr, as JSON for machines or in columns for people."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
import structlog

LogFormat = Literal["json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Seldom:
    """Says for how many of many times a line is logged: for the first, and for one in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = float("-inf")

    def __call__(self) -> bool:
        """Whether this is one of them."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def configure(*, service: str, form: LogFormat = "json", level: LogLevel = "info") -> None:
    """Send the logs of this process, those of its libraries too, to stderr. Call it once, first."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[_marked(service), *_rendered(form)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer)
        if form == "json"
        else structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_libraries(service, form, threshold)


def _marked(service: str) -> structlog.typing.Processor:
    """Logger, level and time: in one step, because every call pays for the steps of its line."""

    def marked(_: Any, level: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"], event["level"] = service, level
        event["timestamp"] = f"{datetime.now(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
        return event

    return marked


def _rendered(form: LogFormat) -> list[structlog.typing.Processor]:
    if form == "json":
        return [_line]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _line(logger: Any, level: str, event: structlog.typing.EventDict) -> bytes:
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, level, event)
    return _json(event)


def _json(event: Any) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)


def _text(event: Any, **_: Any) -> str:
    return _json(event).decode()


def _adopt_libraries(service: str, form: LogFormat, threshold: int) -> None:
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_text)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    before: list[structlog.typing.Processor] = [_marked(service), structlog.stdlib.add_logger_name]
    after: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if form == "json":
        after.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=[*after, renderer])
    )
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries tell their own story at INFO; what matters to an operator starts at WARNING.
    root.setLevel(max(threshold, logging.WARNING))


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out the tracebacks that grpc writes for every call that a forced stop cancels."""
    return not (
        record.name.startswith("grpc._cython")
        and "CancelledError" in (record.exc_text or str(record.exc_info))
    )
