"""`cra outsource accept`: a returned folder becomes a candidate, or is refused with the first fault.

    checked bytes, staged -> our base, dataset and job -> weights against base and recipe -> a sample computed again
                          -> kept, on record as a training -> registered (nothing serves: the gate decides as ever)

A kill leaves a staged copy, which the next call removes, or a training on record, which the same call registers.
"""

from pathlib import Path
from typing import Any

from exchange.outsource import layout
from exchange.outsource.agreement import LEAST, Agreement, check_agreement
from exchange.outsource.content import check_content, fitted_here, trained_in
from exchange.outsource.layout import PackManifest
from exchange.outsource.lineage import Lineage, find_lineage
from exchange.outsource.packing import RECORDS, job_config
from exchange.outsource.verifying import stage_returned
from host.locks import process_lock
from host.private import private_directory
from host.throwaway import discard, throwaway
from models.class_bias import CLASS_BIAS
from models.errors import UsageError
from models.plans import Frozen
from store.learning.trainings import FinishedTraining, find_training, store_training, store_training_job
from training.adapters.registry.base_registry import BaseRegistry
from training.adapters.registry.weights import content_hash
from training.bases.files import hash_file, hash_files
from training.cycle.context import TrainingContext
from training.cycle.lifecycle import STATED
from training.cycle.trainings import finished_training
from training.fit.curve import draw_losses
from training.fit.job import FIT_VERSION
from training.fit.result import Fit

STATED_ELSEWHERE = "stated_elsewhere"
"""The key of figures that the other machine stated, in a training's record and in an adapter's metrics."""
_STAGED = ".accepting-"


class Accepted(Frozen):
    """What was registered: the name, hash and folder of an adapter or a base, and how far the computations agreed."""

    name: str
    id: str
    folder: Path
    job: str
    pack: str
    agreement: Agreement


def accept(context: TrainingContext, folder: Path, *, dataset: Path | None = None, sample: int = LEAST) -> Accepted:
    """Check a returned folder, and register what it holds as a candidate. Idempotent for the same folder.

    `dataset`: our copy of the dataset, where it is not in its usual place. Raises UsageError, RegistryError,
    TrainingError, EvaluationError or GuardrailError with the first fault, and registers nothing then.
    """
    root = private_directory(context.settings.data_dir / RECORDS)
    with process_lock(root / ".lock", lambda holder: context.notify(f"waiting for process {holder}", 0, None)):
        for left in root.glob(f"{_STAGED}*"):
            discard(left)
        with throwaway(_STAGED, root) as staged:
            context.notify("checking files", 0, None)
            pack = stage_returned(context, folder, staged)
            ours = find_lineage(context, pack, dataset)
            context.notify("checking weights", 0, None)
            fit = check_content(pack, ours.base, ours.card, staged)
            context.notify("computing a sample again", 0, None)
            with context.device():
                agreement = check_agreement(context, pack, ours.base, fit, staged, ours.dataset, sample)
            kept = _kept(context, pack, ours, fit, staged, root / pack.id)
            return _registered(context, pack, ours, kept, agreement)


def _kept(
    context: TrainingContext, pack: PackManifest, ours: Lineage, fit: Fit, staged: Path, place: Path
) -> FinishedTraining:
    """The training on record, with the staged folder in its place. Raises UsageError if the job has another result."""
    result = _result(pack, fit.adapter_dir)
    known = find_training(context.raw_engine, pack.job)
    if known is None:
        discard(place)  # of a call that was killed before it was on record
        with context.device():
            fit = fitted_here(pack, ours.base, fit, ours.dataset)
        draw_losses(staged / layout.LOSSES, staged / "loss.svg")
        staged.rename(place)
        sources = "+".join(sorted(ours.card.sources))
        store_training_job(
            context.raw_engine, pack.job, pack.target, sources, ours.base.id, ours.card.id, job_config(pack)
        )
        done = finished_training(pack.job, result, fit)
        done = done._replace(path=trained_in(pack, place), metrics=_apart(done.metrics))
        known = store_training(context.raw_engine, done, (place / layout.LOSSES).read_text())
    if known.result != result:
        raise UsageError(
            f"training {pack.job[:12]} is on record with weights {known.result[:12]} (in {known.path}), and weights "
            f"{result[:12]} came back; pack again with another training.seed"
        )
    if (found := _result(pack, known.path)) != known.result:
        raise UsageError(
            f"{known.path} was altered since it was accepted: its hash is {found[:12]}, and {known.result[:12]} is on "
            "record; restore it from a copy, or pack again"
        )
    return known


def _registered(
    context: TrainingContext,
    pack: PackManifest,
    ours: Lineage,
    kept: FinishedTraining,
    agreement: Agreement,
) -> Accepted:
    if not pack.adapter:
        assert pack.role is not None, "a pack of a whole base names its role"
        base = BaseRegistry(context.curated, context.settings.data_dir).register(
            kept.path,
            pack.role,
            ours.base,
            dataset=ours.card.id,
            datasets=(),
            job=pack.job,
            config={
                "backend": pack.backend,
                "elsewhere": _elsewhere(pack, kept),
                **pack.recipe.model_dump(mode="json", include=STATED | {"watch"}),
            },
            code_revision=FIT_VERSION,
        )
        return Accepted(name=base.name, id=base.id, folder=base.path, job=pack.job, pack=pack.id, agreement=agreement)
    metrics = kept.metrics | {"elsewhere": agreement.model_dump(mode="json")}
    config = {
        "backend": pack.backend,
        "methods": pack.method,
        "elsewhere": _elsewhere(pack, kept),
        **pack.recipe.model_dump(mode="json", include=STATED),
        **{name: value for name, value in kept.metrics.items() if name == CLASS_BIAS},
    }
    version = context.registry.register(
        kept.path,
        pack.target,
        ours.base.id,
        ours.card.id,
        pack.job,
        metrics,
        config,
        FIT_VERSION,
        parents=ours.card.rounds.earlier,
    )
    return Accepted(
        name=version.name, id=version.id, folder=version.path, job=pack.job, pack=pack.id, agreement=agreement
    )


def _elsewhere(pack: PackManifest, kept: FinishedTraining) -> dict[str, object]:
    return {"pack": pack.id, "trainer": pack.format, "steps_stated": kept.steps}


def _apart(metrics: dict[str, Any]) -> dict[str, Any]:
    """The figures of a training: what was computed here, and apart from that what came back and nobody checked."""
    ours = {name: value for name, value in metrics.items() if name == CLASS_BIAS}
    return ours | {STATED_ELSEWHERE: {name: value for name, value in metrics.items() if name != CLASS_BIAS}}


def _result(pack: PackManifest, trained: Path) -> str:
    """The hash of what was trained, as a training here records it."""
    if pack.adapter:
        return content_hash(trained)
    return hash_files({file.name: hash_file(file) for file in sorted(trained.glob("*.safetensors"))})
