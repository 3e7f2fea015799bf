"""Curation: from the raw database's runs to a dataset of one target.

    read -> not reserved -> not evaluated on -> fits the window -> no near-duplicates -> new | earlier
         -> domains and classes in balance -> limit -> replay of earlier ones -> train | validation -> files, card, row

Each step counts what it drops. The same runs, settings and rounds give the same bytes, in any order.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.prompts import REVISION
from evals.sets import all_sets, copy_of_reserved, reserved, reserved_repositories
from llm.tokens import TextCounter
from models.curation_settings import CurationRequest
from models.errors import CleanRoomError, GuardrailError, TrainingError
from models.training import Pair, Preference
from store.learning.datasets import CONSIDERED, add_dataset
from store.runs import RawStore, sha256
from training.bases.bases import find_base
from training.data.curation.advice import read_advice
from training.data.curation.balance import check_classes, check_spread, class_counts
from training.data.curation.blending import TOO_LONG, Blend, blend
from training.data.curation.card import Card, Rounds, counted
from training.data.curation.configuration import configuration
from training.data.curation.contamination import REASONS, HeldOut
from training.data.curation.counting import counter_of
from training.data.curation.duplicates import without_near_duplicates
from training.data.curation.examples import Example, examples_of, is_comparison
from training.data.curation.mixing import Mix, domain_share, mix, organisations, parted
from training.data.curation.rounds import EarlierRound, before_this, earlier_rounds
from training.data.curation.splitting import by_repository, group_of, in_learning_order, splits
from training.data.curation.writing import dataset_id, hashed, lines_of, write_dataset
from training.data.sources import Funnel, StoredExamples, read_pairs
from training.data.sources.reading import CLASSES

if TYPE_CHECKING:
    from store.database import Engine

CurationProgress = Callable[[str], None]
COPY = "copy of a reserved repository"


@dataclass(frozen=True)
class Curated:
    """The result of a curation. A dry run has no directory, and `refused` is the reason for a refusal.

    `trained`: a training already used this dataset, so there is nothing new.
    """

    dataset_dir: Path | None
    card: Card
    refused: CleanRoomError | None = None
    trained: bool = False


@dataclass(frozen=True)
class _Stock:
    """All candidate examples, with their source and the tokenizer that counted them."""

    pairs: list[Example]
    preferences: list[Example]
    harvest: StoredExamples
    counter: str
    considered: str
    blended: Blend | None


class _Made(NamedTuple):
    """A dataset before it is written."""

    texts: tuple[str, str, str]
    card: Card
    refused: CleanRoomError | None


def curate(
    raw: RawStore, curated: "Engine", request: CurationRequest, progress: CurationProgress = lambda step: None
) -> Curated:
    """Make a dataset of a target; `progress` is called with each step.

    Raises GuardrailError for a broken rule, TrainingError without anything to learn, RegistryError for an unknown base,
    UsageError for an unknown campaign; in a dry run the first two are part of the result.
    """
    return Curation(raw, curated, request, progress).run()


@dataclass(frozen=True)
class Curation:
    raw: RawStore
    curated: "Engine"
    request: CurationRequest
    progress: CurationProgress

    def run(self) -> Curated:
        self.progress("reading runs")
        campaigns = self.request.campaigns
        if self.request.plan is not None and not campaigns:
            campaigns = read_advice(self.raw, self.request.plan)[1].campaigns
        harvest = read_pairs(self.raw, self.request.target, self.request.settings, campaigns)
        if self.request.sources:
            harvest = harvest.of(self.request.sources)
        counter, counted_by = counter_of(self.curated, self.request.base)
        blended = None
        if self.request.mix is not None:
            self.progress("reading collections")
            fits = partial(self._fits, counter)
            blended = blend(harvest, self.request.mix, Path(self.request.data_dir), fits)
            harvest = blended.examples
            if not self.request.dry_run:
                self.raw.register_contents(blended.contents)
        held = HeldOut(all_sets(self.curated), self.request.settings)
        copies = self._copies(blended)
        pairs = self.filtered("examples", examples_of(harvest.pairs, counter), held, harvest.funnel, copies)
        preferences = self.filtered(
            "preferences", examples_of(harvest.preferences, counter), held, harvest.preference_funnel, copies
        )
        meant = [e.id for e in (*pairs, *preferences) if not e.campaigns.isdisjoint(harvest.campaigns)]
        self.progress("mixing")
        stock = _Stock(pairs, preferences, harvest, counted_by, "\n".join(sorted(meant)), blended)
        base = None if self.request.base is None else find_base(self.curated, self.request.base).id
        rounds = earlier_rounds(self.raw, self.request.target, base)
        known = {each.dataset for each in rounds}
        made = self._round(stock, rounds, meant, known)
        if made.refused is not None and not self.request.dry_run:
            raise made.refused
        trained = made.card.id in known
        if self.request.dry_run:
            return Curated(None, made.card, made.refused, trained)
        self.progress("writing")
        directory = write_dataset(Path(self.request.data_dir), made.card, *made.texts)
        self._record(made.card, stock.considered)
        return Curated(directory, made.card, None, trained)

    def _round(self, stock: _Stock, rounds: list[EarlierRound], meant: list[str], known: set[str]) -> _Made:
        """The round from the stock after the earlier ones; an identical round that was trained on is returned as such.

        If nothing is new but the mixing settings differ, it is the whole pool again.
        """
        before = before_this(rounds, meant)
        made = self._mixed(stock, before, self.request)
        whole = self.request.model_copy(update={"whole_pool": True})
        for count in range(len(before) + 1, len(rounds) + 1):
            if made.card.id in known:
                break
            made = self._mixed(stock, rounds[:count], whole)
        return made

    def _mixed(self, stock: _Stock, before: list[EarlierRound], request: CurationRequest) -> _Made:
        harvest = replace(
            stock.harvest,
            funnel=stock.harvest.funnel.copy(),
            preference_funnel=stock.harvest.preference_funnel.copy(),
        )
        new, old = parted(stock.pairs, before, harvest.campaigns)
        refused = self._refusal([*new, *old] if request.whole_pool else new, harvest.funnel)
        mixed = partial(mix, before=before, campaigns=harvest.campaigns, request=request, capped=refused is None)
        sft = mixed(stock.pairs, funnel=harvest.funnel)
        dpo = mixed([e for e in stock.preferences if not is_comparison(e)], funnel=harvest.preference_funnel)
        comparisons = Funnel()
        critic = mixed([e for e in stock.preferences if is_comparison(e)], funnel=comparisons)
        refused = refused or self._refusal(sft.examples, harvest.funnel)
        facts: dict[str, Any] = {
            "counter": stock.counter,
            CONSIDERED: sha256(stock.considered),
            "whole_pool": request.whole_pool,
        }
        if stock.blended is not None:
            facts["mix"] = stock.blended.described(request.mix)
        texts, card = self.made(sft, dpo, critic, before, harvest, facts)
        if stock.blended is not None:
            both = [*sft.examples, *dpo.examples, *critic.examples]
            funnels = (harvest.funnel, harvest.preference_funnel, comparisons)
            card = card.model_copy(update={"mixed": stock.blended.table(both, funnels)})
        return _Made(texts, card, refused)

    def _fits(self, counter: TextCounter, item: Pair | Preference) -> bool:
        """Whether an example is no longer than the filters let pass."""
        [example] = examples_of([item], counter)
        most = self.request.max_prompt_tokens
        return (most is None or example.prompt_tokens <= most) and example.tokens <= self.request.window(item.stage)

    def _copies(self, blended: Blend | None) -> frozenset[str]:
        """The repositories of collections that are copies of reserved ones."""
        contents = [] if blended is None else blended.contents
        return frozenset(name for name, content in contents if copy_of_reserved(self.curated, self.raw.engine, content))

    def filtered(
        self,
        what: str,
        examples: list[Example],
        held: HeldOut,
        funnel: Funnel,
        known_copies: frozenset[str] = frozenset(),
    ) -> list[Example]:
        """Examples that pass all filters; those of `known_copies` of reserved repositories do not."""
        settings, most = self.request.settings, self.request.max_prompt_tokens
        self.progress(f"filtering {len(examples)} {what}")
        held_back = reserved(self.curated)
        copies = known_copies | reserved_repositories(self.curated, self.raw.engine).keys()
        examples = funnel.keep("reserved repository", examples, lambda e: e.provenance.repository not in held_back)
        examples = funnel.keep(COPY, examples, lambda e: e.provenance.repository not in copies)
        why = {e.id: held.why(e.provenance, e.item.messages) for e in examples}
        for reason in REASONS:
            examples = funnel.kept(reason, examples, [e for e in examples if why[e.id] != reason])
        if most is not None:
            shortest = min((example.prompt_tokens for example in examples), default=0)
            name = f"prompt over {most} tokens (the shortest has {shortest})"
            examples = funnel.keep(name, examples, lambda e: e.prompt_tokens <= most)
        examples = funnel.keep(TOO_LONG, examples, lambda e: e.tokens <= self.request.window(e.item.stage))
        self.progress(f"comparing {len(examples)} {what}")
        return funnel.kept("near-duplicate", examples, without_near_duplicates(examples, settings.near_duplicate))

    def _refusal(self, examples: list[Example], funnel: Funnel) -> CleanRoomError | None:
        """The error that forbids training on examples, or None."""
        try:
            if not examples:
                raise TrainingError(
                    f"there is nothing to train {self.request.target.value} on ({funnel.summary()}); "
                    "run a campaign that passes, `cra campaign PACKAGE --planner gold`, or ask for less"
                )
            check_spread(examples, organisations(self.request), domain_share(self.request))
            for stage in self.request.target.stages:
                check_classes(stage, examples, funnel.summary())
        except (GuardrailError, TrainingError) as error:
            return error
        return None

    def made(
        self,
        sft: Mix,
        dpo: Mix,
        critic: Mix,
        before: list[EarlierRound],
        harvest: StoredExamples,
        facts: dict[str, Any],
    ) -> tuple[tuple[str, str, str], Card]:
        """The texts of the files of pairs, preferences and comparisons, and the card."""
        both = [*sft.examples, *dpo.examples, *critic.examples]
        repositories = by_repository(both)
        split = splits(both, self.request.settings.validation)
        ordered = partial(in_learning_order, order=self.request.mix.order if self.request.mix else "usual")
        sft_text = lines_of(ordered(sft.examples), split, repositories)
        dpo_text = lines_of(ordered(dpo.examples), split, repositories)
        critic_text = lines_of(ordered(critic.examples), split, repositories)
        files = hashed(sft_text, dpo_text, critic_text)
        config = configuration(self.request, before, harvest, self.raw) | facts
        held = [example for example in sft.examples if split[group_of(example, repositories)] == "validation"]
        sizes = {
            "sft": len(sft.examples),
            "dpo": len(dpo.examples),
            "train": len(sft.examples) - len(held),
            "validation": len(held),
        }
        if critic.examples:
            sizes["critic"] = len(critic.examples)
        classes = Counter[str]()
        for stage in self.request.target.stages:
            classes += class_counts(stage, sft.examples) if stage in CLASSES else Counter[str]()
        card = Card(
            id=dataset_id(files, config),
            target=self.request.target,
            examples=sizes,
            sources=counted(both, lambda each: each.item.source.value),
            stages=counted(both, lambda each: each.item.stage.value),
            classes=dict(sorted(classes.items())),
            repositories=counted(both, lambda each: each.provenance.repository),
            organisations=counted(both, lambda each: each.provenance.organisation),
            domains=counted(both, lambda each: each.provenance.domain),
            licenses=counted(both, lambda each: each.provenance.license),
            planners=counted(both, lambda each: each.provenance.planner),
            tokens={
                "total": sum(example.tokens for example in both),
                "longest": max((example.tokens for example in both), default=0),
                "longest_prompt": max((example.prompt_tokens for example in both), default=0),
            },
            rounds=Rounds(
                earlier=tuple(each.dataset for each in before),
                pool=sft.pool + dpo.pool + critic.pool,
                new=sft.new + dpo.new + critic.new,
                replayed=len(both) - sft.new - dpo.new - critic.new,
                whole=bool(before) and config["whole_pool"],
            ),
            funnel=tuple(harvest.funnel.rows),
            preference_funnel=tuple(harvest.preference_funnel.rows),
            files=files,
            config=config,
            templates=REVISION,
            window=max(self.request.window(stage) for stage in self.request.target.stages),
        )
        return (sft_text, dpo_text, critic_text), card

    def _record(self, card: Card, considered: str) -> None:
        add_dataset(
            self.raw.engine,
            card.id,
            card.target,
            source="+".join(sorted(card.sources)),
            examples=card.examples["sft"] + card.examples["dpo"],
            config=card.config,
            repositories=card.repositories,
            content=card.to_json(),
            considered=considered,
        )
