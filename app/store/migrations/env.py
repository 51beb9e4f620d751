"""Alembic's entry: runs the migrations on the engine it was handed."""

from alembic import context

from app.store.tables import Row

with context.config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Row.metadata,
        version_table="brushedit_schema",
        render_as_batch=True,
        # DBOS keeps its own tables in the same database.
        include_name=lambda name, kind, _parents: kind != "table" or name in Row.metadata.tables,
    )
    with context.begin_transaction():
        context.run_migrations()
