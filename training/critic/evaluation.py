"""A critic judged on repositories that it was not trained on, beside its base and the baselines."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from evals.critic.cues import fit_cues
from evals.critic.figures import CriticReport, critic_report
from evals.critic.judging import Critic, KeptCritic, judge
from evals.critic.selection import choose
from models.comparisons import Part
from models.errors import GuardrailError, UsageError
from models.settings import Settings
from models.training import TrainingTarget
from store.learning.adapters import AdapterVersion
from training.bases.bases import Base, find_base, list_bases
from training.critic.data import CriticData, require
from training.critic.model import CriticModel
from training.cycle import guardrails
from training.cycle.context import TrainingContext

FOLDER = "critic"
"""Folder in cache_dir with the answers of critics."""


@dataclass(frozen=True)
class CriticTrial:
    """What is judged: how many comparisons (None: all) of which part, drawn by a seed; `trained_on` are repositories
    that one of the critics has seen."""

    part: Part = Part.HELD_OUT
    comparisons: int | None = None
    seed: int = 0
    trained_on: tuple[str, ...] = ()


def find_critic(context: TrainingContext, name: str) -> tuple[CriticModel, AdapterVersion]:
    """A registered critic, ready to be asked. Raises UsageError for an adapter of another target, RegistryError for one
    that is unknown or not intact."""
    version = context.registry.verify(name)
    if version.target is not TrainingTarget.CRITIC:
        raise UsageError(
            f"{version.name} answers {version.target.value}, and is no critic; name one of `cra critic train`"
        )
    base = find_base(context.curated, version.base)
    return CriticModel(context.settings, base, version.name, version.path, version.id), version


def find_asked(context: TrainingContext, name: str) -> tuple[CriticModel, tuple[str, ...]]:
    """A critic by its name, or a base by its own, as it is, and the repositories that it was trained on. Raises
    UsageError, RegistryError as `find_critic` does."""
    if any(base.name == name for base in list_bases(context.curated)):
        return untrained_critic(context.settings, find_base(context.curated, name)), ()
    critic, version = find_critic(context, name)
    return critic, tuple(version.metrics["repositories"])


def require_unseen(repositories: Collection[str], trained_on: Collection[str]) -> None:
    """Raise GuardrailError if a critic was trained on one of the repositories: it has seen what their commits did."""
    seen = sorted(set(repositories) & set(trained_on))
    if seen:
        raise GuardrailError(
            guardrails.HELD_OUT, f"the critic was trained on {', '.join(seen)}; ask it about other repositories"
        )


def untrained_critic(settings: Settings, base: Base) -> CriticModel:
    """A base as it is, asked as a critic would be."""
    return CriticModel(settings, base)


def evaluate_critics(
    context: TrainingContext,
    critics: Sequence[Critic],
    trial: CriticTrial,
    data: CriticData,
    progress: Callable[[str, int, int], None],
) -> CriticReport:
    """Ask critics about comparisons in both orders; the first critic is compared with the others and the baselines,
    which are fitted on the training part.

    Answers are kept as they are given, so that a stopped evaluation goes on. Raises TrainingError for an empty part,
    GuardrailError where a repository of the part was trained on, and what a critic raises.
    """
    chosen = choose(data.by_part[trial.part], trial.part, trial.comparisons, trial.seed)
    require(chosen, trial.part, data)
    require_unseen({each.repository for each in chosen}, trial.trained_on)
    cues = fit_cues(data.by_part[Part.TRAINING])
    folder = context.settings.cache_dir / FOLDER
    judged = {
        critic.name: judge(KeptCritic(critic, folder), chosen, partial(progress, critic.name)) for critic in critics
    }
    return critic_report(trial.part.value, chosen, judged, cues, data.collections, data.left_out)
