"""The command line: one module a family of commands."""

import os

# Threads of OpenMP that wait spin by default: beside a working process a training step then takes ten times as long.
# It is read when torch is imported, which nothing above has done.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
