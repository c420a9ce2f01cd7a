"""Who may use a shared studio: people, their passwords, sessions, links and tokens. Knows nothing of HTTP."""
