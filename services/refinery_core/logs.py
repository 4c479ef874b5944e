"""Logs: one line an event on stderr, as JSON for machines or in columns for people."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import orjson
import structlog

LogFormat = Literal["json", "console"]

_SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure(*, service: str, form: LogFormat = "json", level: str = "info") -> None:
    """Send the logs of this process, those of its libraries too, to stderr. Call it once, first."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_SHARED, *_rendered(form)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer)
        if form == "json"
        else structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    _adopt_libraries(form, threshold)


def _rendered(form: LogFormat) -> list[structlog.typing.Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _json(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)


def _text(event: Any, **_: Any) -> str:
    return _json(event).decode()


def _adopt_libraries(form: LogFormat, threshold: int) -> None:
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_text)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    before: list[structlog.typing.Processor] = [*_SHARED, structlog.stdlib.add_logger_name]
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
