"""Position probes: their answers are unique and at their depths; curves, gaps and comparisons are those of scores."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from evals.positions.curves import ProbeResult, Scored, answered, compared
from evals.positions.material import entries_of, functions_shown, sentences_of
from evals.positions.probes import Form, Probe, ProbeSettings, probes_of, score
from harness.packages.contents import content_of
from models.chat import Message
from repos.git import Git
from store.database import open_database
from store.rows import writing
from store.runs import open_raw_store
from store.runs.corpus import add_content
from tests.support.base_material import dataset_of
from tests.support.code_repositories import code_repository
from tests.support.commands import invoke
from tests.support.index_material import repository
from tests.support.tiny import make_tiny_base
from training.adapters.registry.base_registry import BaseRegistry
from training.bases.bases import add_base
from training.data.datasets import read_dataset

ASKED = ProbeSettings(window=400, depths=3, samples=2)


def _words(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return _repository(tmp_path_factory.mktemp("probes") / "made")


def _repository(folder: Path) -> Git:
    """A repository with prose, functions, and a hundred commits."""
    words = ["window", "marker", "cursor", "record", "header", "frame", "lease", "bucket", "plural", "token"]
    words += ["parser", "reader", "writer", "index"]
    sentences = [
        f"The {words[n % 14]} of part {n} is read before the {words[(n * 5 + 2) % 14]} and written after the "
        f"{words[(n * 3 + 1) % 14]} of part {n + 200} has been closed."
        for n in range(80)
    ]
    functions = [
        f"def step_{n}(value):\n    found_in_{n} = value + {n * 17} - {n}\n    return found_in_{n}\n\n\n"
        for n in range(80)
    ]
    first = {"README.md": "# Title\n\n" + "\n\n".join(sentences), "made/steps.py": "".join(functions)}
    rest = [{f"notes/{n}.txt": f"note {n}\n"} for n in range(100)]
    messages = ("Begin with all of it", *(f"Note the {words[n % 14]} of part {n}" for n in range(100)))
    return repository(folder, first, *rest, messages=messages)


def test_material_is_what_the_repository_has(git: Git) -> None:
    head = git.resolve("HEAD")
    sentences = sentences_of(git, head)
    assert len(sentences) == 80 and sentences[0].answer.startswith("The window of part 0 is read")
    assert all(each.key in each.answer and len(each.key.split()) == 5 for each in sentences)
    functions = {each.answer: each for each in functions_shown(git, head)}
    assert len(functions) == 80 and functions["step_7"].key == "found_in_7 = value + 119 - 7"
    entries = entries_of(git, head)
    assert len(entries) == 101 and json.loads(entries[0].shown)["id"] == head[:10] == entries[0].key


def test_each_probe_has_its_answer_once_and_at_its_depth(git: Git) -> None:
    probes = list(probes_of("made", git, git.resolve("HEAD"), ASKED, _words))
    assert Counter(probe.form for probe in probes) == dict.fromkeys(Form, 6)
    for probe in probes:
        context, _, question = probe.messages[1].content.partition("\n\n# Question")
        assert context.count(probe.answer) == 1
        place = context.index(probe.answer) / len(context)
        assert {0.0: place < 0.15, 0.5: 0.3 < place < 0.7, 1.0: place > 0.8}[probe.depth]
        assert probe.answer not in question
        assert 250 < _words(probe.messages) <= 400


def test_the_context_is_the_same_at_every_depth(git: Git) -> None:
    probes = list(probes_of("made", git, git.resolve("HEAD"), ASKED, _words))
    for form in Form:
        mine = [probe for probe in probes if probe.form is form and probe.sample == 0]
        assert len({tuple(sorted(probe.messages[1].content.split())) for probe in mine}) == 1
        assert len({probe.messages for probe in mine}) == 3
    assert probes == list(probes_of("made", git, git.resolve("HEAD"), ASKED, _words))


def test_a_repository_with_too_little_gives_no_probe(git: Git) -> None:
    asked = ProbeSettings(window=100_000)
    assert list(probes_of("made", git, git.resolve("HEAD"), asked, _words)) == []


@pytest.mark.parametrize(
    ("form", "answer", "given", "expected"),
    [
        (Form.DOCUMENT, "One two three four.", "one two three four", 1.0),
        (Form.DOCUMENT, "One two three four.", "two three", 0.5),
        (Form.STRUCTURED, "Fix the parser", "The subject is: fix the  parser.", 1.0),
        (Form.STRUCTURED, "Fix the parser", "Fix the reader", 0.0),
        (Form.CODE, "step_1", "`step_1`", 1.0),
        (Form.CODE, "step_1", "def step_2(value): not step_1", 0.0),
        (Form.CODE, "step_1", "I do not know", 0.0),
    ],
)
def test_scores(form: Form, answer: str, given: str, expected: float) -> None:
    probe = Probe(
        form=form, repository="r", depth=0, sample=0, messages=(), answer=answer,
        others=("step_2",) if form is Form.CODE else (),
    )  # fmt: skip
    assert score(probe, given) == expected


def _result(name: str, by_depth: Sequence[float], repositories: int = 7, prompt: str = "p") -> ProbeResult:
    scores = tuple(
        Scored(form=Form.CODE, repository=f"r{number}", depth=step / 2, sample=0, prompt=prompt, score=value)
        for number in range(repositories)
        for step, value in enumerate(by_depth)
    )
    return ProbeResult(model=name, settings=ProbeSettings(window=400, depths=3), scores=scores)


def test_a_curve_has_average_and_gap() -> None:
    curve = _result("m", (0.9, 0.3, 0.6)).curve()
    assert curve is not None and curve.by_depth == {"0.00": 0.9, "0.50": pytest.approx(0.3), "1.00": pytest.approx(0.6)}
    assert [curve.average, curve.gap] == pytest.approx([0.6, 0.6]) and curve.probes == 21
    assert _result("m", (0.9, 0.3, 0.6)).curve(Form.DOCUMENT) is None


def test_a_comparison_is_over_repositories() -> None:
    found = compared(_result("old", (0.9, 0.3, 0.6)), _result("new", (0.9, 0.6, 0.6)))
    assert found is not None and found.difference == pytest.approx(0.1) and found.gap == pytest.approx(-0.3)
    assert found.p == pytest.approx(2 / 2**7) and found.repositories == 7
    assert compared(_result("old", ()), _result("new", (1, 1, 1))) is None


def test_only_answers_to_the_same_prompts_are_compared() -> None:
    """The second model was asked two repositories with other contexts; its gap there does not count."""
    old, new = _result("old", (0.9, 0.3, 0.6)), _result("new", (0.9, 0.6, 0.6), repositories=5)
    others = [each for each in _result("new", (0.0, 1.0, 0.0), prompt="q").scores if each.repository in ("r5", "r6")]
    found = compared(old, new.model_copy(update={"scores": (*new.scores, *others)}))
    assert found is not None and found.repositories == 5 and (found.probes, found.left_out) == (15, 12)
    assert found.difference == pytest.approx(0.1) and found.gap == pytest.approx(-0.3)
    assert compared(old, _result("new", (0.9, 0.6, 0.6), prompt="q")) is None


def test_the_hash_of_a_prompt_is_of_all_its_text(git: Git) -> None:
    probes = list(probes_of("made", git, git.resolve("HEAD"), ASKED, _words))
    scores = answered(_Reader(), probes)
    assert len({each.prompt for each in scores}) == len({probe.messages for probe in probes}) == len(probes)


class _Reader:
    """An answerer that reads only the second half of its prompt."""

    settings: ClassVar[dict[str, str | int | float]] = {}

    def limit(self, wanted: int) -> int:
        return wanted

    def answer(
        self, messages: Sequence[Message], max_tokens: int, seed: int, temperature: float, schema: object
    ) -> str:
        text = messages[1].content
        context, _, question = text.partition("\n\n# Question\n\n")
        key = question.split("`")[1] if "`" in question else question.split("id ")[1].split("?")[0]
        half = context[len(context) // 2 :]
        for block in half.split("\n\n") if "# Functions" in text else half.splitlines():
            if key in block:
                return block
        return "nothing"


def test_a_model_that_reads_one_half_has_the_gap_that_it_should_have(git: Git) -> None:
    probes = list(probes_of("made", git, git.resolve("HEAD"), ASKED, _words))
    ends = [probe for probe in probes if probe.depth != 0.5]
    result = ProbeResult(model="half", settings=ASKED, scores=tuple(answered(_Reader(), ends)))
    for form in Form:
        curve = result.curve(form)
        assert curve is not None and curve.by_depth == {"0.00": 0.0, "1.00": 1.0} and curve.gap == 1.0


def test_the_command_probes_a_base_once(tmp_path: Path) -> None:
    places = [_repository(tmp_path / name).directory for name in ("one", "two")]
    assert invoke("bases", "add", make_tiny_base(tmp_path / "source"), "--name", "tiny", cwd=tmp_path).returncode == 0
    assert (
        invoke("bases", "add", make_tiny_base(tmp_path / "other", seed=1), "--name", "rival", cwd=tmp_path).returncode
        == 0
    )
    command = ["probe", "positions", "tiny", "--window", "2000", "--depths", "2", "--forms", "structured"]
    command += ["--repositories", ",".join(map(str, places))]
    shown = invoke(*command, "--against", "rival", "--plot", "curves.svg", "--json", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    found = json.loads(shown.stdout)
    assert [each["model"] for each in found["curves"]] == ["rival", "tiny"]
    assert found["curves"][0]["structured"]["probes"] == 4 and found["comparison"]["repositories"] == 2
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "data" / "probes").iterdir()}
    again = invoke(*command, cwd=tmp_path)
    assert again.returncode == 0 and "structured (forward)" in again.stdout
    assert len(kept) == 4 and {file: file.stat().st_mtime_ns for file in kept} == kept


@pytest.mark.parametrize("copied", [False, True])
def test_a_base_is_not_probed_on_what_it_was_tuned_on(tmp_path: Path, copied: bool) -> None:
    """By any base that it was made from, and under any name of a repository; nothing is asked before."""
    places = {name: _repository(tmp_path / name).directory for name in ("seen", "fresh")}
    data = tmp_path / "data"
    curated, raw = open_database(f"sqlite:///{data}/curated.sqlite", "curated"), open_raw_store(data / "raw.sqlite")
    dataset = read_dataset(dataset_of(raw, data, trained=("seen",), held=("other",))).id
    if copied:
        with writing(raw.engine) as connection:
            git = Git(places["seen"])
            add_content(connection, "seen", content_of(git, [git.resolve("HEAD")]))
        places["seen"] = places["seen"].rename(tmp_path / "fork")
    made = add_base(curated, data, make_tiny_base(tmp_path / "source"), "tiny")
    for seed, name in enumerate((dataset, "f" * 64), 1):
        made = BaseRegistry(curated, data).register(
            make_tiny_base(tmp_path / str(seed), seed=seed), "reasoning", made, dataset=name, datasets=(), job="p" * 64,
            config={}, code_revision="2",
        )  # fmt: skip
    command = ["probe", "positions", made.name, "--window", "2000", "--depths", "2", "--forms", "structured"]
    refused = invoke(*command, "--repositories", places["seen"], cwd=tmp_path)
    assert refused.returncode == 2 and f"is in dataset {dataset[:12]}" in refused.stderr
    assert not (data / "probes").exists()
    if not copied:  # without its content, a copy under another name is another repository
        shown = invoke(*command, "--repositories", places["fresh"], cwd=tmp_path)
        assert shown.returncode == 0 and "dataset ffffffffffff is not known here" in shown.stderr
        untrained = [*command[:2], "tiny", *command[3:]]
        assert invoke(*untrained, "--repositories", places["seen"], cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["nobody"], "'nobody' is no endpoint in the settings, and no base 'nobody'"),
        (["tiny", "--window", "9000"], "--window 9000: tiny has a window of 4096"),
        (["tiny", "--forms", "poem"], "--forms"),
        (["tiny", "--plot", "x.pdf"], "--plot"),
        (["tiny", "--repositories", "gone"], "no repository 'gone'"),
    ],
)
def test_what_cannot_be_probed_is_refused(tmp_path: Path, options: list[str], named: str) -> None:
    code_repository(tmp_path, "alpha")
    assert invoke("bases", "add", make_tiny_base(tmp_path / "source"), "--name", "tiny", cwd=tmp_path).returncode == 0
    shown = invoke("probe", "positions", *options, cwd=tmp_path)
    assert shown.returncode == 2 and named in shown.stderr
