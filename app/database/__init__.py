"""The one database: its tables and how it is opened. SQLite by default, PostgreSQL by URL; the same statements."""

from app.database.notices import Notices
from app.database.opening import check_whole, clock, open_database, reading, writing
from app.database.sqlite_file import file_of
from app.database.tables import (
    events,
    grid_cells,
    grids,
    images,
    inputs,
    job_inputs,
    jobs,
    looks,
    metadata,
    services,
    switches,
    trash,
)

__all__ = [
    "Notices",
    "check_whole",
    "clock",
    "events",
    "file_of",
    "grid_cells",
    "grids",
    "images",
    "inputs",
    "job_inputs",
    "jobs",
    "looks",
    "metadata",
    "open_database",
    "reading",
    "services",
    "switches",
    "trash",
    "writing",
]
