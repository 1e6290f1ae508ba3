"""How often a job was tried, and what tells this database from others."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns, and the table with its one row."""
    for name in ("tries", "kept"):
        op.add_column("jobs", sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0")))
    table = op.create_table("database_id", sa.Column("id", sa.String(32), primary_key=True))
    op.bulk_insert(table, [{"id": uuid.uuid4().hex}])
