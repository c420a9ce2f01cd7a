"""Plain data and rules, below everything: no gradio, no torch, no database."""
