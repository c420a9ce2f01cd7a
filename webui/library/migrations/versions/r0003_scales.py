"""Guidance scale and strength as columns, and favourites in the order of pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("guidance_scale", "strength"):
        op.add_column("artifacts", sa.Column(name, sa.Float))
        value = f"json_extract(recipe, '$.params.{name}')"
        op.execute(
            f"UPDATE artifacts SET {name} = (SELECT {value} FROM details WHERE details.n = artifacts.n"
            f" AND typeof({value}) IN ('integer', 'real'))"
        )
    op.drop_index("artifacts_favourite", "artifacts")
    op.create_index("artifacts_favourite", "artifacts", ["favourite"])


def downgrade() -> None:
    op.drop_index("artifacts_favourite", "artifacts")
    op.create_index("artifacts_favourite", "artifacts", ["favourite", "trashed"])
    for name in ("guidance_scale", "strength"):
        op.drop_column("artifacts", name)
