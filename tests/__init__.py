"""Tests of the whole repository. Its first import sets how torch uses threads here, and in all processes that tests start."""

import os

# Tensors of tests are small. Beside other busy processes, threads that wait for each other cost 12.7 s -> 150 s of processor
# time for tests/training/loop/test_trainer.py on two cores; one thread does not wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
