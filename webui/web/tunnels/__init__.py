"""Ways from a public address to this machine: those that come along, in the shape in which extensions add theirs."""
