"""What two bases are compared by, beside their stages: held-out loss by objective, and forgetting.

Both bases run in this process, one after the other, in bf16 on a GPU and in fp32 elsewhere. What was measured is kept
by the hash of both bases, the rows and the prompts, in `evaluations/bases/`.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from host.packed import open_either
from models.base_evaluation import Forgetting, RowLoss
from models.errors import TrainingError
from models.objectives import Objective, objective_of
from models.plans import Frozen
from models.protocols import Stage
from models.targets import Role
from store.keys import digest
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.bases.loading import loaded_base
from training.cycle.context import TrainingContext
from training.cycle.forgetting import compared, fixed_prompts, losses_by_kind, rewritten, written_by
from training.cycle.kept_measures import read_measures, write_measures
from training.data.curation.card import SFT
from training.data.mixtures import serves
from training.fit.data import IGNORED, TrainingRow
from training.fit.row_losses import answer_losses
from training.fit.watched import stopping_rows

MEASURES = 2
"""Version of what is measured here: when raised, earlier measures are not reused."""
ROWS = 96
"""Most held-out rows of an objective; repositories take turns."""
Report = Callable[[str, int, int], None]


class HeldOut(NamedTuple):
    """Rows that were not trained on, as records of a dataset, by objective; `name` says where they are from, `seen`
    counts rows that were left out because their repository was trained on, `watched` whether these are validation rows,
    by which the training's steps were chosen."""

    name: str
    records: Mapping[Objective, list[dict[str, Any]]]
    seen: int = 0
    watched: bool = False


class BaseMeasures(Frozen):
    """The losses of the same rows under champion and challenger, by objective, and forgetting."""

    champion: dict[Objective, tuple[RowLoss, ...]]
    challenger: dict[Objective, tuple[RowLoss, ...]]
    forgetting: tuple[Forgetting, ...]


class BaseContest(NamedTuple):
    """Two bases, the rows, and what `enable_thinking` is for both."""

    champion: Base
    challenger: Base
    held_out: HeldOut
    thinking: bool | None
    max_tokens: int

    @property
    def key(self) -> str:
        """The identity of what is measured."""
        rows = {each.value: [row["id"] for row in rows] for each, rows in sorted(self.held_out.records.items())}
        sides = (self.champion.id, self.challenger.id)
        return digest("bases", MEASURES, *sides, rows, fixed_prompts().digest, str(self.thinking), self.max_tokens)


def held_out_rows(
    dataset: Path, *, own: bool = True, halved: bool = False, seen: Collection[str] = (), role: Role | None = None
) -> HeldOut:
    """The held-out rows of a dataset, at most `ROWS` of each objective: of the `own` one of a base its validation rows,
    without those that its training watched where these were `halved`, of another all; none of a repository that was
    trained on (`seen`, and the own training rows'), and none that is for another role. Raises TrainingError."""
    records = list(_records(dataset))
    seen_in = {*seen, *(trained_on(records) if own else ())}
    offered = [each for each in records if not own or each["split"] == "validation"]
    if halved:
        watched = stopping_rows(offered)
        offered = [each for each in offered if each["id"] not in watched]
    kept = [each for each in offered if _repository(each) not in seen_in]
    by_objective: dict[Objective, list[dict[str, Any]]] = {}
    for each in kept:
        stage = Stage(each["stage"])
        objective = objective_of(each["source"], stage)
        if role is None or serves(role, objective, stage):
            by_objective.setdefault(objective, []).append(each)
    chosen = {objective: _in_turns(rows)[:ROWS] for objective, rows in sorted(by_objective.items())}
    return HeldOut(dataset.name, chosen, len(offered) - len(kept), own and not halved and bool(kept))


def trained_repositories_of(dataset: Path) -> set[str]:
    """The repositories of a dataset's training rows. Raises TrainingError."""
    return trained_on(_records(dataset))


def measure_bases(label: str, context: TrainingContext, contest: BaseContest) -> BaseMeasures:
    """The measures of two bases, stored or made now. Raises UsageError for a base that cannot be loaded,
    InfrastructureError if they cannot be stored."""
    path = context.settings.data_dir / "evaluations" / "bases" / f"{contest.key}.json"
    if (known := read_measures(path, BaseMeasures)) is not None:
        context.notify(f"compare {label}: done before", 1, 1)
        return known
    with context.device():
        measured = _measure(contest, context.notify)
    write_measures(path, measured)
    return measured


def held_out_losses(
    base: Base, chat: ChatFormat, held_out: HeldOut, max_tokens: int, notify: Report = lambda what, done, total: None
) -> dict[Objective, tuple[RowLoss, ...]]:
    """The losses of held-out rows of at most `max_tokens` under a base. Raises UsageError if it cannot be loaded."""
    with loaded_base(base.path) as model:
        return _losses(model, _tokenised(held_out, chat, max_tokens), base, notify)


