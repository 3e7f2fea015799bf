"""The program that writes Inspect logs, in a process of its own: importing inspect_ai takes seconds, and is an extra.

It reads JSON lines from standard input: `{"log": PATH}` begins a log, each `{"sample": {...}}` adds a sample to it,
`{"header": {...}}` ends it, and `{"bundle": [LOG_DIRECTORY, SITE]}` makes the static viewer of a directory of logs. It
prints one line: `{"version": ...}`, or `{"error": ...}` where something could not be written. One sample is held in
memory at a time. The same lines give the same bytes: members of a log bear no time.
"""

import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold."""
_MODE = 0o600 << 16


class LogFile:
    """An Inspect log that is being written: a zip file with a member for each sample."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._zip = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_DEFLATED)
        self._summaries = tempfile.TemporaryFile()  # noqa: SIM115 - `finish` closes it

    def add(self, data: dict[str, Any]) -> None:
        """Add a sample, with texts that its events repeat stored once. Raises ValueError for what is no sample."""
        from inspect_ai.log import EvalSample, condense_sample

        sample = condense_sample(EvalSample.model_validate(data))
        self._write(f"samples/{sample.id}_epoch_{sample.epoch}.json", sample)
        self._summaries.write((b"," if self._summaries.tell() else b"") + _json(sample.summary()))

    def finish(self, header: dict[str, Any]) -> None:
        """Write the header and give the file its name. Raises ValueError for what is no header."""
        from inspect_ai.log import EvalLog

        packages = {"inspect_ai": _version()}
        log = EvalLog.model_validate({**header, "eval": {**header["eval"], "packages": packages}})
        start = {"version": log.version, "eval": log.eval, "plan": log.plan}
        self._write("_journal/start.json", start)
        self._summaries.seek(0)
        with self._zip.open(_member("summaries.json"), "w") as member:
            member.write(b"[")
            shutil.copyfileobj(self._summaries, member)
            member.write(b"]")
        self._summaries.close()
        self._write("header.json", log.model_copy(update={"samples": None}))
        self._zip.close()
        self._partial.replace(self._path)

    def _write(self, name: str, value: Any) -> None:
        self._zip.writestr(_member(name), _json(value))


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, _MODE
    return info


def _json(value: Any) -> bytes:
    from pydantic_core import to_json

    return to_json(value, exclude_none=True, inf_nan_mode="constants")


def write(lines: Iterable[str]) -> None:
    """Carry out the requests of the lines. Raises ValueError and OSError."""
    log: LogFile | None = None
    for line in lines:
        request = json.loads(line)
        if "log" in request:
            log = LogFile(Path(request["log"]))
        elif "bundle" in request:
            bundle(*map(Path, request["bundle"]))
        elif log is None:
            raise ValueError("a sample or header came before its log")
        elif "sample" in request:
            log.add(request["sample"])
        else:
            log.finish(request["header"])


def bundle(logs: Path, site: Path) -> None:
    """Make the static viewer of a directory of logs. Raises OSError."""
    from inspect_ai.log import bundle_log_dir

    bundle_log_dir(str(logs), str(site), overwrite=True)


def _version() -> str:
    from importlib.metadata import version

    return version("inspect-ai")


def _main(source: IO[str]) -> int:
    # What libraries print must not end up among our replies.
    replies, sys.stdout = sys.stdout, sys.stderr
    try:
        write(source)
    except (ValueError, OSError, RuntimeError) as error:  # pydantic's ValidationError is a ValueError
        replies.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
        return 1
    replies.write(json.dumps({"version": _version()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.stdin))
