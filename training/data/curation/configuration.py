"""What a dataset was asked for, as its card has it: its identity beside its files."""

from typing import Any

from agent.prompts import REVISION
from models.curation_settings import CurationRequest, CurationSettings
from store.runs import RawStore
from training.data.curation.advice import read_advice
from training.data.curation.rounds import EarlierRound
from training.data.sources import StoredExamples


def configuration(
    asked: CurationRequest, before: list[EarlierRound], harvest: StoredExamples, raw: RawStore
) -> dict[str, Any]:
    """The configuration of a dataset, including overridden rules."""
    past = {
        name: value
        for name, value in (
            ("min_organisations", asked.min_organisations),
            ("max_domain_share", asked.max_domain_share),
        )
        if value is not None
    }
    return {
        "settings": _stated(asked.settings),
        "campaigns": sorted(harvest.campaigns) if asked.campaigns or asked.plan else [],
        "plan": read_advice(raw, asked.plan)[0] if asked.plan else None,
        "base": asked.base,
        "windows": {stage.value: asked.window(stage) for stage in asked.target.stages},
        "max_prompt_tokens": asked.max_prompt_tokens,
        "limit": asked.limit,
        "earlier": [each.dataset for each in before],
        "overrides": past,
        "templates": REVISION,
    } | ({"sources": sorted(asked.sources)} if asked.sources else {})


def _stated(settings: CurationSettings) -> dict[str, Any]:
    """Settings for a card. Newer ones at their default are left out, so that datasets made before keep their ids."""
    usual = CurationSettings()
    newer = {name for name in ("direct_weight", "direct_share") if getattr(settings, name) == getattr(usual, name)}
    return settings.model_dump(mode="json", exclude=newer)