def _measure(contest: BaseContest, notify: Report) -> BaseMeasures:
    chats = [ChatFormat.load(base.path, contest.thinking) for base in (contest.champion, contest.challenger)]
    same = chats[0].tokenises_as(chats[1])
    sides = [_tokenised(contest.held_out, chat, contest.max_tokens) for chat in (chats[:1] * 2 if same else chats)]
    rows = _fitting_both(*sides)
    units = {row.id: len(row.answer) for each in rows[0].values() for row, _ in each}
    with loaded_base(contest.champion.path) as model:
        what = f"what {contest.champion.name} writes"
        texts = written_by(model, chats[0], lambda done, total: notify(what, done, total))
        before, champion = losses_by_kind(model, texts), _losses(model, rows[0], contest.champion, notify, units)
    again = texts if same else rewritten(texts, *chats)
    with loaded_base(contest.challenger.path) as model:
        after, challenger = losses_by_kind(model, again), _losses(model, rows[1], contest.challenger, notify, units)
    found = compared(before, after, same_tokens=same)
    return BaseMeasures(champion=champion, challenger=challenger, forgetting=tuple(found))


_Rows = dict[Objective, list[tuple[TrainingRow, str]]]


def _fitting_both(one: _Rows, other: _Rows) -> tuple[_Rows, _Rows]:
    """The rows that are short enough in both tokenisations."""
    kept = [{row.id for each in side.values() for row, _ in each} for side in (one, other)]
    both = kept[0] & kept[1]

    def fitting(side: _Rows) -> _Rows:
        found = {name: [pair for pair in pairs if pair[0].id in both] for name, pairs in side.items()}
        return {name: pairs for name, pairs in found.items() if pairs}

    return fitting(one), fitting(other)


def _losses(
    model: Any, rows: _Rows, base: Base, notify: Report, units: Mapping[str, int] = MappingProxyType({})
) -> dict[Objective, tuple[RowLoss, ...]]:
    """The losses of rows, in nats per token of their answers: of the base's own tokens, or as many as `units` says of a
    row, so that bases with other tokens have a loss of the same text by the same measure."""
    total, done = sum(map(len, rows.values())), 0
    found: dict[Objective, tuple[RowLoss, ...]] = {}
    for objective, pairs in rows.items():
        losses = []
        for (row, repository), each in zip(pairs, answer_losses(model, [row for row, _ in pairs]), strict=True):
            mean = each.nats / units.get(row.id, each.tokens)
            losses.append(RowLoss(row=row.id, repository=repository, loss=mean))
            done += 1
            notify(f"held-out losses of {base.name}", done, total)
        found[objective] = tuple(losses)
    return found


def _tokenised(held_out: HeldOut, chat: ChatFormat, max_tokens: int) -> dict[Objective, list[tuple[TrainingRow, str]]]:
    rows = {objective: _rows(each, chat, max_tokens) for objective, each in held_out.records.items()}
    return {objective: each for objective, each in rows.items() if each}


def _rows(records: Sequence[dict[str, Any]], chat: ChatFormat, max_tokens: int) -> list[tuple[TrainingRow, str]]:
    """Records as token ids with their repositories, without those over the limit."""
    found = []
    for each in records:
        prompt = chat.prompt_ids(each["prompt"])
        answer = chat.answer_ids(each["prompt"], each["completion"][0]["content"])
        if len(prompt) + len(answer) <= max_tokens:
            row = TrainingRow(each["id"], 1.0, prompt + answer, [IGNORED] * len(prompt) + answer)
            found.append((row, _repository(each)))
    return found


def _records(dataset: Path) -> Iterator[dict[str, Any]]:
    file = dataset / SFT
    try:
        with open_either(file) as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{file} cannot be read ({error}); name a dataset with --held-out DIR") from error


def trained_on(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """The repositories of the training rows among a dataset's records."""
    return {_repository(each) for each in records if each["split"] == "train"}


def _repository(record: Mapping[str, Any]) -> str:
    return str(record["provenance"].get("repository", ""))


def _in_turns(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records in the order of their ids' hashes, repositories taking turns."""
    ordered = sorted(records, key=lambda each: hashlib.sha256(each["id"].encode()).digest())
    turns: dict[str, int] = {}
    placed = list[tuple[int, int, dict[str, Any]]]()
    for each in ordered:
        name = _repository(each)
        placed.append((turns.get(name, 0), len(placed), each))
        turns[name] = turns.get(name, 0) + 1
    return [each for _, _, each in sorted(placed, key=lambda entry: entry[:2])]
