"""Answers of scope and precision in both forms: what is written is read, and nothing else is."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.retrieve.judgements import (
    SymbolKey,
    form_of,
    parse_precision,
    parse_scope,
    precision_classes,
    read_precision,
    read_scope,
    scope_classes,
    write_precision,
    write_scope,
)
from models.context import Candidate, CandidateTier, FileOutline, Relevance, SymbolOutline, SymbolUse
from models.errors import PlanError
from models.judging import AnswerForm

FORMS = st.sampled_from(AnswerForm)
PATHS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=1, max_size=12, unique=True)
PROSE = st.text(st.characters(codec="utf-8", exclude_characters="{}`"), max_size=40)
LETTERS = AnswerForm.LETTERS


def relevances(paths: Sequence[str]) -> st.SearchStrategy[dict[str, Relevance]]:
    return st.fixed_dictionaries({path: st.sampled_from(Relevance) for path in paths})


def uses(paths: Sequence[str]) -> st.SearchStrategy[dict[str, dict[str, SymbolUse]]]:
    names = st.dictionaries(st.sampled_from(["a", "A.b", "1", "é"]), st.sampled_from(SymbolUse), min_size=1)
    return st.fixed_dictionaries(dict.fromkeys(paths, names))


def symbols_of(judged: dict[str, dict[str, SymbolUse]]) -> list[SymbolKey]:
    return [(path, name) for path, names in judged.items() for name in names]


@given(PATHS.flatmap(relevances), FORMS, FORMS)
def test_scope_is_read_as_it_was_written_whichever_form_was_asked_for(
    judged: dict[str, Relevance], form: AnswerForm, asked: AnswerForm
) -> None:
    text = write_scope(judged, form)
    assert read_scope(text, list(judged), asked) == judged
    assert scope_classes(text) == list(judged.values())
    assert form_of(text) is form


@given(PATHS.flatmap(uses), FORMS, FORMS)
def test_precision_is_read_as_it_was_written_whichever_form_was_asked_for(
    judged: dict[str, dict[str, SymbolUse]], form: AnswerForm, asked: AnswerForm
) -> None:
    text, shown = write_precision(judged, form), symbols_of(judged)
    expected = {(path, name): judged[path][name] for path, name in shown}
    assert read_precision(text, shown, asked) == expected
    assert precision_classes(text) == list(expected.values())
    assert form_of(text) is form


@given(PATHS.flatmap(relevances), FORMS, PROSE, PROSE)
def test_prose_around_an_answer_does_not_matter(
    judged: dict[str, Relevance], form: AnswerForm, before: str, after: str
) -> None:
    assert read_scope(f"{before}{write_scope(judged, form)}{after}", list(judged), form) == judged


@given(st.text(max_size=80), st.integers(0, 4), FORMS)
def test_any_text_is_read_or_refused_in_one_line(text: str, shown: int, form: AnswerForm) -> None:
    paths = [f"{number}.py" for number in range(shown)]
    for read in (
        lambda: read_scope(text, paths, form),
        lambda: read_precision(text, [(path, "f") for path in paths], form),
        lambda: scope_classes(text),
        lambda: precision_classes(text),
    ):
        try:
            read()
        except PlanError as error:
            assert str(error) and "\n" not in str(error)


VALUES = st.sampled_from(["R", "s", " I ", "relevant", "P", "X", "", 1, None, ["R"], {"1": "R"}])
ANSWERS = st.dictionaries(st.sampled_from(["0", "1", "2", "3", "01", "-1", "1.0", "٣", "³", "a.py", " 1"]), VALUES)


@given(ANSWERS)
def test_numbers_and_letters_outside_the_question_are_refused(answer: dict[str, object]) -> None:
    """Two files are shown: only 1 and 2 are their numbers, and only R, S and I, in either case or as words, classes."""
    good = {"R", "s", " I ", "relevant"}
    readable = bool(answer) and all(
        key in ("1", "2") and isinstance(value, str) and value in good for key, value in answer.items()
    )
    try:
        judged = read_scope(json.dumps(answer), ["x.py", "y.py"], LETTERS)
    except PlanError:
        assert not readable
    else:
        assert readable
        assert len(judged) == len(answer)
        assert list(judged) == [path for number, path in (("1", "x.py"), ("2", "y.py")) if number in answer]


@pytest.mark.parametrize("form", AnswerForm)
def test_what_an_answer_omits_is_left_out_and_a_number_given_twice_is_refused(form: AnswerForm) -> None:
    assert read_scope('{"2": "S"}', ["a", "b"], form) == {"b": Relevance.SUPPORTING}
    with pytest.raises(PlanError):
        read_scope('{"1": "R", "1": "I"}', ["a", "b"], form)


def test_an_empty_answer_is_refused_as_it_was_asked_for() -> None:
    for form in AnswerForm:
        for text in ("{}", "[]", '{"what": "R"}'):
            with pytest.raises(PlanError):
                read_scope(text, ["a"], form)
    assert read_scope('{"files": {}}', ["a"], LETTERS) == {}


def test_a_letter_stands_for_one_class() -> None:
    for kind in (Relevance, SymbolUse):
        assert len({each.letter for each in kind}) == len(kind)


def test_numbers_count_what_a_question_shows_over_all_its_files() -> None:
    def outline(path: str, *names: str) -> FileOutline:
        symbols = tuple(SymbolOutline(name=name, kind="function", signature="") for name in names)
        return FileOutline(path=path, relevance=Relevance.RELEVANT, symbols=symbols)

    judged = parse_precision('{"3": "P", "1": "E"}', [outline("a.py", "f", "g"), outline("b.py", "f")], LETTERS)
    assert [(each.path, each.symbol, each.use) for each in judged] == [
        ("a.py", "f", SymbolUse.EXCLUDED),
        ("b.py", "f", SymbolUse.PRIMARY),
    ]
    candidates = [Candidate(path=path, score=0, tier=CandidateTier.LEXICAL, reason="") for path in ("a.py", "b.py")]
    assert [each.path for each in parse_scope('{"2": "R"}', candidates, LETTERS)] == ["b.py"]
