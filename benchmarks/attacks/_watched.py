"""Running our own code as a program of its own, where an attack may make it hang or start programs."""

import subprocess
import sys
from pathlib import Path

from benchmarks.attacks.base import GotThrough

_ROOT = Path(__file__).parents[2]
_CODE = """
import sys
from pathlib import Path
from repos.clones import cached_clone
from repos.git import clone
from models.errors import CleanRoomError, RepositoryError
what, source, scratch = sys.argv[1:]
try:
    if what == "clone":
        clone(source, Path(scratch) / "made")
    else:
        with cached_clone(Path(source), Path(scratch) / "cache"):
            pass
except RepositoryError as error:
    print(error)
    sys.exit(3)
except CleanRoomError as error:
    print(error)
    sys.exit(4)
"""
REFUSED = 3


def clone_apart(source: str, scratch: Path, *, kept: bool = False, seconds: float = 20) -> tuple[int, str]:
    """Clone in a process of its own; its exit code and what it said. Raises GotThrough when it hangs."""
    argv = [sys.executable, "-c", _CODE, "kept" if kept else "clone", source, str(scratch)]
    try:
        done = subprocess.run(argv, cwd=_ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise GotThrough(f"no answer within {seconds:.0f} s") from error
    return done.returncode, (done.stdout + done.stderr).strip()
