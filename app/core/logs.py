"""Logs: JSON lines to a rotating file, a readable console. structlog over the standard library."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog

_SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
MAX_LOG_BYTES = 10 * 2**20
KEPT_LOG_FILES = 5


def configure_logs(level: str, file: Path | None = None) -> None:
    """Send every log record to the console and, as one JSON object a line, to `file` (10 MiB, 5 old ones kept).

    Call once, at a process's start. Bind `request_id` and `job_id` with `structlog.contextvars`.
    """
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()), foreign_pre_chain=list(_SHARED)
        )
    )
    handlers: list[logging.Handler] = [console]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        rotating = RotatingFileHandler(file, maxBytes=MAX_LOG_BYTES, backupCount=KEPT_LOG_FILES, encoding="utf-8")
        rotating.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer(ensure_ascii=False),
                ],
                foreign_pre_chain=list(_SHARED),
            )
        )
        handlers.append(rotating)
    root = logging.getLogger()
    root.handlers = handlers
    root.setLevel(level.upper())
