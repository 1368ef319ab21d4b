"""The tables. The same on SQLite and on PostgreSQL; `app/migrations` brings a database to them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData()

# Times are seconds since 1970 UTC as floats: they compare alike on both databases.
jobs = Table(
    "jobs",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),  # the order of submitting
    Column("id", String(36), nullable=False, unique=True),
    Column("idempotency_key", String(200), unique=True),
    Column("fingerprint", String(64), nullable=False),  # of the request as sent: tells a retry from another request
    Column("origin", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("caller", String(64), nullable=False, server_default=""),  # whose job it is: see app/service/http/callers.py
    Column("turn", Integer, nullable=False, server_default="0"),  # place among the callers: see app/jobs/turns.py
    Column("moved", Boolean, nullable=False, server_default=false()),  # somebody put it before others of its caller
    Column("cleared", Boolean, nullable=False, server_default=false()),  # it ended, and nobody wants it in the list
    Column("model", String(200), nullable=False),
    Column("batch_key", String(64), nullable=False),
    Column("request", JSON, nullable=False),  # fully resolved: seed fixed, no None
    Column("entry", JSON),  # the model as the catalog had it then; NULL: of a version that did not keep it
    Column("num_images", Integer, nullable=False),
    Column("megapixel_steps", Float, nullable=False),  # the work in it, for the ETA
    Column("attempt", Integer, nullable=False, default=0),  # fencing token, rises on every claim
    Column("crashes", Integer, nullable=False, default=0),  # rises only when the engine died under the job
    Column("owner", String(64)),  # boot id of the service that runs it
    Column("lease_until", Float),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("error", JSON),
    Column("text", Text),  # what a job of the task describe found
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("seconds", Float),
    # The line, with all that claiming and counting it needs: no row of a long line has to be read for that.
    Index("jobs_by_state", "state", "priority", "turn", "seq", "caller", "model", "megapixel_steps", "created_at"),
    Index("jobs_by_work", "state", "model", "megapixel_steps", "priority", "turn", "seq"),  # what is ahead, by its time
    Index("jobs_by_turn", "state", "turn"),
    Index("jobs_by_caller", "caller", "state", "turn"),
    Index("jobs_shown", "cleared", "seq", "state"),
    Index("jobs_by_pace", "model", "finished_at"),  # what past jobs of a model took, for the ETA
)

images = Table(
    "images",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("job_id", String(36), nullable=False, index=True),  # no foreign key: rebuilt rows have no job
    Column("index", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("path", Text, nullable=False, unique=True),
    Column("sha256", String(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("negative_prompt", Text, nullable=False),
    Column("model", String(200), nullable=False, index=True),
    Column("origin", String(40), nullable=False),
    Column("seconds", Float),
    Column("favourite", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False, index=True),
    Column("recipe", JSON, nullable=False),
    UniqueConstraint("job_id", "index"),
    Index("images_by_model", "model", "created_at"),
    Index("images_by_seed", "seed", "created_at"),
    Index("images_by_favourite", "favourite", "created_at"),
    Index("images_by_size", "width", "height", "created_at"),
    Index("images_by_bytes", "bytes"),  # what all of them take
    # Groups are read from this index alone. PostgreSQL cannot index a prompt of more than 2,700 bytes.
    Index("images_by_prompt", "prompt", "model", "created_at", "seconds").ddl_if(dialect="sqlite"),
)

events = Table(
    "events",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),  # 1, 2, 3 … without gaps for each job
    Column("kind", String(20), nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", Float, nullable=False),
)

# Deleted pictures that can still come back: what their rows held. Their files stay where they are.
trash = Table(
    "trash",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("job_id", String(36), nullable=False, index=True),
    Column("path", Text, nullable=False, unique=True),
    Column("bytes", Integer, nullable=False),
    Column("image", JSON, nullable=False),  # every column of `images` but its number
    Column("deleted_at", Float, nullable=False, index=True),
)

# Pictures that jobs start from. Their files are named by `sha256`.
inputs = Table(
    "inputs",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("mode", String(4), nullable=False),  # L, RGB or RGBA
    Column("bytes", Integer, nullable=False),
    Column("said", JSON, nullable=False),  # what the file that came said of its making
    Column("uploaded_at", Float, nullable=False),  # the last time
    Index("inputs_by_age", "uploaded_at", "bytes"),
)

# Which job starts from which picture. Kept while the job is open or a picture of it is in the library.
job_inputs = Table(
    "job_inputs",
    metadata,
    Column("job_id", String(36), primary_key=True),  # no foreign key: a picture outlives its job
    Column("sha256", String(64), ForeignKey("inputs.sha256"), primary_key=True),
    Index("job_inputs_by_input", "sha256"),
)

# What each picture shows as numbers that can be compared: see `app/library/likeness.py`.
looks = Table(
    "looks",
    metadata,
    Column("image_id", String(36), primary_key=True),  # no foreign key: a picture goes first, and is found no more
    Column("model", String(200), nullable=False),  # that looked: another's numbers mean other things
    Column("vector", LargeBinary, nullable=False),  # a signed byte for each number; empty: it could not be looked at
)

# What a grid was asked for. How far it is stands nowhere but in the jobs of its cells.
grids = Table(
    "grids",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),  # the order of submitting
    Column("id", String(36), nullable=False, unique=True),
    Column("idempotency_key", String(200), unique=True),
    Column("fingerprint", String(64), nullable=False),  # of the grid as it was sent
    Column("origin", String(40), nullable=False),
    Column("caller", String(64), nullable=False),
    Column("asked", JSON, nullable=False),  # seed fixed, every value read
    Column("created_at", Float, nullable=False),
)

grid_cells = Table(
    "grid_cells",
    metadata,
    Column("grid_id", String(36), ForeignKey("grids.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True),  # row by row, table by table
    Column("job_id", String(36), nullable=False),  # no foreign key: a picture outlives its job
    Column("fingerprint", String(64), nullable=False),  # of the resolved request and its model: the same picture
    Column("reused", Boolean, nullable=False),
    Index("grid_cells_by_job", "job_id"),
    Index("grid_cells_by_fingerprint", "fingerprint"),
)

# The services that work on this table right now. A courtesy: whose job it is says the job's row.
services = Table(
    "services",
    metadata,
    Column("id", String(64), primary_key=True),  # boot id
    Column("devices", Integer, nullable=False),
    Column("present_until", Float, nullable=False),
)

# What is on for all services; off = no row.
switches = Table(
    "switches",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("set_at", Float, nullable=False),
)
