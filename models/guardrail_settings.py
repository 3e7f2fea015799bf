"""Settings of the guardrails of self-improvement. Their sources are in docs/training.md."""

from pydantic import Field

from models.plans import Frozen


class GuardrailSettings(Frozen):
    """Limits of self-improvement. Loosening one should be visible in the settings."""

    replay_least: float = Field(0.10, ge=0, le=1, description="share of a dataset from earlier rounds, at least")
    replay_most: float = Field(0.20, ge=0, le=1, description="share of a dataset from earlier rounds, at most")
    rounds: int = Field(2, ge=1, description="rounds of self-improvement before a repository unseen in them is needed")
    small_base: float = Field(6e9, gt=0, description="parameters below which a base needs others' answers too")
    teacher_share: float = Field(
        0.25, ge=0, le=1, description="share of a small base's examples from a teacher or gold, at least"
    )
    pass_at_k_margin: float = Field(
        0.05, ge=0, le=1, description="how far pass@k may fall where pass@1 does not: guards against loss of diversity"
    )
    end_to_end_margin: float = Field(
        0.02, ge=0, le=1, description="how far the whole pipeline's pass rate may fall before a promotion is undone"
    )
    end_to_end_alpha: float = Field(
        0.20, gt=0, lt=1, description="one-sided p at which a fall of the whole pipeline counts as more than chance"
    )
    looks: int = Field(
        30, ge=1, description="rounds of the operation that share end_to_end_alpha, as each looks for a fall again"
    )
    steady_margin: float = Field(
        0.05, ge=0, le=1, description="how far the student's pass rate may fall between campaigns and count as steady"
    )
    steady_instances: int = Field(
        20, ge=1, description="instances that two campaigns of the student must share for that to be seen"
    )
    plateau_rounds: int = Field(
        2, ge=1, description="rounds without a promotion, or without a gain of whole runs, that may be a plateau"
    )
    plateau_gain: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="smallest gain that matters: a plateau needs evidence that there was none so large",
    )
    plateau_power: float = Field(
        0.80, gt=0, lt=1, description="power of a gate for such a gain, below which its silence shows no plateau"
    )
    forgetting_rise: float = Field(
        0.20, ge=0, description="most that a tuned base's loss may rise on general prompts, in nats per token"
    )
    forgetting_agreement: float = Field(
        0.70, ge=0, le=1, description="least share of the old base's own tokens that a tuned base would write as well"
    )
