"""Forms of the questions of scope and precision, on one small model before any training: tokens, and what it can tell.

    uv run python benchmarks/question_forms.py CLONE... --out FILE.jsonl [--stage scope] [--items 3] [--candidates 30]
        [--forms FORM...]

For each repository's newest commits the questions are those of a gold run. The model answers them as under constrained
decoding: what the form forces is given, and a class is chosen by the probabilities of the classes' first tokens, after
its own earlier choices. The probability of the sought class (relevant, primary) gives the average precision and the
area under the ROC curve over all judgements of a repository, averaged over repositories; the ranking's own order of
files stands beside them. A task's answers are kept in FILE once they are complete: the same command goes on after a
stop.

Tokens are per judgement: `prompt` as sent, `fresh` those that no earlier question of the task begins with (what a
server with a prefix cache computes), `answer` as generated.
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from agent.retrieve import rank
from agent.retrieve.judgements import read_precision, read_scope, symbols_in
from agent.retrieve.retrieval import JUDGED, Retrieval
from evals.retrieval_items import RetrievalItem, items
from harness.packages.gold_patch import UnsupportedChange, read_gold_patch
from harness.planners import GoldPlanner
from harness.planners.student import StudentLimits
from llm.embedded import serve, weights
from models.chat import Message, read_prompt
from models.context import Relevance, SymbolUse
from models.edits import EditFormat
from models.judging import AnswerForm, QuestionForm
from models.llm_settings import EMBEDDED_MODEL
from models.protocols import Answer, Request, Stage, Task
from repos.git import Git
from repos.index import IndexCache, build_index
from repos.sources import GitSource

WINDOW = 8192
FORMS = {
    f"{answers.value}, {f'{at_once} at once' if at_once else 'all'}": QuestionForm(
        answers=answers, files=at_once, symbols=at_once
    )
    for at_once in (0, 6, 1)
    for answers in AnswerForm
}
Asked = tuple[Request, Answer]
"""A question with gold's answer to it."""
SOUGHT: dict[Stage, Relevance | SymbolUse] = {Stage.SCOPE: Relevance.RELEVANT, Stage.PRECISION: SymbolUse.PRIMARY}


@dataclass(frozen=True)
class Judged:
    """One judgement: the probability of the sought class, gold's and the model's class, its share of the tokens."""

    repository: str
    commit: str
    form: str
    item: str
    gold: str
    given: str
    chance: float
    rank: int
    prompt: float
    fresh: float
    answer: float
    seconds: float


class Questions:
    """A recorder that keeps the questions of one stage with gold's answers."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.asked: list[Asked] = []

    def call(self, request: Request, answer: Answer) -> None:
        if request.stage is self._stage:
            self.asked.append((request, answer))

    def plan(self, *_: object) -> None: ...
    def edits(self, *_: object) -> None: ...
    def tests(self, *_: object) -> None: ...
    def decision(self, *_: object) -> None: ...


class Chooser:
    """The embedded model, which chooses classes in forced text; a known beginning of a prompt is not computed again."""

    def __init__(self, *, silent: bool) -> None:
        """Start its server; a `silent` one counts tokens, and gives each class the same probability."""
        self._running = serve(weights(), EMBEDDED_MODEL, WINDOW)
        self._root = self._running.url.removesuffix("/v1")
        self._silent = silent
        self._before: list[int] = []

    def begin(self) -> None:
        """Begin a task's questions in one form: of these, none is known yet."""
        self._before = []

    def _ask(self, path: str, **fields: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._running.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._root}/{path}", json.dumps(fields).encode(), headers)
        with urllib.request.urlopen(request, timeout=600) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _ids(self, text: str, *, special: bool = False) -> list[int]:
        return list(self._ask("tokenize", content=text, parse_special=special)["tokens"])

    def choose(self, messages: Sequence[Message], slots: Sequence[str], classes: Sequence[str]) -> "Chosen":
        """The probabilities of the classes after each of `slots`, the texts before each class."""
        prompt = self._ask("apply-template", messages=[message.model_dump() for message in messages])["prompt"]
        ids = self._ids(prompt, special=True)
        length = len(ids)
        fresh = length - common_prefix(ids, self._before)
        self._before = list(ids)
        firsts = {self._ids(name)[0]: name for name in classes}
        assert len(firsts) == len(classes), f"classes {classes} begin with one token"
        chances = []
        for slot in slots:
            ids += self._ids(slot)
            found = dict.fromkeys(classes, 1 / len(classes)) if self._silent else self._chances(ids, firsts)
            chances.append(found)
            ids += self._ids(max(classes, key=found.__getitem__))
        return Chosen(chances, length, fresh, len(ids) - length + 2)

    def _chances(self, ids: Sequence[int], firsts: Mapping[int, str]) -> dict[str, float]:
        """The probabilities of the classes after a text, by their first tokens."""
        said = self._ask(
            "completion", prompt=ids, n_predict=1, n_probs=len(firsts), post_sampling_probs=True, temperature=1.0,
            top_k=0, top_p=1.0, min_p=0.0, samplers=["temperature"], cache_prompt=True,
            logit_bias=[[token, 60.0] for token in firsts],  # the same for all: no other token is chosen
        )  # fmt: skip
        [step] = said["completion_probabilities"]
        found = {firsts[each["id"]]: each["prob"] for each in step["top_probs"] if each["id"] in firsts}
        assert set(found) == set(firsts.values()), f"probabilities of {sorted(found)} alone"
        return found


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts have in common at their beginning."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@dataclass(frozen=True)
class Chosen:
    """Probabilities of the classes at each place; tokens of the prompt, those computed, those of the answer."""

    chances: list[dict[str, float]]
    prompt: int
    fresh: int
    answer: int


