"""The first tables: keys and jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("revoked", sa.Double),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("caller", sa.String(16), nullable=False),
        sa.Column("state", sa.String(10), nullable=False, index=True),
        sa.Column("format", sa.String(10)),
        sa.Column("output", sa.String(10), nullable=False),
        sa.Column("keep", sa.String(10), nullable=False),
        sa.Column("profile", sa.String(100), nullable=False),
        sa.Column("id_column", sa.String(200)),
        sa.Column("title_column", sa.String(200)),
        sa.Column("abstract_column", sa.String(200)),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("idempotency", sa.String(64)),
        sa.Column("rows", sa.Integer),
        sa.Column("refused", sa.Integer),
        sa.Column("failure", sa.String),
        sa.Column("model", sa.String(100)),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("finished", sa.Double),
        sa.UniqueConstraint("caller", "idempotency"),
    )
