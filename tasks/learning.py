"""Tasks of the learning loop. Each looks into the database first: what is finished there is not done again."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prefect import task
from sqlalchemy import select

from evals.scoring import Answerer, AnsweringTerms, evaluation_id, find_evaluation, score_once, settings_of
from evals.sets import reserved, reserved_repositories
from harness.packages.package import MANIFEST, read_package
from host.private import make_directory
from models.curation_settings import CurationRequest
from models.errors import EvaluationError, GuardrailError
from models.evaluation import Evaluation, EvaluationSet, Subject
from models.settings import Settings
from store.database import open_database
from store.rows import Texts, add, reading, table_of, writing
from store.runs import RawStore
from store.tables import CampaignRun, TrainingPlan, TrainingRun
from tasks.caching import RETRY_DELAYS, is_infrastructure
from training.adapters.registry import AdapterVersion, Registry
from training.bases.bases import Base
from training.cycle import guardrails
from training.data.curation import Curated, curate
from training.fit.training_run import TrainingJob

ProgressCallback = Callable[[str, int, int | None], None]
"""Told of what is being done, how many units are done, and of how many (None: unknown)."""


def _silent(what: str, done: int, total: int | None) -> None:
    """Nobody listens."""


class TrainingContext:
    """What the tasks of the learning loop share. A plain class, so that the engine does not walk through it."""

    def __init__(self, settings: Settings, notify: ProgressCallback = _silent) -> None:
        self.settings, self.notify = settings, notify
        self.raw_engine = open_database(settings.raw_url, "raw")
        self.raw = RawStore(self.raw_engine)
        self.curated = open_database(settings.curated_url, "curated")
        self.registry = Registry(self.curated, settings.data_dir)

    @contextmanager
    def device(self) -> Iterator[None]:
        """The machine's one accelerator (or its processor, which is no better shared), for one task at a time.

        A lock of the operating system's: it goes with the process that holds it, however that ends.
        """
        make_directory(self.settings.cache_dir)
        with (self.settings.cache_dir / "device.lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                self.notify(f"waiting for the device, which process {file.read() or 'unknown'} has", 0, None)
                fcntl.flock(file, fcntl.LOCK_EX)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def packages_of(self, repositories: Sequence[str]) -> list[Path]:
        """Where the packages of repositories lie, by the campaigns that ran on them last.

        Raises EvaluationError if one is not known here, or not there any more.
        """
        places = {read_package(path).manifest.name: path for path in self.known_packages()}
        if missing := sorted(set(repositories) - set(places)):
            raise EvaluationError(
                f"the packages of {', '.join(missing)} are not known here; run a gold campaign on them"
            )
        return [places[name] for name in repositories]

    def known_packages(self) -> list[Path]:
        """Packages that campaigns ran on and that are still there, those of the latest runs last."""
        runs = table_of(CampaignRun)
        with reading(self.raw_engine) as connection:
            found = connection.scalars(select(runs.c.packages).order_by(runs.c.started_at))
            paths = [Path(path) for packages in found for path in packages]
        latest = list(dict.fromkeys(reversed(paths)))
        return [path for path in reversed(latest) if (path / MANIFEST).exists()]

    def require_reserved(self, repositories: Sequence[str]) -> None:
        """Raise GuardrailError if a repository is not reserved for evaluation."""
        if loose := sorted(set(repositories) - set(reserved(self.curated))):
            raise GuardrailError(
                guardrails.HELD_OUT,
                f"{', '.join(loose)} is not reserved for evaluation; whole runs are judged on reserved repositories: "
                f"cra eval-sets reserve {loose[0]} --reason TEXT",
            )

    def require_reserved_packages(self, packages: Sequence[Path]) -> None:
        """Raise GuardrailError if a package's repository is not reserved for evaluation."""
        self.require_reserved([read_package(path).manifest.name for path in packages])

    def subject(self, base: Base, adapter: AdapterVersion | None) -> Subject:
        """A base, with an adapter or alone, as evaluations name it."""
        if adapter is None:
            return Subject(name=base.name, base=base.id)
        return Subject(name=adapter.name, base=base.id, adapter=adapter.id)


