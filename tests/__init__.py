"""Tests: a folder for each package, and `support/` for what several of them use.

What is set here is set before any library is imported, and in every process that tests start.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process of pytest per core

if sys.dont_write_bytecode and "PYTHONPYCACHEPREFIX" not in os.environ:
    # As in many containers. Each of the hundreds of processes would compile every library again, for seconds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode, sys.pycache_prefix = False, os.environ["PYTHONPYCACHEPREFIX"]
