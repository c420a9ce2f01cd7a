"""The networks: pure modules, from latents to pictures. Nothing here knows of files, jobs or the page."""
