"""Called by Alembic: it runs the steps on the connection, and in the transaction, that `steps.py` opened."""

from alembic import context

from app.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column: Alembic builds the table anew
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
