"""The worker side, the only room of the host where torch lives."""

import os

# Before torch is imported, because OpenMP reads it once. Threads that spin while they wait for each other are a little
# faster on an idle machine, and many times slower as soon as another program wants one of its cores: on two cores, one
# of them busy, twenty steps of the starter took 50 seconds spinning and one and a half sleeping. Same pixels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