def slots_of(request: Request) -> list[str]:
    """The forced text before each class, in the order of the question."""
    if request.stage is Stage.SCOPE:
        names = [[candidate.path] for candidate in request.candidates]
    else:
        names = [[path, name] for path, name in symbols_in(request.outlines)]
    if request.answers is AnswerForm.LETTERS:
        return [('{"' if n == 1 else '", "') + f'{n}": "' for n in range(1, len(names) + 1)]
    field, before = ("files" if request.stage is Stage.SCOPE else "symbols"), ""
    slots: list[str] = []
    for name in names:
        head, last = name[:-1], f'{json.dumps(name[-1])}: "'
        if not slots:
            slots.append(f'{{"{field}": {{' + "".join(f"{json.dumps(each)}: {{" for each in head) + last)
        elif head and head[0] != before:
            slots.append('"}, ' + f"{json.dumps(head[0])}: {{" + last)
        else:
            slots.append('", ' + last)
        before = head[0] if head else ""
    return slots


def golds_of(request: Request, answer: Answer) -> list[Relevance] | list[SymbolUse]:
    """Gold's classes, in the order of the question."""
    if request.stage is Stage.SCOPE:
        return list(read_scope(answer.text, [each.path for each in request.candidates], request.answers).values())
    return list(read_precision(answer.text, symbols_in(request.outlines), request.answers).values())


def ranks_of(request: Request) -> list[tuple[str, int]]:
    """Names and ranks of what a question shows; a symbol's rank is that in its file, after the file's."""
    if request.stage is Stage.SCOPE:
        return [(each.path, each.rank) for each in request.candidates]
    return [(f"{o.path} {s.name}", 1000 * s.rank + o.rank) for o in request.outlines for s in o.symbols]


def judge(chooser: Chooser, repository: str, commit: str, form: str, asked: Sequence[Asked]) -> Iterator[Judged]:
    """The model's judgements of one task's questions."""
    chooser.begin()
    for request, answer in asked:
        sought = SOUGHT[request.stage]
        short = request.answers is AnswerForm.LETTERS
        options: list[Relevance | SymbolUse] = [*Relevance] if request.stage is Stage.SCOPE else [*SymbolUse]
        names = {each: each.letter if short else each.value for each in options}
        assert answer.prompt is not None
        started = time.monotonic()
        chosen = chooser.choose(read_prompt(answer.prompt), slots_of(request), list(names.values()))
        seconds, count = time.monotonic() - started, len(chosen.chances)
        classes = {text: each.value for each, text in names.items()}
        for (item, place), gold, chances in zip(
            ranks_of(request), golds_of(request, answer), chosen.chances, strict=True
        ):
            given = classes[max(chances, key=chances.__getitem__)]
            spent = [each / count for each in (chosen.prompt, chosen.fresh, chosen.answer, seconds)]
            yield Judged(repository, commit, form, item, gold.value, given, chances[names[sought]], place, *spent)


def questions(git: Git, item: RetrievalItem, plan: "Plan", cache: IndexCache) -> dict[str, list[Asked]]:
    """A task's questions in each form. Raises UnsupportedChange."""
    gold = read_gold_patch(git, item.commit)
    index = build_index(GitSource(git, item.parent), cache)
    task = Task(text=item.task, repository="", base=item.parent)
    candidates = rank(item.task, index)[: plan.candidates]
    found = {}
    for name in plan.forms:
        recorder = Questions(plan.stage)
        planner = GoldPlanner(
            gold, EditFormat.SEARCH_REPLACE, StudentLimits(dict.fromkeys(Stage, WINDOW), question_form=FORMS[name])
        )
        retrieval = Retrieval(task, planner, index, recorder)
        analysis = retrieval.analyse()
        kept = retrieval.scope(analysis, candidates)
        if plan.stage is Stage.PRECISION:
            retrieval.precision(analysis, kept)
        found[name] = recorder.asked
    return found


