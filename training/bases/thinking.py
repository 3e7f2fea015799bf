"""Whether a base thinks before it answers: decided here once, for training, evaluation and serving.

Two settings bear on it: `training.thinking`, and `thinking` of each endpoint that answers for the base. An adapter that
was trained one way answers worse the other way, so that where they differ nothing is trained or evaluated.
"""

from models.errors import TrainingError
from models.settings import Settings
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat

_SHOWN = {True: "on", False: "off", None: "unset"}


def base_thinks(settings: Settings, base: Base, target: TrainingTarget) -> bool | None:
    """What is passed to the base's chat template as `enable_thinking` for a target; None: nothing, so that the template
    decides, as on a server that is told nothing.

    A setting that is not made follows one that is. Raises TrainingError, with the remedy, where two differ in what the
    template makes of them; UsageError for an unusable base.
    """
    named = _endpoints(settings, base, target)
    found = [("training.thinking", settings.training.thinking)]
    found += [(f"models.endpoints.{name}.thinking", settings.models.endpoint(name).thinking) for name in named]
    made = [(name, value) for name, value in found if value is not None]
    if not made:
        return None
    decided = made[0][1]
    if all(value == decided for _, value in found[1:]):
        return decided
    default = ChatFormat.load(base.path).default_thinking
    if default is None:  # the template has no such switch
        return decided
    for name, value in found[1:]:
        if (default if value is None else value) != decided:
            where, chosen = made[0]
            raise TrainingError(
                f"base {base.name}: {where} is {_SHOWN[chosen]} and {name} is {_SHOWN[value]}, which means "
                f"{_SHOWN[default if value is None else value]} for this base; set both to the same, or what is "
                f"trained for {target.value} is served otherwise"
            )
    return decided


def training_settings(settings: Settings, base: Base, target: TrainingTarget) -> TrainingSettings:
    """The settings of a training, thinking decided. Raises as `base_thinks` does."""
    return settings.training.model_copy(update={"thinking": base_thinks(settings, base, target)})


def _endpoints(settings: Settings, base: Base, target: TrainingTarget) -> list[str]:
    """The endpoints that answer for the base: the student's for the target, and that of evaluations."""
    names = dict.fromkeys([str(getattr(settings.models.roles, target.role)), settings.training.endpoint])
    known = {*settings.models.endpoints, str(getattr(settings.models.roles, target.role))}
    return [n for n in names if n in known and settings.models.endpoint(n).base in (base.name, base.id)]
