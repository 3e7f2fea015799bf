"""Settings of curation: which answers are trained on, and how a dataset is mixed."""

from pydantic import Field

from models.mix import MixSettings
from models.plans import Frozen
from models.protocols import Stage
from models.tokens import WINDOWS
from models.training import PairSource, TrainingTarget


class CurationSettings(Frozen):
    """The rules by which runs become datasets. A weight of 0 excludes the examples that it is for."""

    min_organisations: int = Field(5, ge=1, description="organisations that a dataset's repositories must come from")
    max_domain_share: float = Field(0.2, gt=0, le=1, description="most that one domain may have of a dataset")
    lucky_alignment: float = Field(
        0.5, ge=0, le=1, description="alignment below which a pass without the commit's own tests counts as lucky"
    )
    lucky_weight: float = Field(0.0, ge=0, le=1, description="weight of answers of a lucky pass")
    unjudged_weight: float = Field(
        0.0, ge=0, le=1, description="weight of answers of a solve that broke no test, which no hidden test judged"
    )
    least_score: float = Field(
        0.7, ge=0, le=1, description="lowest teacher score of a student's answer, where a teacher scored it"
    )
    scored_weight: float = Field(
        0.5, ge=0, le=1, description="weight of answers of a solve that a teacher judged, but no hidden test"
    )
    direct_weight: float = Field(
        0.5, ge=0, le=1, description="weight of pairs synthesized from commits without any test run"
    )
    direct_share: float = Field(
        1.0, gt=0, le=1, description="most that such pairs may have of a dataset that has others as well"
    )
    generated_weight: float = Field(0.8, gt=0, le=1, description="weight of a pass that generated tests judged")
    near_duplicate: float = Field(0.9, gt=0, le=1, description="similarity from which two examples count as one")
    ngram: int = Field(13, ge=5, description="words in a row that mark a task as one of an evaluation set")
    overlap: float = Field(
        0.2, gt=0, le=1, description="share of an evaluation item's word runs from which a prompt counts as its copy"
    )
    replay: float = Field(0.15, ge=0.1, le=0.2, description="share of examples of earlier rounds in a new dataset")
    uniform_share: float = Field(
        0.2, ge=0, le=1, description="most examples of scope and precision that have only the commonest class"
    )
    seeking_share: float = Field(
        0.5, ge=0, le=1, description="most examples of scope and precision with nothing to find"
    )
    stage_share: float = Field(0.4, ge=0.25, le=1, description="most that one stage may have of a planning dataset")
    validation: float = Field(0.1, gt=0, lt=0.5, description="share of examples kept for validation")
    preferences_per_prompt: int = Field(4, ge=1, description="preferences made of one prompt")
    both_orders: bool = Field(True, description="also make comparisons of code before and after a commit, for a critic")
    judging_weight: float = Field(0.25, gt=0, le=1, description="weight of a comparison of `both_orders`")


class CurationRequest(Frozen):
    """One request for a curation.

    `campaigns` are labels or ids, none: all. `windows` override the usual windows of the stages, in tokens.
    `min_organisations` and `max_domain_share` override the settings' rules, on record. `limit` is of examples (and of
    preferences), `max_prompt_tokens` of each prompt. `sources` are those of the pairs, none: all; a `mix` has its
    own. With `whole_pool` all
    earlier examples are included, rather than a replay of some.
    """

    target: TrainingTarget
    data_dir: str
    settings: CurationSettings = CurationSettings()
    campaigns: tuple[str, ...] = ()
    sources: tuple[PairSource, ...] = ()
    mix: MixSettings | None = None
    base: str | None = None
    plan: str | None = None
    windows: dict[Stage, int] = Field(default_factory=dict)
    max_prompt_tokens: int | None = None
    limit: int | None = None
    min_organisations: int | None = None
    max_domain_share: float | None = None
    whole_pool: bool = False
    dry_run: bool = False

    def window(self, stage: Stage) -> int:
        """Tokens that a stage's prompt may have, answer included."""
        return self.windows.get(stage, WINDOWS[stage])
