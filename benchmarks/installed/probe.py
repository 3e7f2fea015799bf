"""What of a wheel can be found and imported here: a JSON object after a record separator. Runs on any Python 3.8."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any


def digest(path: str) -> str:
    """SHA-256 of the first file of this name on the import path."""
    places = (Path(entry) / path for entry in sys.path)
    there = next((place for place in places if place.is_file()), None)
    return hashlib.sha256(there.read_bytes()).hexdigest() if there else "absent"


def metadata_of(name: str) -> dict[str, Any]:
    """What the metadata of a distribution say."""
    try:
        own = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        return {"name": repr(error)}
    return {
        "name": own.metadata["Name"],
        "version": own.version,
        "summary": own.metadata["Summary"],
        "entry points": sorted(f"{p.group}: {p.name} = {p.value}" for p in own.entry_points),
        "requires": sorted(own.requires or []),
    }


def imported(name: str) -> str:
    """Whether a module can be imported: the type of the exception if not."""
    try:
        importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001  (whatever a module of strangers raises, also SystemExit)
        return type(error).__name__
    return "imported"


def main() -> None:
    """Print the findings; the modules' own output goes to the standard error."""
    wanted = json.loads(Path(sys.argv[1]).read_text())
    output = os.dup(1)
    os.dup2(2, 1)
    found = {
        "files": {path: digest(path) for path in wanted["files"]},
        "scripts": {name: "there" if shutil.which(name) else "absent" for name in wanted["scripts"]},
        "metadata": metadata_of(wanted["name"]),
        "modules": {name: imported(name) for name in wanted["modules"]},
    }
    os.write(output, b"\n\x1e" + json.dumps(found).encode())
    os._exit(0)  # threads of imported modules do not matter


main()
