"""Training asks no hub for anything."""

import os
import subprocess
import sys

import pytest

from host.offline import TELEMETRY

pytestmark = pytest.mark.slow

LOOK = """
import socket
asked = []

def refuse(*where, **kwargs):
    asked.append(where)
    raise OSError("no network")

socket.getaddrinfo = refuse
{first}
from peft.utils.other import check_file_exists_on_hf_hub
assert check_file_exists_on_hf_hub("tiny", "config.json") is None
print(len(asked) > 0)
"""


@pytest.mark.parametrize(("first", "asks"), [("import training", "False"), ("", "True")])
def test_the_libraries_look_for_no_base_on_a_hub_once_training_is_imported(first: str, asks: str) -> None:
    here = {name: value for name, value in os.environ.items() if name not in TELEMETRY}
    code = LOOK.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == asks
