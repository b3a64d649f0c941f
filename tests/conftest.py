"""Settings shared by all tests: one thread a worker, no display, seeds explicit."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
