"""The index's schema, one revision a module in ``versions``; ``webui.library.schema`` applies them."""
