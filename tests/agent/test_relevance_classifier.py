"""The relevance classifier: what it estimates, what follows from it, and which files it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.planner import ModelPlanner
from agent.retrieve import rank, retrieve_by_rank
from agent.retrieve.query import parse_query
from agent.retrieve.ranking import propose
from agent.retrieve.relevance.classifier import (
    SHIPPED,
    RelevanceClassifier,
    file_classes,
    least_relevant,
    probabilities,
    read_classifier,
    symbol_class,
    write_classifier,
)
from agent.retrieve.relevance.features import OTHER_FEATURES, PRODUCTION_FEATURES, SYMBOL_FEATURES
from agent.retrieve.relevance.freezing import frozen_estimates
from agent.retrieve.relevance.symbols import FileOfSymbols, symbol_features
from agent.retrieve.retrieval import retrieve
from agent.retrieve.scope import default_scope
from models.context import Relevance, RelevanceEstimate, SymbolUse
from models.errors import ClassifierError
from models.protocols import Answer, Request, Stage, Task
from models.relevance import BIAS, LinearModel, OperatingPoint, SymbolEstimate
from repos.index import RepositoryIndex
from tests.agent.test_model_planner import Nothing, Scripted
from tests.support.index_material import indexed

FILES = {
    "src/shop/__init__.py": "from shop.cart import Cart\n",
    "src/shop/cart.py": (
        "from shop.prices import total_of\n\n\n"
        "class Cart:\n    def total(self, items):\n        return total_of(items)\n"
    ),
    "src/shop/prices.py": "def total_of(items):\n    return sum(items)\n\n\ndef discount(rate):\n    return 1 - rate\n",
    "src/shop/mail.py": "def send(text):\n    return len(text)\n",
    "tests/test_prices.py": "from shop.prices import discount\n\n\ndef test_discount():\n    assert discount(1) == 0\n",
}
TASK = "Refuse a negative rate in `discount`"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> RepositoryIndex:
    return indexed(tmp_path_factory.mktemp("shop"), FILES)


@pytest.fixture(scope="module")
def classifier() -> RelevanceClassifier:
    return read_classifier(SHIPPED)


def test_the_code_computes_the_features_that_a_classifier_is_checked_for(index: RepositoryIndex) -> None:
    evidence, candidates = propose(TASK, index)
    found = evidence.features(candidates)
    assert {production for _, production, _ in found} == {True, False}
    for _, production, features in found:
        assert tuple(features) == (PRODUCTION_FEATURES if production else OTHER_FEATURES)
    for row in symbol_features(parse_query(TASK), FileOfSymbols(index.file("src/shop/prices.py"), 1, 0.5)):
        assert tuple(row) == SYMBOL_FEATURES


def test_the_file_that_defines_what_the_task_names_is_likelier_than_one_that_shares_nothing(
    index: RepositoryIndex,
) -> None:
    estimates = {each.path: each.estimate for each in rank(TASK, index)}
    prices, mail = estimates["src/shop/prices.py"], estimates["src/shop/mail.py"]
    assert prices is not None and mail is not None
    assert prices.relevant > mail.relevant
    assert all(each is not None and each.relevant + each.supporting <= 1 for each in estimates.values())


def test_the_symbol_that_the_task_names_is_the_likeliest_to_change(
    index: RepositoryIndex, classifier: RelevanceClassifier
) -> None:
    found = classifier.symbols(parse_query(TASK), FileOfSymbols(index.file("src/shop/prices.py"), 1, 0.9))
    assert max(found, key=lambda name: found[name].primary) == "discount"


def test_a_context_without_a_judge_holds_the_named_file_whole(index: RepositoryIndex) -> None:
    ranked = retrieve_by_rank(TASK, index)
    assert "src/shop/prices.py" in [file.path for file in ranked.package.files if file.whole]
    assert ranked.package.tokens <= ranked.package.budget


def test_what_the_task_names_is_kept_however_unlikely(index: RepositoryIndex) -> None:
    candidates = rank("Change src/shop/mail.py", index)
    unlikely = [
        each.model_copy(update={"estimate": RelevanceEstimate(relevant=0.0, supporting=0.0)})
        if each.path == "src/shop/mail.py"
        else each
        for each in candidates
    ]
    judged = {each.path: each.relevance for each in default_scope(unlikely)}
    assert judged["src/shop/mail.py"] is not Relevance.IRRELEVANT


def test_candidates_without_estimates_are_refused(index: RepositoryIndex) -> None:
    bare = [each.model_copy(update={"estimate": None}) for each in rank(TASK, index)]
    with pytest.raises(ValueError, match="no estimate"):
        default_scope(bare)


def test_classes_follow_the_operating_point() -> None:
    point = OperatingPoint(relevant=0.1, primary=0.2)
    chances = ((0.1, 0.8), (0.2, 0.8), (0.05, 0.7), (0.05, 0.3))  # their mean is that for which a point is stated
    estimates = [RelevanceEstimate(relevant=relevant, supporting=supporting) for relevant, supporting in chances]
    assert file_classes(estimates, point) == [
        Relevance.RELEVANT, Relevance.RELEVANT, Relevance.SUPPORTING, Relevance.IRRELEVANT,
    ]  # fmt: skip
    use = symbol_class(SymbolEstimate(primary=0.2, supporting=0.7, type_context=0.1), point)
    assert use is SymbolUse.PRIMARY
    use = symbol_class(SymbolEstimate(primary=0.1, supporting=0.2, type_context=0.4), point)
    assert use is SymbolUse.TYPE_CONTEXT
    use = symbol_class(SymbolEstimate(primary=0.1, supporting=0.0, type_context=0.1), point)
    assert use is SymbolUse.EXCLUDED


def test_less_is_asked_of_a_file_where_relevant_ones_are_rare() -> None:
    point = OperatingPoint(relevant=0.1, primary=0.2)
    assert least_relevant([0.1] * 5, point) == pytest.approx(0.1)
    assert least_relevant([0.025] * 20, point) == pytest.approx(0.05)
    assert least_relevant([0.4, 0.4], point) == pytest.approx(0.2)
    nothing = RelevanceEstimate(relevant=0, supporting=0)
    assert file_classes([nothing] * 3, point) == [Relevance.IRRELEVANT] * 3
    assert file_classes([], point) == []


def test_frozen_estimates_are_those_of_the_ranking_and_survive_json(index: RepositoryIndex) -> None:
    ranked = rank(TASK, index)
    frozen = frozen_estimates(TASK, index, symbols_of=["src/shop/prices.py"])
    assert frozen.files == {each.path: each.estimate for each in ranked}
    assert set(frozen.symbols) == {"src/shop/prices.py"}
    assert type(frozen).model_validate_json(frozen.model_dump_json()) == frozen


class Judging(ModelPlanner):
    """A model that judges, except in what the classifier answers; remembers what it is asked."""

    def __init__(self, classified: frozenset[Stage]) -> None:
        super().__init__("student", Scripted({}))
        self._classified = classified
        self.requests: list[Request] = []

    @property
    def classified(self) -> frozenset[Stage]:
        return self._classified

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        return Answer(text="{}", model="m")


@pytest.mark.parametrize(
    "classified", [frozenset(), frozenset({Stage.SCOPE}), frozenset({Stage.SCOPE, Stage.PRECISION})]
)
def test_a_stage_that_the_classifier_answers_is_asked_of_no_model(
    index: RepositoryIndex, classified: frozenset[Stage]
) -> None:
    planner, recorder = Judging(classified), Nothing()
    package = retrieve(Task(text=TASK, repository="shop", base="0"), planner, index, recorder)
    asked = {each.stage for each in planner.requests}
    assert classified.isdisjoint(asked)
    assert {Stage.SCOPE, Stage.PRECISION} - classified <= asked
    assert "src/shop/prices.py" in [file.path for file in package.files]
    reasons = [reason for stage, _, _, reason in recorder.decisions if stage == "scope"]
    assert any(reason.startswith("classifier, relevant 0.") for reason in reasons)


def test_a_judge_of_symbols_is_told_what_the_classifier_estimates_of_each(index: RepositoryIndex) -> None:
    planner = Judging(frozenset({Stage.SCOPE}))
    retrieve(Task(text=TASK, repository="shop", base="0"), planner, index, Nothing())
    outlines = {each.path: each for request in planner.requests for each in request.outlines}
    prices = outlines["src/shop/prices.py"]
    frozen = frozen_estimates(TASK, index, symbols_of=[prices.path])
    file, symbols = frozen.files[prices.path], frozen.symbols[prices.path]
    assert {each.name: each.likelihood for each in prices.symbols} == {
        name: pytest.approx(min(1, each.primary / file.relevant)) for name, each in symbols.items()
    }
    assert sorted(each.rank for each in prices.symbols) == list(range(1, len(symbols) + 1))
    [likeliest] = [each.name for each in prices.symbols if each.rank == 1]
    assert likeliest == max(symbols, key=lambda name: symbols[name].primary + symbols[name].supporting / 4)


def test_a_planners_identity_holds_the_classifier_where_it_answers() -> None:
    identities = {Judging(each).identity for each in (frozenset(), frozenset({Stage.SCOPE}))}
    assert len(identities) == 2


# files of classifiers


def test_a_written_classifier_is_read_back_and_gives_the_same_bytes(
    classifier: RelevanceClassifier, tmp_path: Path
) -> None:
    content = write_classifier(classifier.file, tmp_path / "a" / "one.json")
    assert read_classifier(tmp_path / "a" / "one.json") == classifier
    assert content == classifier.content
    write_classifier(classifier.file, tmp_path / "two.json")
    assert (tmp_path / "two.json").read_bytes() == (tmp_path / "a" / "one.json").read_bytes() == SHIPPED.read_bytes()


def other_version(data: dict[str, Any]) -> None:
    data["format"] = "relevance-0"


def not_a_number(data: dict[str, Any]) -> None:
    data["production"]["weights"]["log odds"][0] = float("nan")


def infinite(data: dict[str, Any]) -> None:
    data["symbols"]["temperature"] = float("inf")


def without_a_feature(data: dict[str, Any]) -> None:
    del data["other"]["weights"]["conftest"]


def with_a_strange_feature(data: dict[str, Any]) -> None:
    data["production"]["weights"]["phase of the moon"] = [0.0, 0.0, 0.0]


def without_a_class(data: dict[str, Any]) -> None:
    data["production"]["weights"]["log odds"].pop()


def with_other_classes(data: dict[str, Any]) -> None:
    data["symbols"]["classes"] = ["a", "b", "c", "d"]


def changed_by_hand(data: dict[str, Any]) -> None:
    data["questions"] += 1


SPOILED = (
    other_version, not_a_number, infinite, without_a_feature, with_a_strange_feature, without_a_class,
    with_other_classes, changed_by_hand,
)  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_a_classifier_that_is_not_whole_is_refused_in_one_line(
    spoil: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    data = json.loads(SHIPPED.read_text())
    spoil(data)
    path = tmp_path / "spoiled.json"
    path.write_text(json.dumps(data))
    assert_refused(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 3}', "\xff"])
def test_a_file_that_is_no_classifier_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    path.write_bytes(text.encode("latin-1"))
    assert_refused(path)
    assert_refused(tmp_path / "missing.json")


def assert_refused(path: Path) -> None:
    with pytest.raises(ClassifierError) as caught:
        read_classifier(path)
    assert str(path) in str(caught.value)
    assert "cra relevance fit" in str(caught.value)
    assert "\n" not in str(caught.value)


# probabilities

WEIGHTS = st.tuples(*[st.floats(-50, 50)] * 3)


@given(bias=WEIGHTS, weights=WEIGHTS, value=st.floats(-100, 100), temperature=st.floats(0.1, 10))
def test_probabilities_add_up_to_one(
    bias: tuple[float, ...], weights: tuple[float, ...], value: float, temperature: float
) -> None:
    model = LinearModel(classes=("a", "b", "c"), weights={BIAS: bias, "x": weights}, temperature=temperature)
    found = probabilities(model, {"x": value})
    assert sum(found) == pytest.approx(1)
    assert all(0 <= each <= 1 for each in found)


def test_the_temperature_flattens() -> None:
    weights = {BIAS: (0.0, 0.0, 1.0)}
    sharp, flat = (LinearModel(classes=("a", "b", "c"), weights=weights, temperature=t) for t in (0.5, 2.0))
    assert probabilities(sharp, {})[2] > probabilities(flat, {})[2] > 1 / 3
