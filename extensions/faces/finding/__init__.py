"""Where faces are: pictures -> faces with boxes, landmarks and parts, by networks, cascades, or as a person says."""
