"""Artifacts, in the order of their making, and what is too big to be read along when many are paged through."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("mtime_ns", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("pipeline", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("seed", sa.Integer),
        sa.Column("width", sa.Integer),
        sa.Column("height", sa.Integer),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("warnings", sa.Text, nullable=False, server_default="[]"),
        sa.Column("model", sa.Text),
        sa.Column("steps", sa.Integer),
        sa.Column("sampler", sa.Text),
        sa.Column("schedule", sa.Text),
        sa.Column("favourite", sa.Integer, nullable=False, server_default="0"),
        sa.Column("trashed", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("artifacts_job", "artifacts", ["job_id"])
    op.create_index("artifacts_seed", "artifacts", ["seed"])
    op.create_index("artifacts_favourite", "artifacts", ["favourite", "trashed"])
    op.create_index("artifacts_trashed", "artifacts", ["trashed"])
    op.create_table(
        "details",
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("details")
    op.drop_table("artifacts")
