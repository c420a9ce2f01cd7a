"""The worker side, the only room of the host where torch lives."""

import os

# Before torch is imported, because OpenMP reads it once: how often a thread of a parallel region looks whether the
# others are done before it sleeps. Measured on two cores with 20 steps of the starter (ratio to bare diffusers on an
# idle machine; seconds with one core busy): sleeping at once 1.9 and 0.7 s, 4000 looks 1.0 and 1.9 s, 100000 looks 1.0
# and 20 s. So a few thousand cost nothing alone and cannot make a busy core into a minute. The pixels are the same.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
