"""Ratings as a column; plain parameters, tags and collections as values that stand once; short words by the list of
trigrams, for which every letter must begin one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OWN_COLUMNS = (
    "prompt", "seed", "steps", "width", "height", "guidance_scale", "strength", "sampler", "schedule", "model"
)  # fmt: skip
_VALUES = (
    "SELECT details.n AS n, p.key AS key,"
    " CASE p.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(p.value AS TEXT) END AS text,"
    " CASE p.type WHEN 'text' THEN NULL ELSE p.value END AS number"
    " FROM details, json_each(details.recipe, '$.params') AS p"
    " WHERE p.type IN ('text', 'integer', 'real', 'true', 'false') AND length(p.value) BETWEEN 1 AND 1000"
    f" AND p.key NOT IN ({', '.join(repr(name) for name in [*_OWN_COLUMNS, 'tag', 'collection'])})"
)


def upgrade() -> None:
    op.add_column("artifacts", sa.Column("rating", sa.Integer, nullable=False, server_default="0"))
    op.create_index("artifacts_rating", "artifacts", ["rating"])
    op.create_table(
        "facets",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("number", sa.Float),
        sa.UniqueConstraint("key", "text"),
    )
    op.execute(
        "CREATE TABLE facet_of (facet INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (facet, n)) WITHOUT ROWID"
    )
    op.create_index("facet_of_n", "facet_of", ["n"])
    op.execute(f"INSERT OR IGNORE INTO facets (key, text, number) SELECT key, text, number FROM ({_VALUES})")
    op.execute(
        "INSERT OR IGNORE INTO facet_of (facet, n)"
        f" SELECT facets.id, v.n FROM ({_VALUES}) AS v JOIN facets ON facets.key = v.key AND facets.text = v.text"
    )

    connection = op.get_bind()
    search = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'search'").scalar()
    op.execute("UPDATE search SET text = text || char(10) || char(10)")
    if "fts5" in str(search).lower():
        op.execute("CREATE VIRTUAL TABLE search_terms USING fts5vocab(search, row)")


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS search_terms")
    op.drop_table("facet_of")
    op.drop_table("facets")
    op.drop_index("artifacts_rating", "artifacts")
    op.drop_column("artifacts", "rating")
