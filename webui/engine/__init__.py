"""The worker side, the only room of the host where torch lives."""

import os

# Before torch is imported, because OpenMP reads it once. Threads that spin while they wait for each other are a little
# faster on an idle machine, and many times slower as soon as another program wants one of its cores: on two cores, one
# of them busy, `run txt2img` of one starter picture took 57 s with threads that spin and 10 s with threads that sleep.
# The pixels are the same.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
