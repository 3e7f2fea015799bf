"""The gold planner's answers to retrieval: what it says is read by the parsers of a model's answers, and is right."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.prompts import render
from agent.retrieve.judgements import parse_precision, parse_scope, parse_task_analysis
from harness.packages.gold_patch import GoldPatch
from harness.planners import GoldPlanner
from harness.planners.gold_judgements import GoldJudge
from harness.planners.pieces import WORD
from models.context import Candidate, CandidateTier, FileOutline, Relevance, SymbolOutline, SymbolUse
from models.edits import EditFormat
from models.judging import AnswerForm
from models.protocols import Request, Stage
from repos.index.symbols import symbols
from tests.support.gold_material import AFTER, BEFORE, TASK, change, patch, patches


def candidates(*paths: str) -> tuple[Candidate, ...]:
    return tuple(Candidate(path=path, score=1.0, tier=CandidateTier.LEXICAL, reason="words") for path in paths)


def outline(path: str, text: str, relevance: Relevance = Relevance.RELEVANT) -> FileOutline:
    shown = [SymbolOutline(name=s.name, kind=s.kind.value, signature="") for s in symbols(text, path)]
    return FileOutline(path=path, relevance=relevance, symbols=tuple(shown))


@pytest.mark.parametrize("form", AnswerForm)
def test_changed_files_are_relevant_and_what_they_import_supports(form: AnswerForm) -> None:
    gold = patch(
        change("src/p/a.py", "from p import b\n", "from p import b\nfrom p.c import new\nnew()\n"),
        change("src/p/made.py", None, "x = 1\n"),
        change("src/p/moved.py", "x = 1\n", "x = 1\n", old_path="src/p/was.py"),
        change("tests/test_a.py", "a\n", "b\n"),
    )
    paths = ("src/p/a.py", "src/p/b.py", "src/p/c.py", "src/p/d.py", "src/p/was.py", "tests/test_a.py", "README.md")
    offered = candidates(*paths)
    planner = GoldPlanner(gold, EditFormat.SEARCH_REPLACE)
    answer = planner.answer(Request(stage=Stage.SCOPE, task=TASK, candidates=offered, answers=form))
    judged = {each.path: each.relevance for each in parse_scope(answer.text, offered, form)}
    assert judged == {
        "src/p/a.py": Relevance.RELEVANT,
        "src/p/was.py": Relevance.RELEVANT,
        "src/p/b.py": Relevance.SUPPORTING,
        "src/p/c.py": Relevance.SUPPORTING,
        "tests/test_a.py": Relevance.SUPPORTING,
        "src/p/d.py": Relevance.IRRELEVANT,
        "README.md": Relevance.IRRELEVANT,
    }


@pytest.mark.parametrize("form", AnswerForm)
def test_changed_symbols_are_primary_and_what_they_mention_is_shown(form: AnswerForm) -> None:
    before = "LIMIT = 3\n\n\nclass Box:\n    def put(self, x):\n        return check(x)\n\n"
    before += "    def take(self):\n        pass\n\n\n"
    before += "def check(x):\n    return x\n\n\nclass Error(Exception):\n    pass\n\n\ndef other():\n    pass\n"
    after = before.replace("return check(x)", "if x > LIMIT:\n            raise Error(x)\n        return check(x)")
    outlines = (outline("a.py", before),)
    planner = GoldPlanner(patch(change("a.py", before, after)), EditFormat.SEARCH_REPLACE)
    answer = planner.answer(Request(stage=Stage.PRECISION, task=TASK, outlines=outlines, answers=form))
    uses = {each.symbol: each.use for each in parse_precision(answer.text, outlines, form)}
    assert uses == {
        "Box.put": SymbolUse.PRIMARY,
        "LIMIT": SymbolUse.SUPPORTING,
        "Box": SymbolUse.TYPE_CONTEXT,
        "Box.take": SymbolUse.TYPE_CONTEXT,
        "Error": SymbolUse.TYPE_CONTEXT,
        "check": SymbolUse.TYPE_CONTEXT,
        "other": SymbolUse.EXCLUDED,
    }


def test_symbols_of_other_files_support_if_the_changed_lines_mention_them() -> None:
    helper = "def helper(x):\n    return x\n\n\ndef unused():\n    pass\n"
    gold = patch(change("a.py", "def f():\n    return 1\n", "def f():\n    return helper(1)\n"))
    outlines = [outline("b.py", helper, Relevance.SUPPORTING)]
    judged = GoldJudge(gold).precision(outlines).symbols
    uses = {symbol: use for symbols in judged.values() for symbol, use in symbols.items()}
    assert uses == {"helper": SymbolUse.SUPPORTING, "unused": SymbolUse.EXCLUDED}


def test_the_analysis_names_of_what_changes_only_what_its_prompt_shows() -> None:
    gold = patch(change("a.py", BEFORE, AFTER), change("b.py", "x = 1\n", "x = 2\n"), change("new.py", None, "y = 1\n"))
    task = TASK.model_copy(update={"text": "Fix size of Thing\n\nMore."})
    request = Request(stage=Stage.TASK_ANALYSIS, task=task, overview="./\n  a.py: first, Thing\nlib/: b.py")
    found = parse_task_analysis(GoldPlanner(gold, EditFormat.SEARCH_REPLACE).answer(request).text)
    assert (found.kind, found.summary, found.files) == ("fix", "Fix size of Thing", ("a.py",))
    assert set(found.symbols) == {"Thing.size", "Thing", "first"}
    assert "size" in found.terms
    assert {"helper", "of"}.isdisjoint(found.terms)


@settings(max_examples=100, deadline=None)
@given(patches(), st.text(max_size=40), st.text(max_size=80))
def test_an_analysis_never_names_what_is_not_shown(gold: GoldPatch, task: str, overview: str) -> None:
    found = GoldJudge(gold).analysis(task, overview)
    words = set(WORD.findall(f"{task}\n{overview}"))
    assert {part for name in (*found.symbols, *found.terms) for part in name.split(".")} <= words
    assert all(path in task or path.rpartition("/")[2] in overview for path in found.files)


def test_answers_are_written_as_the_examples_in_the_prompts_are() -> None:
    gold = patch(change("a.py", BEFORE, AFTER))
    planner = GoldPlanner(gold, EditFormat.SEARCH_REPLACE)
    part = planner.plan.meta.parts[0]
    requests = {
        Stage.TASK_ANALYSIS: Request(stage=Stage.TASK_ANALYSIS, task=TASK, overview="./: a.py"),
        Stage.META_PLAN: Request(stage=Stage.META_PLAN, task=TASK),
        Stage.PART_PLAN: Request(stage=Stage.PART_PLAN, task=TASK, meta=planner.plan.meta, part=part),
        Stage.TEST_PLAN: Request(stage=Stage.TEST_PLAN, task=TASK, meta=planner.plan.meta, part=part),
        Stage.ADJUSTMENT: Request(stage=Stage.ADJUSTMENT, task=TASK, meta=planner.plan.meta, part=part),
    }
    for request in requests.values():
        prompt = render(request, 32_000, len)[-1].content
        [example] = [line for line in prompt.splitlines() if line.startswith("{")]
        answer = planner.answer(request).text
        assert "\n" not in answer
        keys = [list(json.loads(text.replace("[...]", "[]"))) for text in (example, answer)]
        assert keys[0] == keys[1]
        assert answer.startswith(example[: example.index(": ") + 2])


def test_the_kind_of_a_task_follows_words_and_change() -> None:
    def kind(task: str, gold: GoldPatch) -> str:
        return GoldJudge(gold).analysis(task).kind

    adds = patch(change("a.py", "", "def f():\n    pass\n"))
    assert kind("Prevent a crash", adds) == "fix"
    assert kind("Add f", adds) == "feature"
    assert kind("Simplify f", adds) == "refactoring"
    assert kind("Say more", patch(change("README.md", "a\n", "b\n"))) == "documentation"
    assert kind("Pin it", patch(change("pyproject.toml", "a\n", "b\n"))) == "maintenance"
    assert kind("Cover f", patch(change("tests/test_a.py", "a\n", "b\n"))) == "tests"


@settings(max_examples=100, deadline=None)
@given(patches(), st.data())
def test_any_change_is_judged_the_same_way_twice_and_in_full(gold: GoldPatch, data: st.DataObject) -> None:
    changes = [*gold.production, *gold.tests]
    paths = sorted({c.old_path or c.path for c in changes} | {"src/p/b.py"})
    offered = candidates(*data.draw(st.permutations(paths)))
    outlines = [outline(c.old_path or c.path, c.before.text) for c in changes if c.before]
    one, two = GoldJudge(gold), GoldJudge(gold)
    assert list(one.scope(offered).files) == [each.path for each in offered]
    assert sum(map(len, one.precision(outlines).symbols.values())) == sum(len(each.symbols) for each in outlines)
    assert one.scope(offered) == two.scope(offered)
    assert one.precision(outlines) == two.precision(outlines)
    assert one.analysis("Fix a crash in f", "src/p/: a.py") == two.analysis("Fix a crash in f", "src/p/: a.py")
