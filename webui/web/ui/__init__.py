"""The page: Gradio components and our own scripts between a person and the services. Entered through ``page.mount``."""
