"""What the engine keeps, as its own settings read it."""

import json
import os
import subprocess
import sys

from cli.local_engine import RETENTION

_ASK = """
import json
from prefect.settings import get_current_settings

server = get_current_settings().server
print(json.dumps([server.events.retention_period.days, server.services.db_vacuum.retention_period.days]))
"""


def test_the_engine_takes_the_periods_that_it_is_given() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", _ASK], env={**kept, **RETENTION}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [7, 90]
