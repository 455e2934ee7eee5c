"""Runs the migrations on the connection that `meterboard.accounts.database` hands over."""

from alembic import context

from meterboard.accounts.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
