"""The words of prompts, by trigrams, so that Chinese is found too; a plain table where SQLite cannot index them."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    try:
        connection.exec_driver_sql("CREATE VIRTUAL TABLE search USING fts5(text, tokenize = 'trigram')")
    except sa.exc.OperationalError:
        connection.exec_driver_sql("CREATE TABLE search (text TEXT NOT NULL)")
    rows = connection.exec_driver_sql("SELECT n, prompt, title FROM artifacts JOIN details USING (n)").all()
    for n, prompt, title in rows:
        text = unicodedata.normalize("NFKC", f"{prompt}\n{title}").casefold()
        connection.exec_driver_sql("INSERT INTO search (rowid, text) VALUES (?, ?)", (n, text))


def downgrade() -> None:
    op.drop_table("search")
