"""Position examples: where their facts lie, that their answers are the only ones, and what is never made of."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.positions.placing import arranged, fill, place_at, uniform_places
from models.training import Pair
from tests.support.code_repositories import code_repository
from tests.support.commands import invoke
from training.data.sources.collections import read_collection
from training.data.sources.lintseq.programs import Origin, programs_of_repository
from training.data.sources.lintseq.states import generator_of
from training.data.sources.positions.recipe import PositionSettings, PositionSource
from training.data.sources.positions.segments import Fact, FactKind, is_told_once, segments_of
from training.data.sources.templates import task_of

SMALL = PositionSettings(shortest=300, longest=900, examples=60)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> PositionSource:
    git = code_repository(tmp_path_factory.mktemp("positions"), "alpha", files=6)
    origin = Origin("alpha", git.resolve("HEAD"), license="MIT", commit=git.resolve("HEAD"))
    return PositionSource.read(origin, programs_of_repository(git, origin), 128)


def _pairs(source: PositionSource, asked: PositionSettings) -> list[Pair]:
    return [item for row in source.offers(asked) for item in row if isinstance(item, Pair)]


def _parts(pair: Pair) -> tuple[list[str], str]:
    """The pieces of a prompt, and its question."""
    text = pair.messages[1].content.removeprefix("# Code\n\n").removesuffix("\n\n# Your answer")
    context, _, question = text.rpartition("\n\n# Question\n\n")
    return re.split(r"\n\n(?=### )", context), question


@given(st.integers(1, 4), st.integers(0, 40), st.integers(0, 1000))
def test_every_piece_is_there_once_and_targets_are_at_their_places(targets: int, others: int, seed: int) -> None:
    generator = generator_of(seed, 0, "x")
    places = uniform_places(generator, targets, others)
    own, rest = [f"target {n}" for n in range(targets)], [f"other {n}" for n in range(others)]
    pieces = arranged(own, places, rest)
    assert Counter(pieces) == Counter(own + rest) and [pieces[place] for place in places] == own
    assert [each for each in pieces if each in set(rest)] == rest


def test_depth_is_uniform() -> None:
    """Chi-squared over ten tenths of the depth: 20,000 placements stay below the 99.9% quantile of 9 degrees (27.9)."""
    counts: Counter[int] = Counter()
    for number in range(20_000):
        [place] = uniform_places(generator_of(0, number, "depth"), 1, 29)
        counts[place * 10 // 30] += 1
    assert sum((counts[tenth] - 2000) ** 2 / 2000 for tenth in range(10)) < 27.9
    assert [place_at(depth, 8) for depth in (0, 0.25, 0.5, 1)] == [0, 2, 4, 8]


def test_the_recipe_places_answers_at_every_depth(source: PositionSource) -> None:
    """Each quarter of the depth gets a quarter of 300 examples, within four standard deviations (30); an answer counts
    for the quarters over which its piece extends, as there are few pieces."""
    asked = SMALL.model_copy(update={"several": 0.0, "short": 0.0, "examples": 300})
    shares, pairs = [0.0] * 4, _pairs(source, asked)
    for pair in pairs:
        pieces, question = _parts(pair)
        key = re.findall(r"`(.*)`", question)[0]
        [place] = [number for number, piece in enumerate(pieces) if re.search(rf"(?<!\w){re.escape(key)}(?!\w)", piece)]
        first, last = 4 * place / len(pieces), 4 * (place + 1) / len(pieces)
        for quarter in range(4):
            shares[quarter] += max(0.0, min(last, quarter + 1) - max(first, quarter)) / (last - first)
    assert sum(shares) == pytest.approx(len(pairs)) and all(abs(each - len(pairs) / 4) < 30 for each in shares)


@given(st.lists(st.integers(1, 50)), st.integers(0, 300))
def test_a_context_does_not_exceed_its_budget(sizes: list[int], budget: int) -> None:
    pieces = ["x" * size for size in sizes]
    found = fill(pieces, budget, len, lambda piece: len(piece) != 7)
    assert sum(map(len, found)) <= budget and all(len(piece) != 7 for piece in found)


def test_facts_are_those_of_the_source() -> None:
    text = (
        "from a.b import (\n    one,\n    two as deux,\n)\nfrom . import here\n\nLIMIT = 12\n"
        "NAME: str = 'x'\nFLAG = True\n"
        "\nclass C:\n    size = 3.5\n\n    def method(self):\n        return self.something_long_enough()\n"
        "    def outer(self):\n        def inner():\n            raise ValueError('nothing here')\n"
        "        return inner\n"
    )
    [segment] = segments_of("m.py", text, 10_000) or []
    assert set(segment.facts) == {
        Fact(FactKind.IMPORT, "one", "a.b"),
        Fact(FactKind.IMPORT, "deux", "a.b"),
        Fact(FactKind.CONSTANT, "LIMIT", "12"),
        Fact(FactKind.CONSTANT, "NAME", "'x'"),
        Fact(FactKind.CONSTANT, "size", "3.5"),
        Fact(FactKind.LINE, "return self.something_long_enough()", "method"),
        Fact(FactKind.LINE, "raise ValueError('nothing here')", "inner"),
    }
    assert segments_of("m.py", "def f(:\n", 128) is None


@pytest.mark.parametrize(
    "text",
    [
        "LIMIT = 1\nLIMIT = 2\n",
        "try:\n    from a import LIMIT\nexcept ImportError:\n    LIMIT = 3\n",
        "LIMIT = 1\nf(\n    LIMIT=2,\n)\n",
        "class A:\n    LIMIT = 1\nclass B:\n    LIMIT = 1\n",
        "LIMIT = 1\nLIMIT += 4\n",
        "LIMIT = 1\nLIMIT, OTHER = 2, 3\n",
        "class A:\n    LIMIT = 30\n    def get(self, LIMIT=10):\n        self.LIMIT = 60\n",
        "class A:\n    LIMIT = 30\n    def set(self):\n        self.LIMIT = 60\n",
        "LIMIT = 1\nfor LIMIT in f():\n    pass\n",
        "LIMIT = 1\nwith f() as LIMIT:\n    pass\n",
        "LIMIT = 1\nif (LIMIT := f()):\n    pass\n",
        "LIMIT = 1\ndef f():\n    global LIMIT\n    LIMIT += 1\n",
        "from a import LIMIT\nLIMIT += 4\n",
        "from a import LIMIT\nimport b as LIMIT\n",
    ],
)
def test_a_name_that_is_bound_twice_is_not_asked_about(text: str) -> None:
    [segment] = segments_of("m.py", text, 10_000) or []
    assert not any(is_told_once(fact, segment) for fact in segment.facts if fact.key == "LIMIT")


@pytest.mark.parametrize("text", ["LIMIT = 1\nOTHER = LIMITED\n", "from a import LIMIT\nx.LIMITS = 2\n"])
def test_a_name_that_occurs_once_is_asked_about(text: str) -> None:
    [segment] = segments_of("m.py", text, 10_000) or []
    assert [fact.key for fact in segment.facts if is_told_once(fact, segment)] == ["LIMIT"]


@settings(deadline=None, max_examples=20)
@given(st.text("abc=:#'()\n \tdefimportfrom", max_size=300), st.integers(16, 200))
def test_segments_hold_every_line_of_a_file_in_order(text: str, tokens: int) -> None:
    found = segments_of("m.py", text, tokens)
    for segment in found or []:
        assert text.split("\n")[segment.start - 1 : segment.end] == segment.text.split("\n")
    if found is not None:
        covered = [number for each in found for number in range(each.start, each.end + 1)]
        told = [number for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        assert covered == sorted(set(covered)) and set(told) <= set(covered)


def test_each_answer_is_the_only_one_in_its_context(source: PositionSource) -> None:
    """Proven from the prompt's text alone, without the recipe's own rules."""
    pairs = _pairs(source, SMALL)
    assert len(pairs) > 50
    asked: Counter[str] = Counter()
    for pair in pairs:
        pieces, question = _parts(pair)
        lines = [line for piece in pieces for line in piece.split("\n")]
        for single, answer in _singles(question, pair.answer):
            key = re.findall(r"`(.*)`", single)[0]
            if "holds this line" in single:
                asked["line"] += 1
                [place] = [number for number, line in enumerate(lines) if line.strip() == key]
                held = [re.match(r"\s*def (\w+)", line) for line in lines[:place]]
                assert [match[1] for match in held if match][-1] == answer
            elif "value" in single:
                asked["constant"] += 1
                assert [line for line in lines if line.startswith(f"{key} =")] == [f"{key} = {answer}"]
            else:
                asked["import"] += 1
                assert [line for line in lines if re.search(rf"\bimport {key}$", line)] == [
                    f"from {answer} import {key}"
                ]
    assert len(asked) == 3


def _singles(question: str, answer: str) -> list[tuple[str, str]]:
    """The questions about one fact in a question, each with its answer; none for a comparison."""
    if question.startswith("Which of"):
        return []
    numbered = re.findall(r"^\d\. (.*)$", question, re.MULTILINE)
    return list(zip(numbered or [question], answer.split("\n"), strict=True))


def test_a_comparison_names_the_larger_constant(source: PositionSource) -> None:
    asked = SMALL.model_copy(update={"single": 0.0, "short": 0.0, "examples": 80})
    found = [pair for pair in _pairs(source, asked) if _parts(pair)[1].startswith("Which of")]
    assert found
    for pair in found:
        context, question = pair.messages[1].content, _parts(pair)[1]
        values = {
            key: float(re.findall(rf"^{key} = (\d+)$", context, re.MULTILINE)[0])
            for key in re.findall(r"`(\w+)`", question)
        }
        assert max(values, key=values.__getitem__) == pair.answer and len(values) == 2


def test_shares_and_lengths_are_as_asked(source: PositionSource) -> None:
    asked = SMALL.model_copy(update={"examples": 300})
    pairs = _pairs(source, asked)
    kinds = Counter(
        "several"
        if "\n1. " in _parts(p)[1] or "Which of" in _parts(p)[1]
        else "short"
        if len(_parts(p)[0]) == 1
        else "single"
        for p in pairs
    )
    assert 0.6 < kinds["single"] / len(pairs) < 0.8 and 0.1 < kinds["several"] / len(pairs) < 0.28
    assert 0.05 < kinds["short"] / len(pairs) < 0.16
    only = _pairs(source, SMALL.model_copy(update={"single": 0.0, "several": 0.0}))
    assert only and all(len(_parts(pair)[0]) == 1 for pair in only)


def test_the_same_seed_gives_the_same_examples_and_another_others(source: PositionSource) -> None:
    one, again = _pairs(source, SMALL), _pairs(source, SMALL)
    other = _pairs(source, SMALL.model_copy(update={"seed": 1}))
    assert one == again and one[:10] != other[:10]
    more = _pairs(source, SMALL.model_copy(update={"examples": 70}))
    assert more[: len(one)] == one


def _is_several(pair: Pair) -> bool:
    question = _parts(pair)[1]
    return "\n1. " in question or question.startswith("Which of")


def _synthesized(place: Path, *options: str, cwd: Path) -> Any:
    shown = invoke("synthesize", place, "--recipe", "positions", *options, "--json", cwd=cwd)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def test_the_command_writes_a_collection_with_its_origin(tmp_path: Path) -> None:
    git = code_repository(tmp_path, "alpha", files=6)
    options = ("--limit", "30", "--context-tokens", "300-900", "--shares", "single=1,several=1,short=0")
    made = _synthesized(git.directory, *options, cwd=tmp_path)
    rows = list(read_collection(Path(made["collection"])))
    assert len(rows) == made["examples"] > 20 and made["offered"] == 30
    assert {row.provenance.repository for row in rows if isinstance(row, Pair)} == {"alpha"}
    several = sum(_is_several(row) for row in rows if isinstance(row, Pair))
    assert made["kinds"] == {"single": len(rows) - several, "several": several, "short": 0} and several
    assert made["licenses"] == {"MIT": made["examples"]}
    assert all(isinstance(row, Pair) and row.provenance.commit == git.resolve("HEAD") for row in rows)
    card = json.loads((Path(made["collection"]) / "card.json").read_text())
    assert card["made_from"]["sources"] == [{"name": "alpha", "state": git.resolve("HEAD")}]
    assert card["made_from"]["kinds"] == made["kinds"]
    assert card["made_from"]["segment_tokens"] == 128 and list(card["contents"]) == ["alpha"]
    assert _synthesized(git.directory, *options, cwd=tmp_path)["collection"] == made["collection"]
    assert not any(task_of(row.messages) for row in rows if isinstance(row, Pair))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--shares", "half=1"], "--shares 'half=1'"),
        (["--shares", "single=0,several=0,short=0"], "--shares: "),
        (["--context-tokens", "900-300"], "shortest context"),
        (["--context-tokens", "many"], "--context-tokens"),
        (["--stages", "scope"], "--stages"),
        (["--base", "x"], "--recipe positions takes"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: list[str], named: str) -> None:
    shown = invoke("synthesize", ".", "--recipe", "positions", *options, cwd=tmp_path)
    assert shown.returncode == 2 and named in shown.stderr


def test_a_held_out_repository_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evals.study import plan

    git = code_repository(tmp_path, "alpha")
    [root] = git.output("rev-list", "--max-parents=0", "HEAD").decode().split()
    known = tmp_path / "roots.toml"
    known.write_text(f'[roots]\nsecret = ["{root}"]\n')
    monkeypatch.setattr(plan, "HELD_OUT_ROOTS", known)
    shown = invoke("synthesize", git.directory, "--recipe", "positions", cwd=tmp_path)
    assert shown.returncode == 2 and "secret, which is held out" in shown.stderr
    assert not list((tmp_path / "data").glob("collections/position-*"))
