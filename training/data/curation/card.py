"""A dataset's card, as data (`card.json`) and as text (`card.md`)."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from models.plans import Frozen
from models.training import PairSource, TrainingTarget
from training.data.curation.examples import Example
from training.data.sources.funnel import FunnelRow

MACHINE, PEOPLE, SFT, DPO = "card.json", "card.md", "sft.jsonl", "dpo.jsonl"
CRITIC = "critic.jsonl"
"""Comparisons of two changes, with the verdict that a critic should give: no part of what the target is trained on."""


class Rounds(Frozen):
    """New and replayed parts of a dataset: `earlier` datasets were trained on, `pool` counts their candidates. With
    `whole` the whole pool is included, within limits and balance, instead of a replay."""

    earlier: tuple[str, ...] = ()
    pool: int = 0
    new: int = 0
    replayed: int = 0
    whole: bool = False


class MixedRow(Frozen):
    """What became of one source of a mix: examples offered, kept (replayed ones included), and why all others were
    dropped; tokens and licences are of those kept."""

    source: PairSource
    offered: int
    kept: int
    tokens: int
    licenses: dict[str, int]
    dropped: dict[str, int]


class Card(Frozen):
    """`card.json`. Counts are of pairs and preferences together, except in `examples` and `classes`. `mixed` is empty
    for a dataset that no mix made."""

    id: str
    target: TrainingTarget
    examples: dict[str, int]
    sources: dict[str, int]
    stages: dict[str, int]
    classes: dict[str, int]
    repositories: dict[str, int]
    organisations: dict[str, int]
    domains: dict[str, int]
    licenses: dict[str, int]
    planners: dict[str, int]
    tokens: dict[str, int]
    rounds: Rounds
    funnel: tuple[FunnelRow, ...]
    preference_funnel: tuple[FunnelRow, ...]
    files: dict[str, str]
    config: dict[str, Any]
    templates: str
    window: int
    mixed: tuple[MixedRow, ...] = ()

    def to_json(self) -> str:
        """The text of `card.json`; the same card gives the same bytes."""
        content = self.model_dump(mode="json")
        if not self.mixed:  # as cards were before there were mixes
            del content["mixed"]
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        """The text of `card.md`."""
        lines = [f"# {self.target.value}-{self.id[:12]}", "", *_summary(self), ""]
        if self.mixed:
            lines += ["## Sources of the mix", "", "| source | offered | kept | tokens | licences | why not |"]
            lines += ["|---|---:|---:|---:|---|---|"]
            lines += [f"| {' | '.join(map(str, mixed_cells(row)))} |" for row in self.mixed] + [""]
        for name, funnel in (("examples", self.funnel), ("preferences", self.preference_funnel)):
            if funnel:
                lines += [f"## Why what was dropped: {name}", "", "| step | kept | dropped |", "|---|---:|---:|"]
                lines += [f"| {step} | {kept} | {dropped} |" for step, kept, dropped in funnel] + [""]
        for title, counts in (
            ("Repositories", self.repositories),
            ("Organisations", self.organisations),
            ("Domains", self.domains),
            ("Licences", self.licenses),
            ("Planners", self.planners),
            ("Stages", self.stages),
            ("Classes", self.classes),
        ):
            if counts:
                lines += [f"## {title}", "", "| | |", "|---|---:|", *(f"| {k} | {n} |" for k, n in counts.items()), ""]
        lines += ["## Files and configuration", "", "```json"]
        lines += [json.dumps({"files": self.files, "config": self.config}, indent=1, sort_keys=True), "```", ""]
        return "\n".join(lines)


def mixed_cells(row: MixedRow) -> tuple[object, ...]:
    """The cells of a source's row: source, offered, kept, tokens, licences, why not."""
    licenses = ", ".join(f"{name} {count}" for name, count in row.licenses.items())
    why = ", ".join(f"{reason} {count}" for reason, count in row.dropped.items())
    return (row.source.value, row.offered, row.kept, row.tokens, licenses, why)


def _summary(card: Card) -> list[str]:
    critic = f" Beside them, {card.examples['critic']} comparisons for a critic." if "critic" in card.examples else ""
    train, validation = card.examples["train"], card.examples["validation"]
    sources = ", ".join(f"{count} {name}" for name, count in card.sources.items())
    rounds = card.rounds
    return [
        f"{card.examples['sft']} examples ({train} to train on, {validation} to validate with) and "
        f"{card.examples['dpo']} preferences for {card.target.value}: {sources}.{critic}",
        "",
        f"Prompts are as long as {card.tokens['longest_prompt']} tokens, with their answers {card.tokens['longest']}, "
        f"all together {card.tokens['total']} (counted by {card.config['counter']}; window {card.window}). "
        f"Templates {card.templates}.",
        "",
        f"Of the examples and preferences, {rounds.new} are new and {rounds.replayed} come from "
        f"{len(rounds.earlier)} earlier rounds, whose pool holds {rounds.pool}.",
    ]


def counted(examples: Sequence[Example], key: Callable[[Example], str]) -> dict[str, int]:
    """Counts of examples by key, the largest first."""
    counts = Counter(key(example) for example in examples)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
