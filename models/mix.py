"""A mix: which sources a dataset is made of, how much of each, and in which order (`mix.toml`)."""

from typing import Literal

from pydantic import Field, model_validator

from models.plans import Frozen
from models.training import PairSource

LearningOrder = Literal["usual", "random", "easy-to-hard", "hard-to-easy"]


class MixedSource(Frozen):
    """One source of a mix.

    share: most of the dataset that it may have. cap: most examples of it, an effectively random sample of all, and most
    preferences. weight: multiplies the weights of its examples. collections: the folders of `collections/` to read, by
    name; unset: the only one of this source. A source of runs on record (harness, ...) has no collections.
    """

    share: float | None = Field(None, gt=0, le=1)
    cap: int | None = Field(None, ge=1)
    weight: float = Field(1.0, gt=0, le=1)
    collections: tuple[str, ...] = ()


class MixSettings(Frozen):
    """A mix. `sources` come first to last: an example that two of them have counts as the first's.

    order: of the dataset's file: usual (see `in_learning_order`), or by the tokens of an example. replay: share of
    examples of earlier rounds, in place of the settings' own.
    """

    sources: dict[PairSource, MixedSource] = Field(min_length=1)
    order: LearningOrder = "usual"
    replay: float | None = Field(None, ge=0.1, le=0.2)

    @model_validator(mode="after")
    def _shares_can_be_kept(self) -> "MixSettings":
        shares = [each.share for each in self.sources.values()]
        total = sum(share or 0 for share in shares)
        if None not in shares and total < 1 - 1e-9:
            raise ValueError(
                f"the shares sum to {total:.2f}, and a dataset needs 1; raise one, or leave one out to let it fill up"
            )
        return self
