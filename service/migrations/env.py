"""What Alembic runs: the steps, within the transaction of the connection that `service.database` hands over."""

from alembic import context

from service.database import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
