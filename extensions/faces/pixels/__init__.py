"""What is done with pixels alone: masks of regions, cut-outs, blending, overlays, lettering of sheets."""