@task(
    task_run_name="curate {label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def curate_dataset(label: str, context: TrainingContext, request: CurationRequest) -> Curated:
    """Make a dataset; the same runs and settings make the same one, which is stored once."""
    return curate(
        context.raw, context.curated, request, lambda step: context.notify(f"curate {label}: {step}", 0, None)
    )


@task(
    task_run_name="evaluate {label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def evaluate_subject(
    label: str, context: TrainingContext, evaluation_set: EvaluationSet, base: Base, adapter: AdapterVersion | None
) -> Evaluation:
    """Have a base, with an adapter or alone, answer a frozen set; a finished evaluation is found, not repeated."""
    subject = context.subject(base, adapter)
    terms, answerer = _answering(context, evaluation_set, base, adapter)
    settings = settings_of(terms)
    if (found := find_evaluation(context.raw_engine, evaluation_set.id, subject, settings)) is not None:
        context.notify(f"evaluate {label}: done before", 1, 1)
        return found
    with context.device():
        context.notify(f"evaluate {label}", 0, None)
        return score_once(
            context.raw_engine,
            evaluation_set,
            answerer(),
            subject,
            settings,
            context.settings.data_dir / "evaluations",
            lambda done, total: context.notify(f"evaluate {label}", done, total),
        )


def _answering(
    context: TrainingContext, evaluation_set: EvaluationSet, base: Base, adapter: AdapterVersion | None
) -> tuple[AnsweringTerms, Callable[[], Answerer]]:
    """The terms of an evaluation, and how to get who answers: loading weights waits until it is known to be needed."""
    from training.cycle.served import examiner, served_answerer, served_terms

    thinking = context.settings.training.thinking
    if name := examiner(context.settings, base, evaluation_set.target):
        [stage] = evaluation_set.target.stages
        terms = served_terms(context.settings, name, base, stage)
        return terms, lambda: served_answerer(context.settings, name, context.curated, base, adapter, stage)
    from training.cycle.local_answers import LocalAnswerer, local_terms

    directory = adapter.path if adapter else None
    return (
        local_terms(base.path, thinking),
        lambda: LocalAnswerer(base.path, base.name, directory, thinking=thinking),
    )


class FinishedTraining:
    """A finished training as the database has it. Plain, like `TrainingContext`."""

    def __init__(self, plan: str, adapter_dir: Path, run: TrainingRun) -> None:
        self.plan, self.adapter_dir, self.run = plan, adapter_dir, run


@task(
    task_run_name="train {label}",
    retries=1,
    retry_delay_seconds=RETRY_DELAYS[0],
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def train_adapter(label: str, context: TrainingContext, order: TrainingJob) -> FinishedTraining:
    """Carry out a training, unless it is finished; one that was stopped goes on from its last checkpoint."""
    out = context.settings.data_dir / "trainings" / order.id
    if (found := find_training(context, order.id)) is not None and order.is_result(Path(found.path)):
        context.notify(f"train {label}: done before", 1, 1)
        return FinishedTraining(order.id, Path(found.path), found)
    _keep_plan(context, order)
    # Once more: from here on, nobody can reserve what is about to be trained on.
    guardrails.check_held_out(
        list(order.card.repositories), list(reserved_repositories(context.curated, context.raw_engine))
    )
    with context.device():
        context.notify(f"train {label}", 0, None)
        fit = order.fit(out, lambda progress: context.notify(f"train {label}", progress.step, progress.steps))
    texts = Texts()
    run = TrainingRun(
        plan_id=order.id,
        adapter=order.result_hash(fit.adapter_dir),
        path=str(fit.adapter_dir),
        backend=fit.backend,
        steps=fit.steps,
        tokens=fit.tokens,
        seconds=fit.seconds,
        metrics={
            "loss": fit.losses[-1] if fit.losses else None,
            "validation": fit.eval_losses[-1][1] if fit.eval_losses else None,
            "best_step": fit.best_step,
            "rows": fit.rows,
            "too_long": fit.too_long,
            "micro_batch": fit.micro_batch,
        },
        losses_hash=texts.add((out / "losses.jsonl").read_text()),
    )
    with writing(context.raw_engine, texts) as connection:
        add(connection, run)
    return FinishedTraining(order.id, fit.adapter_dir, find_training(context, order.id) or run)


def find_training(context: TrainingContext, plan: str) -> TrainingRun | None:
    """The finished training of a plan, or None."""
    table = table_of(TrainingRun)
    with reading(context.raw_engine) as connection:
        row = connection.execute(table.select().where(table.c.plan_id == plan)).mappings().one_or_none()
    return None if row is None else TrainingRun(**row)


def _keep_plan(context: TrainingContext, order: TrainingJob) -> None:
    row = TrainingPlan(
        id=order.id,
        stage=order.target.value,
        source=order.source,
        base=order.base.id,
        dataset_id=order.dataset_id,
        config=order.config,
    )
    with writing(context.raw_engine) as connection:
        add(connection, row)


def evaluation_ids(baseline: Evaluation, adapter: str) -> list[str]:
    """The keys of a baseline and of a challenger's evaluation on the same terms, which may still be to come; `adapter`
    is the challenger's hash."""
    challenger = Subject(name="", base=baseline.subject.base, adapter=adapter)
    return [evaluation_id(baseline.set_id, who, dict(baseline.settings)) for who in (baseline.subject, challenger)]
