"""Run by Alembic to apply revisions over the connection of ``webui.core.revisions``, whose transaction it is."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