def average_precision(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Mean precision at each right item, in the order of the scores; equal scores count as one step."""
    values, labels = np.asarray(scores), np.asarray(right, dtype=float)
    total, hits, area = 0, 0.0, 0.0
    for value in sorted(set(scores), reverse=True):
        same = values == value
        total, gained = total + int(same.sum()), float(labels[same].sum())
        hits += gained
        area += gained * hits / total
    return float(area / labels.sum())


def area_under_roc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """The chance that a right item scores higher than a wrong one; ties count half (Mann-Whitney U)."""
    values, labels = np.asarray(scores), np.asarray(right)
    gaps = values[labels][:, None] - values[~labels][None, :]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def over_repositories(rows: Sequence[Judged], sought: str, scores: Mapping[Judged, float]) -> tuple[float, float]:
    """Average precision and area under the ROC curve, averaged over the repositories that have both kinds."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for row in rows:
        groups[row.repository].append(row)
    precisions, areas = [], []
    for group in groups.values():
        right = [row.gold == sought for row in group]
        if 0 < sum(right) < len(right):
            values = [scores[row] for row in group]
            precisions.append(average_precision(values, right))
            areas.append(area_under_roc(values, right))
    return fmean(precisions), fmean(areas)


def table(rows: Sequence[Judged], stage: Stage, *, answered: bool) -> str:
    """The figures of each form as a Markdown table; without answers, those of tokens."""
    sought = SOUGHT[stage].value
    columns = ["form", "judgements", "prompt", "fresh", "answer"]
    if answered:
        columns += [f"AP of {sought}", "ROC area", "recall", "accuracy", "ms"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    by_form = {form: [row for row in rows if row.form == form] for form in FORMS}
    for form, mine in by_form.items():
        if mine:
            cells = [form, str(len(mine)), *token_cells(mine), *(answer_cells(mine, sought) if answered else ())]
            lines.append(f"| {' | '.join(cells)} |")
    if answered and rows:
        most = max(by_form.values(), key=len)
        precision, area = over_repositories(most, sought, {row: -row.rank for row in most})
        lines.append(f"| the ranking's order | {len(most)} | | | | {precision:.3f} | {area:.3f} | | | |")
    return "\n".join(lines)


def token_cells(rows: Sequence[Judged]) -> list[str]:
    """Tokens by judgement: prompt, fresh, answer."""
    return [f"{fmean(getattr(row, name) for row in rows):.1f}" for name in ("prompt", "fresh", "answer")]


def answer_cells(rows: Sequence[Judged], sought: str) -> list[str]:
    """How well the sought class is found, and the milliseconds of a judgement."""
    precision, area = over_repositories(rows, sought, {row: row.chance for row in rows})
    recall = fmean(row.given == sought for row in rows if row.gold == sought)
    accuracy = fmean(row.given == row.gold for row in rows)
    ms = 1000 * fmean(row.seconds for row in rows)
    return [f"{precision:.3f}", f"{area:.3f}", f"{recall:.2f}", f"{accuracy:.2f}", f"{ms:.0f}"]


def read_rows(path: Path) -> list[Judged]:
    """The judgements that a file holds; a line that was cut off by a stop is dropped with its task."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows += [Judged(**each) for each in json.loads(line)]
        except ValueError:
            continue
    return rows


def main() -> None:
    """Ask all questions that are not answered yet, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clones", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stage", choices=["scope", "precision"], default="scope")
    parser.add_argument("--items", type=int, default=3, help="commits of each repository, the newest first")
    parser.add_argument("--candidates", type=int, default=JUDGED, help="files of each commit's ranking")
    parser.add_argument("--tokens", action="store_true", help="count tokens alone; no answers, to a FILE of their own")
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS), metavar="FORM")
    given = parser.parse_args()
    plan = Plan(Stage(given.stage), given.items, given.candidates, tuple(given.forms))
    with tempfile.TemporaryDirectory() as folder:
        answer_all(given.clones, plan, Chooser(silent=given.tokens), given.out, IndexCache(Path(folder)))
    print(table(read_rows(given.out), plan.stage, answered=not given.tokens))


@dataclass(frozen=True)
class Plan:
    """What is asked: the stage, commits of each repository, candidates of each commit, forms of questions."""

    stage: Stage
    items: int
    candidates: int
    forms: tuple[str, ...]


def answer_all(clones: Sequence[Path], plan: Plan, chooser: Chooser, out: Path, cache: IndexCache) -> None:
    """Answer each task's questions in each form, one line of the file for a form of a task."""
    done = {(row.repository, row.commit, row.form) for row in read_rows(out)}
    started, total = time.monotonic(), plan.items * len(clones)
    for number in range(plan.items):  # one commit of each repository in turn: a stop leaves all repositories equal
        for place, clone in enumerate(clones, start=1):
            git, repository = Git(clone), clone.name.removesuffix(".git")
            found = items(git, plan.items)
            if number >= len(found):
                continue
            try:
                asked = questions(git, found[number], plan, cache)
            except UnsupportedChange as error:
                print(f"{repository}: {error}", file=sys.stderr)
                continue
            for form, each in asked.items():
                if (repository, found[number].commit, form) not in done:
                    rows = list(judge(chooser, repository, found[number].commit, form, each))
                    with out.open("a") as file:
                        file.write(json.dumps([asdict(row) for row in rows]) + "\n")
            spent, share = time.monotonic() - started, (number * len(clones) + place) / total
            left = f"{share:.0%}, {spent / share - spent:.0f} s left"
            print(f"{repository} {number + 1}/{plan.items}: {left}", file=sys.stderr)


if __name__ == "__main__":
    main()
