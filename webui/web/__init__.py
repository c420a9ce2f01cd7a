"""The page and the HTTP interface; the only room of the host where gradio lives."""
