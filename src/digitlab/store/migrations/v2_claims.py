"""The second version: which driver has taken on which runs, and which drivers are alive."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "2", "1"

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "claims",
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("token", _TEXT, nullable=False),
        sa.Column("driver", _TEXT, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("claims_by_token", "claims", ["token"])
    op.create_table(
        "heartbeats",
        sa.Column("token", _TEXT, primary_key=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
