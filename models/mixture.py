"""A mixture: which datasets a base's full fine-tune is made of, and how much each objective has of it (`mix.toml`)."""

from pydantic import Field, model_validator

from models.errors import UsageError
from models.objectives import Objective
from models.plans import Frozen

_LEAST = 1e-9
"""A share below this is a rounding error."""


class MixedObjective(Frozen):
    """How much one objective has. share: of the rows that are trained on; unset: a part of what the others leave, by
    its rows. cap: most rows of it in the mixture, an effectively random sample."""

    share: float | None = Field(None, gt=0, le=1)
    cap: int | None = Field(None, ge=1)


class MixtureSettings(Frozen):
    """A mixture. `datasets` are curated ones, by directory or by their name in the data directory. `objectives`: those
    trained on; empty: all that the datasets have, by their rows. `seed`: of the samples under a cap."""

    datasets: tuple[str, ...] = Field(min_length=1)
    objectives: dict[Objective, MixedObjective] = Field(default_factory=dict)
    seed: int = Field(42, ge=0)

    @model_validator(mode="after")
    def _window_has_no_rows(self) -> "MixtureSettings":
        if self.objectives.get(Objective.WINDOW, MixedObjective()) != MixedObjective():
            raise ValueError("the objective window has no rows of its own, so it takes neither share nor cap")
        return self

    @model_validator(mode="after")
    def _shares_can_be_kept(self) -> "MixtureSettings":
        shares = [each.share for name, each in self.objectives.items() if name is not Objective.WINDOW]
        stated = sum(share or 0 for share in shares)
        if stated > 1 + _LEAST:
            raise ValueError(f"the shares of the objectives sum to {stated:.2f}, more than 1")
        if shares and None not in shares and stated < 1 - _LEAST:
            raise ValueError(f"the shares sum to {stated:.2f}, and a mixture needs 1; raise one, or leave one out")
        if None in shares and stated > 1 - _LEAST:
            raise ValueError("the shares sum to 1, so that objectives without a share would get nothing")
        return self


def shares_of(settings: MixtureSettings, rows: dict[Objective, float]) -> dict[Objective, float]:
    """The share of each objective that has rows (by weight), summing to 1: stated ones, and what they leave divided by
    rows among the others. Raises UsageError naming the first objective that would get nothing."""
    stated = {each: settings.objectives[each].share for each in rows if each in settings.objectives}
    fixed = {each: share for each, share in stated.items() if share is not None}
    free = {each: count for each, count in rows.items() if each not in fixed}
    left = 1 - sum(fixed.values())
    if free and (left < _LEAST or not all(free.values())):
        name = next(each for each in sorted(free) if left < _LEAST or not free[each])
        raise UsageError(
            f"objective {name.value} would get nothing of the mixture: the stated shares sum to {1 - left:.2f}, and it "
            f"has {rows[name]:g} rows by weight; state its share, or leave it out of the objectives"
        )
    shares = fixed | {each: left * count / sum(free.values()) for each, count in free.items()}
    total = sum(shares.values())
    return {each: shares[each] / total for each in sorted(shares)}
