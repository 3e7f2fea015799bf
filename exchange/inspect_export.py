"""Campaigns as Inspect logs, and the static site that shows them; both are written by `exchange.inspect_writer`."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from exchange.inspect_log import Tally, header, sample
from host.locks import process_lock
from host.private import make_directory, private_directory
from host.process import start
from models.errors import InfrastructureError, UsageError
from models.plans import Frozen
from store.runs import ExportGroup, RawStore, digest

FORMAT = 1
"""Raised with every change of what a log holds, so that cached sites are made anew."""
_KEPT_SECONDS = 7 * 24 * 3600
"""Cached sites that nobody opened for so long are deleted."""
Progress = Callable[[str, int, int], None]
"""Told a planner, how many of its trajectories are written, and of how many."""


class WrittenLog(Frozen):
    """A log: its planner, file, and how many trajectories it shows; those not begun are `left_out`."""

    planner: str
    path: Path
    shown: int
    unfinished: int
    left_out: int


def viewer_version() -> str:
    """The version of inspect_ai. Raises UsageError with the remedy if it is not installed."""
    try:
        return version("inspect-ai")
    except PackageNotFoundError:
        raise UsageError(
            "Inspect's logs and viewer need the extra `viewer`: run `uv sync --inexact --extra viewer` and try again"
        ) from None


def export_logs(store: RawStore, name: str, directory: Path, progress: Progress) -> list[WrittenLog]:
    """Write an Inspect log for each planner of the campaign that last ran under a label.

    Existing files of the same name are replaced. Raises UsageError for a label never used or a missing extra,
    InfrastructureError if a log cannot be written.
    """
    viewer_version()
    with _writer() as feed:
        return _write_logs(store, name, directory, feed, progress)


def log_name(group: ExportGroup) -> str:
    """The name of a planner's log file."""
    fit = "".join(each if each.isalnum() or each in "-_." else "_" for each in f"{group.name}_{group.planner}")
    return f"{fit.lstrip('.')}_{group.campaign[:8]}.eval"


def cached_site(store: RawStore, name: str, cache: Path, progress: Progress) -> tuple[Path, bool]:
    """The site that shows a campaign, made unless it is cached for the same rows; and whether it was made.

    Raises UsageError and InfrastructureError as `export_logs` does.
    """
    key = digest("viewer", FORMAT, viewer_version(), store.content_key(name))
    root = private_directory(cache / "viewer")
    site = root / key
    with process_lock(root / f"{key}.lock", lambda _: None):
        _forget_old(root, site)
        if (site / "index.html").is_file():
            site.touch()
            return site, False
        with tempfile.TemporaryDirectory(prefix="making-", dir=root) as folder:
            logs, made = Path(folder) / "logs", Path(folder) / "site"
            with _writer() as feed:
                _write_logs(store, name, logs, feed, progress)
                feed({"bundle": [str(logs), str(made)]})
            shutil.rmtree(site, ignore_errors=True)
            made.rename(site)
    return site, True


def _forget_old(root: Path, wanted: Path) -> None:
    """Delete sites that were not opened lately, and what a killed export left."""
    for each in root.iterdir():
        if each.is_dir() and each != wanted and time.time() - each.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(each, ignore_errors=True)


def _write_logs(
    store: RawStore, name: str, directory: Path, feed: Callable[[Any], None], progress: Progress
) -> list[WrittenLog]:
    groups = store.export_groups(name)
    make_directory(directory)
    return [_write_log(store, group, directory, feed, progress) for group in groups]


def _write_log(
    store: RawStore, group: ExportGroup, directory: Path, feed: Callable[[Any], None], progress: Progress
) -> WrittenLog:
    path = directory.absolute() / log_name(group)
    feed({"log": str(path)})
    tally = Tally()
    for found in store.exported(group):
        data = sample(found, group)
        tally.add(data, found.trace)
        feed({"sample": data})
        progress(group.planner, tally.samples, group.begun)
    feed({"header": header(group, tally)})
    return WrittenLog(
        planner=group.planner,
        path=path,
        shown=tally.samples,
        unfinished=group.begun - group.closed,
        left_out=group.total - group.begun,
    )


@contextmanager
def _writer() -> Iterator[Callable[[Any], None]]:
    """A function that sends a request to the writing process. Raises InfrastructureError, also at the end, if it
    fails."""
    process = start([sys.executable, "-P", "-m", "exchange.inspect_writer"])  # -P: nothing of the working directory
    assert process.stdin is not None
    assert process.stdout is not None
    replies: IO[bytes] = process.stdout
    stdin: IO[bytes] = process.stdin

    def feed(request: Any) -> None:
        try:
            stdin.write(json.dumps(request, allow_nan=False).encode() + b"\n")
        except BrokenPipeError as error:
            raise _failure(replies.read()) from error

    try:
        yield feed
        try:
            stdin.close()
        except BrokenPipeError as error:
            raise _failure(replies.read()) from error
        reply = replies.read()
        if process.wait() != 0:
            raise _failure(reply)
    finally:
        process.kill()
        process.wait()
        replies.close()


def _failure(reply: bytes) -> InfrastructureError:
    try:
        said = str(json.loads(reply)["error"])
    except (ValueError, KeyError):
        said = "the process that writes them ended without a word; was it out of memory?"
    return InfrastructureError(f"Inspect logs cannot be written: {' '.join(said.split())[:500]}")
