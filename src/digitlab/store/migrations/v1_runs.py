"""The first version: runs, their predictions, measurements, and what was set aside."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None

_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table("about", sa.Column("name", _TEXT, primary_key=True), sa.Column("value", _TEXT))
    op.create_table(
        "runs",
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("data", _TEXT, nullable=False),
        sa.Column("network", _TEXT, nullable=False),
        sa.Column("batch_size", sa.BigInteger, nullable=False),
        sa.Column("learning_rate", sa.Double, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("outcome", _TEXT, nullable=False),
        sa.Column("test_accuracy", sa.Double),
        sa.Column("validation_loss", sa.Double),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("finished", _TEXT, nullable=False),
        sa.Column("predictions_sha256", _TEXT),
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    filters = ["finished", "key", "network", "outcome", "batch_size", "seed", "data"]
    op.create_index("runs_by_time", "runs", filters)
    op.create_table(
        "predictions",
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("predictions", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "measurements",
        sa.Column("key", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, primary_key=True),
        sa.Column("document", _TEXT, nullable=False),
        sa.Column("sha256", _TEXT, nullable=False),
    )
    op.create_table(
        "set_aside",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("key", _TEXT),
        sa.Column("sha256", _TEXT),
        sa.Column("document", sa.LargeBinary),
        sa.Column("predictions", sa.LargeBinary),
    )
