"""A worker process: takes some commits of a repository, and stores a trajectory's pairs in one transaction."""

import os
import threading
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path

from harness.planners.student import StudentLimits, student_limits
from harness.synthesis.commit import CommitPairs, pairs_of
from models.edits import EditFormat
from models.errors import InfrastructureError
from models.llm_settings import ModelSettings
from models.manifest import Instance
from models.outcomes import OutcomeKind
from models.plans import Frozen
from models.protocols import Stage
from repos.git import Git
from repos.index import IndexCache
from store.database import open_database
from store.runs import RawStore, open_raw_store
from store.runs.direct import store_direct


class DirectSettings(Frozen):
    """What the workers need of the settings."""

    raw_url: str
    curated_url: str
    cache_dir: Path
    models: ModelSettings
    stages: tuple[Stage, ...]
    edit_format: EditFormat
    base: str | None = None


FAULT = "bug, tried again by the next run:"
"""The reason of a commit whose synthesis ended in an error that nobody meant."""


@dataclass(frozen=True)
class Chunk:
    """Some commits of a repository, oldest first, with the keys of their trajectories by sample."""

    repository: str
    clone: Path
    commits: tuple[tuple[Instance, Mapping[int, str]], ...]


@dataclass
class DirectCounts:
    """Counts of pairs by stage, of judgements by stage and class, of what was refused by stage (or `commit`) and
    reason; `held` commits another process is working on."""

    commits: int = 0
    done_before: int = 0
    held: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    classes: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: "DirectCounts") -> None:
        """Add the counts of another part of the work."""
        self.commits += other.commits
        self.done_before += other.done_before
        self.held += other.held
        self.calls += other.calls
        self.classes += other.classes
        self.refused += other.refused


class Worker:
    """What a process keeps from one chunk to the next: the store, the index cache, the student's tokenizers."""

    def __init__(self, settings: DirectSettings) -> None:
        self.settings = settings
        self._held = ExitStack()

    @cached_property
    def store(self) -> RawStore:
        """The raw database; the leases of this process are renewed from now on."""
        store = open_raw_store(self.settings.raw_url)
        self._held.enter_context(store.renewing())
        return store

    @cached_property
    def limits(self) -> StudentLimits:
        """The student's."""
        curated = open_database(self.settings.curated_url, "curated")
        return student_limits(self.settings.models, curated, self.settings.base)

    @cached_property
    def cache(self) -> IndexCache:
        """Parsed files, shared with other processes."""
        return IndexCache(self.settings.cache_dir / "index")

    def work(self, chunk: Chunk) -> DirectCounts:
        """Synthesize the commits of a chunk that are neither done nor held by another process."""
        keys = [key for _, trajectories in chunk.commits for key in trajectories.values()]
        claims = self.store.claim(dict.fromkeys(keys, 0) | self.store.attempts(keys), len(keys))
        taken, counts = set(claims.taken), DirectCounts()
        try:
            for instance, trajectories in chunk.commits:
                mine = {sample: key for sample, key in trajectories.items() if key in taken}
                if mine:
                    self._commit(chunk, instance, mine, counts)
                counts.held += not mine and not claims.held.isdisjoint(trajectories.values())
                counts.done_before += not mine and claims.closed.issuperset(trajectories.values())
        finally:
            self.store.release(keys)
        return counts

    def close(self) -> None:
        """Stop renewing leases."""
        self._held.close()

    def _commit(self, chunk: Chunk, instance: Instance, keys: Mapping[int, str], counts: DirectCounts) -> None:
        asked, limits, cache = self.settings, self.limits, self.cache
        try:
            found = pairs_of(
                Git(chunk.clone), chunk.repository, instance, asked.stages, limits, asked.edit_format, cache
            )
        except InfrastructureError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours at one commit must not stop the others
            where = traceback.extract_tb(error.__traceback__)[-1]
            fault = f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
            counts.refused["commit", f"{FAULT} {fault}"] += 1
            return
        for sample, key in keys.items():
            self._keep(key, found, sample)
        counts.commits += 1
        counts.calls += found.calls
        counts.classes += found.classes
        counts.refused += found.refused

    def _keep(self, key: str, found: CommitPairs, sample: int) -> None:
        """Store a trajectory's events and close it. Closed first by another process, it keeps what that one stored."""
        why = found.why.get(sample, "")
        kind = OutcomeKind.EDIT_REJECTED if why else OutcomeKind.UNTESTED
        store_direct(self.store.engine, key, found.events.get(sample, ()), kind, why or "no test was run")


_worker: Worker | None = None


def start(settings: DirectSettings) -> None:
    """Make this process a worker, which ends when its parent does."""
    global _worker
    _worker = Worker(settings)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def work(chunk: Chunk) -> DirectCounts:
    """`Worker.work` in a process that was started with `start`."""
    assert _worker is not None, "start() comes first"
    return _worker.work(chunk)
