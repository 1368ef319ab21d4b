"""Databases as an earlier Atelier left them."""

from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from app.database import open_database
from app.migrations import steps

from .things import a_request


def at_version(file: Path, version: str) -> sqlalchemy.Engine:
    """A database as the Atelier of that version left it, with one queued job in it."""
    engine = open_database(f"sqlite:///{file}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(steps.__file__).parent))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.execute(
            text(
                "INSERT INTO jobs (id, fingerprint, origin, state, priority, model, batch_key, request, num_images,"
                " megapixel_steps, attempt, crashes, cancel_requested, created_at) VALUES"
                " ('an-old-job', 'x', 'api', 'queued', 0, 'pocket', 'x', :request, 1, 0.1, 0, 0, 0, 1)"
            ),
            {"request": a_request().model_dump_json()},
        )
        connection.execute(
            text("INSERT INTO events (job_id, seq, kind, data, at) VALUES ('an-old-job', 1, 'queued', '{}', 1)")
        )
    return engine
