"""Logs: JSON lines to a rotating file, a readable console. structlog over the standard library."""

import logging
import sys
from pathlib import Path

import structlog

from app.core.log_files import Console, PrivateLogFile
from app.core.log_lines import Plain

_SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logs(level: str, file: Path | None = None) -> None:
    """Send every log record to the console and, as one JSON object a line, to `file` (10 MiB, 5 old ones kept).

    Call once, at a process's start. Bind `request_id` and `job_id` with `structlog.contextvars`. No line has control
    characters, keys or the values of variables; the messages of exceptions that may quote a request are left out
    unless `level` is DEBUG. Only the owner can read the files.
    """
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    plain = Plain(verbose=level.upper() == "DEBUG")
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    handlers: list[logging.Handler] = [_with(Console(sys.stderr), plain, console)]
    if file is not None:
        handlers.append(_with(PrivateLogFile(file), plain, structlog.processors.JSONRenderer(ensure_ascii=False)))
    root = logging.getLogger()
    for before in root.handlers:
        if isinstance(before, PrivateLogFile):
            before.close()
    root.handlers = handlers
    root.setLevel(level.upper())


def _with(handler: logging.Handler, plain: Plain, renderer: structlog.types.Processor) -> logging.Handler:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[remove, plain, renderer], foreign_pre_chain=list(_SHARED))
    )
    return handler
