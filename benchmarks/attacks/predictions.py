"""Predictions that are to exhaust or end the judging of them, or to write on the operator's terminal."""

import base64
import hashlib
import json
import subprocess
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.attacks.base import Attack, GotThrough
from exchange.predictions import DoesNotApply, apply_patch, read_predictions
from models.errors import UsageError
from repos.git import clone

KIND = "predictions"
_MIB = 2**20
_FILE = b"one = 1\n" * 1000


def attacks() -> list[Attack]:
    """One attack per patch and per name."""
    patches = [Attack(KIND, f"patch: {name}", partial(_apply, make)) for name, make in _patches().items()]
    names = [
        Attack(KIND, f"{field}: {text!a}", partial(_name, field, text))
        for field in ("instance_id", "model_name_or_path")
        for text in ("\ud800", "\udcff", "a\x1b]0;x\x07", "a\r\nb", "a\0", "\x9b2J", "a\u2028b")
    ]
    return patches + names


def _patches() -> dict[str, Callable[[], str]]:
    """What makes each patch: some are large, and are made for their own attack only."""
    new = '--- /dev/null\n+++ "b/{0}"\n@@ -0,0 +1 @@\n+x\n'
    copy = "diff --git a/a.py b/c/{0}\nsimilarity index 100%\ncopy from a.py\ncopy to c/{0}\n"
    return {
        "binary of 128 MiB": lambda: _literal(128 * _MIB, 128 * _MIB),
        "binary that says 8 EiB": lambda: _literal(1000, 2**63),
        "binary that says a number of 5,000 digits": lambda: _literal(1000, int("9" * 4000)),
        "five binaries of 30 MiB": lambda: "".join(_literal(30 * _MIB, 30 * _MIB, f"n{n}") for n in range(5)),
        "delta that says 1 TiB": lambda: _delta(2**40),
        "delta that says 3 GiB": lambda: _delta(3 * 2**30),
        "20,000 copies": lambda: "".join(copy.format(n) for n in range(20_000)),
        "lone surrogate": lambda: new.format("x.py") + "+\ud800\n",
        "name of 300 bytes": lambda: new.format("x" * 300),
        "path of 5,000 bytes": lambda: new.format("x/" * 2500 + "y"),
        "name that is no text": lambda: new.format("\\377.py"),
        "name that writes on a terminal": lambda: new.format("\\033[2J.py"),
    }


def _encoded(data: bytes) -> str:
    packed = zlib.compress(data, 9)
    parts = [packed[start : start + 52] for start in range(0, len(packed), 52)]
    lengths = [chr(64 + len(part)) if len(part) <= 26 else chr(70 + len(part)) for part in parts]
    return "".join(
        f"{length}{base64.b85encode(p, pad=True).decode()}\n" for length, p in zip(lengths, parts, strict=True)
    )


def _literal(size: int, declared: int, name: str = "new") -> str:
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\nindex {'0' * 40}..{'1' * 40}\nGIT binary patch\n"
    return f"{head}literal {declared}\n{_encoded(bytes(size))}\n"


def _delta(size: int) -> str:
    data = bytes([*_length(len(_FILE)), *_length(size), *([0x90, 1] * 20)])
    old = hashlib.sha1(f"blob {len(_FILE)}\0".encode() + _FILE).hexdigest()
    head = f"diff --git a/a.py b/a.py\nindex {old}..{'1' * 40} 100644\nGIT binary patch\n"
    return f"{head}delta {len(data)}\n{_encoded(data)}\n"


def _length(number: int) -> list[int]:
    return [number] if number < 0x80 else [number & 0x7F | 0x80, *_length(number >> 7)]


def _apply(make_patch: Callable[[], str], scratch: Path) -> str:
    work = scratch / "work"
    work.mkdir()
    (work / "a.py").write_bytes(_FILE)
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "--quiet"), ("add", "-A"), (*who, "commit", "--quiet", "-m", "base")):
        subprocess.run(["git", *arguments], cwd=work, check=True, capture_output=True)
    git = clone(str(work), scratch / "bare")
    try:
        changes = apply_patch(git, git.resolve("HEAD"), make_patch())
    except DoesNotApply as error:
        return str(error)
    raise GotThrough(f"{len(changes)} files of {sum(len(c[0]) for c in changes.values() if c)} bytes")


def _name(field: str, text: str, scratch: Path) -> str:
    file = scratch / "predictions.jsonl"
    file.write_text(json.dumps({"instance_id": "a", "model_patch": "", field: text}))
    try:
        read_predictions(file.read_text().splitlines())
    except UsageError as error:
        if text in str(error):
            raise GotThrough("the message repeats it") from error
        return str(error)
    raise GotThrough("it is taken as a name")
