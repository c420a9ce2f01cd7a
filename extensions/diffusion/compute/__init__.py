"""How a model computes on this machine: attention, precision, stages, blocks and the ways out when memory ends."""
