"""Clones where the cache's disk is full or cannot be written: one line that blames the disk, not the repository."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.direct_material import PACKAGE, repository
from tests.support.mining_history import Entry

ON_A_DISK = """
mount -t tmpfs -o "$1" tmpfs "$2" && exec "$3" -c '
import sys
from pathlib import Path
from models.errors import InfrastructureError
from repos.clones import cached_clone
try:
    with cached_clone(Path(sys.argv[1]), Path(sys.argv[2])):
        pass
except InfrastructureError as error:
    sys.exit(f"refused: {error}")
' "$4" "$2"
"""
NOISE = "".join(f"VALUE_{n} = {n * 2654435761 % 2**32}\n" for n in range(20_000))


@pytest.mark.parametrize(("options", "said"), [("size=64k", "is full"), ("ro", "CRA_CACHE_DIR")])
def test_a_full_or_read_only_cache_is_named(options: str, said: str, tmp_path: Path) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces: no disk of its own can be mounted")
    place = repository(tmp_path / "spans.git", [Entry("Add spans", {**PACKAGE, "src/spans/noise.py": NOISE})])
    (tmp_path / "cache").mkdir()
    command = [*namespace, "sh", "-c", ON_A_DISK, "sh", options, str(tmp_path / "cache"), sys.executable, str(place)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stderr.startswith("refused: ") and said in found.stderr
    assert "damaged" not in found.stderr
    assert len(found.stderr.splitlines()) == 1
