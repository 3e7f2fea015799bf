"""A run over repositories: what is open is shared out among processes, chunk by chunk."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from agent.prompts import REVISION
from agent.retrieve.relevance.classifier import in_force
from harness.planners.gold import VERSION, GoldPlanner
from harness.planners.student import StudentLimits, student_limits
from harness.synthesis import worker
from harness.synthesis.commit import trajectories_of
from harness.synthesis.repository import DirectRepository, check_places, opened
from harness.synthesis.worker import Chunk, DirectCounts, DirectSettings, Worker
from models.errors import InfrastructureError
from models.manifest import Instance
from models.mining import MiningRules
from store.database import open_database
from store.keys import digest
from store.runs import RawStore, open_raw_store
from store.runs.direct import open_direct

RUN_NAME = "synthesis"
_CHUNK = 8
_AHEAD = 3
"""Chunks that are handed out for each process, beyond which the next repository is not mined yet."""


@dataclass
class RepositoryReport:
    """The result of one repository: its kept commits, those taken in this run, those of them whose task a model wrote,
    and the counts of this run."""

    name: str
    kept: int
    lost: int
    commits: int
    described: int = 0
    counts: DirectCounts = field(default_factory=DirectCounts)


Progress = Callable[[RepositoryReport, int], None]
"""Called with a repository and the number of its commits that are done in addition."""


@dataclass
class DirectReport:
    """The result of a run. `exact`: tokens were counted by a tokenizer."""

    campaign: str
    exact: bool
    repositories: list[RepositoryReport] = field(default_factory=list)

    @property
    def total(self) -> DirectCounts:
        """The counts of all repositories."""
        total = DirectCounts()
        for each in self.repositories:
            total.add(each.counts)
        return total


def synthesize(
    places: Sequence[Path],
    settings: DirectSettings,
    rules: MiningRules,
    *,
    limit: int | None = None,
    jobs: int = 1,
    messages: Path | None = None,
    progress: Progress = lambda report, commits: None,
) -> DirectReport:
    """Synthesize pairs from the kept commits of repositories and repo packages; what is done is not done again.

    `messages` is the data directory whose accepted descriptions are tasks of commits that are set aside; None: of none.

    Raises UsageError, RepositoryError, ManifestError, SettingsError, ClassifierError; InfrastructureError if a worker
    process died.
    """
    check_places(places)
    in_force()  # one that cannot be read is an error of the run, not of each commit
    store = open_raw_store(settings.raw_url)
    limits = student_limits(settings.models, open_database(settings.curated_url, "curated"), settings.base)
    campaign = store.register_campaign(_config(settings, limits))
    report = DirectReport(campaign, limits.exact)
    handed_out: set[str] = set()
    with ExitStack() as clones, _pool(settings, jobs) as submit:
        waiting: dict[Future[DirectCounts], tuple[RepositoryReport, int]] = {}
        for place in places:
            repository = clones.enter_context(opened(place, rules, settings.cache_dir, limit, messages))
            each, chunks = _open(store, campaign, repository, settings, handed_out)
            report.repositories.append(each)
            progress(each, each.counts.done_before)
            for chunk in chunks:
                waiting[submit(chunk)] = (each, len(chunk.commits))
                _collect(waiting, _AHEAD * jobs, progress)
        _collect(waiting, 0, progress)
    return report


def _collect(waiting: dict[Future[DirectCounts], tuple[RepositoryReport, int]], most: int, progress: Progress) -> None:
    """Wait until at most so many chunks are open, and count what is finished."""
    while len(waiting) > most:
        for future in wait(waiting, return_when=FIRST_COMPLETED).done:
            report, size = waiting.pop(future)
            report.counts.add(future.result())
            progress(report, size)


def _config(settings: DirectSettings, limits: StudentLimits) -> dict[str, Any]:
    """What identifies the campaign: all that its prompts and answers depend on, except the commits."""
    return {
        "kind": RUN_NAME,
        "stages": sorted(settings.stages),
        "edit_format": settings.edit_format.value,
        "gold": VERSION,
        "templates": REVISION,
        "student": limits.identity,
    }


def _open(
    store: RawStore, campaign: str, repository: DirectRepository, settings: DirectSettings, handed_out: set[str]
) -> tuple[RepositoryReport, list[Chunk]]:
    """The report of a repository, and its commits that are open, oldest first, in chunks.

    Trajectories `handed_out` for another copy of the repository are not handed out again; they count as done before.
    """
    manifest = repository.manifest
    described = sum(instance.message is not None for instance in manifest.instances)
    report = RepositoryReport(manifest.name, manifest.funnel.kept, repository.lost, len(manifest.instances), described)
    if not manifest.instances:
        return report, []
    keys = store.register_package(manifest)
    store.start_run(campaign, RUN_NAME, digest(manifest.identity()), [repository.directory])
    samples = trajectories_of(settings.stages)
    instances = [keys[instance.instance_id] for instance in manifest.instances]
    identity = f"{VERSION} {REVISION} {campaign}"
    opened_keys = open_direct(store.engine, campaign, instances, GoldPlanner.name, identity, samples)
    closed = store.closed(opened_keys.values()) | handed_out
    handed_out.update(opened_keys.values())
    todo: list[tuple[Instance, dict[int, str]]] = []
    for instance in reversed(manifest.instances):
        own = {sample: opened_keys[keys[instance.instance_id], sample] for sample in samples}
        if closed.issuperset(own.values()):
            report.counts.done_before += 1
        else:
            todo.append((instance, own))
    if todo:
        repository.register_content(store)
    clone = repository.git.directory
    return report, [
        Chunk(manifest.name, clone, tuple(todo[start : start + _CHUNK])) for start in range(0, len(todo), _CHUNK)
    ]


@contextmanager
def _pool(settings: DirectSettings, jobs: int) -> Iterator[Callable[[Chunk], Future[DirectCounts]]]:
    """Where chunks are submitted: to `jobs` processes, or with one job to this process."""
    if jobs == 1:
        own = Worker(settings)
        try:
            yield lambda chunk: _at_once(own, chunk)
        finally:
            own.close()
        return
    context = get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=worker.start, initargs=(settings,))
    try:
        yield lambda chunk: pool.submit(worker.work, chunk)
    except BrokenProcessPool as error:
        raise InfrastructureError(
            "a worker process was killed, perhaps for want of memory; the same command goes on, with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _at_once(own: Worker, chunk: Chunk) -> "Future[DirectCounts]":
    future: Future[DirectCounts] = Future()
    try:
        future.set_result(own.work(chunk))
    except Exception as error:  # noqa: BLE001 - raised again where the result is read, as by a process
        future.set_exception(error)
    return future
