"""Programs taken apart: every state is as clean as the program, and the edits give the program back byte for byte."""

import random
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from models.edits import EditFormat
from models.training import Pair, PairSource
from tests.support.python_programs import programs
from training.data.sources.coding import replayed
from training.data.sources.collections import Dropped
from training.data.sources.lintseq import statements
from training.data.sources.lintseq.describe import step_of
from training.data.sources.lintseq.lint import SYNTAX, complaints
from training.data.sources.lintseq.recipe import (
    LINTER,
    NO_STATEMENT,
    NOT_TEXT,
    TOO_MANY,
    UNPARSABLE,
    SourceProgram,
    examples_of,
)
from training.data.sources.lintseq.statements import MODULE, Program
from training.data.sources.lintseq.states import Deletions, generator_of
from training.data.sources.recipes import RecipeSettings

SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
TWO = '''\
import json
import sys


def read(path):
    """Read it."""
    with open(path) as stream:
        return json.load(stream)


def main():
    value = read(sys.argv[1])
    print(value)


main()
'''


def source(text: str, path: str = "pkg/module.py", task: str | None = None) -> SourceProgram:
    return SourceProgram(text, path, f"repo@abc:{path}", "repo", "owner", "domain", "MIT", "abc", task)


def pairs_of(text: str, **options: object) -> list[Pair]:
    asked = RecipeSettings.model_validate({"recipe": PairSource.LINTSEQ, "samples": 1, **options})
    return [each for each in examples_of(source(text), asked).examples if isinstance(each, Pair)]


def reasons_of(text: str) -> list[str]:
    made = examples_of(source(text), RecipeSettings(recipe=PairSource.LINTSEQ, samples=1))
    return [each.reason for each in made.examples if isinstance(each, Dropped)]


def replay(pairs: list[Pair], path: str = "pkg/module.py") -> str | None:
    text: str | None = None
    for pair in pairs:
        text = replayed(pair.answer, path, text)
    return text


@SLOW
@given(programs(), st.integers(0, 3))
def test_every_state_is_as_clean_as_the_program(text: str, seed: int) -> None:
    own = {(fault.kind, fault.name) for fault in complaints(text)}
    assume(all(kind != SYNTAX for kind, _ in own))
    states = list(Deletions(text).states(random.Random(seed)))
    assert states[0].text == text
    assert states[-1].text == ""
    for before, after in pairwise(states):
        assert set(after.kept) < set(before.kept) or after.text != before.text
        assert {(fault.kind, fault.name) for fault in complaints(after.text)} <= own


@SLOW
@given(programs(), st.sampled_from(EditFormat), st.sampled_from([PairSource.LINTSEQ, PairSource.RANDOM_DELETION]))
def test_the_edits_give_the_program_byte_for_byte(text: str, edit_format: EditFormat, recipe: PairSource) -> None:
    assume(all(fault.kind != SYNTAX for fault in complaints(text)))
    made = examples_of(source(text), RecipeSettings(recipe=recipe, samples=2, edit_format=edit_format))
    samples: dict[str, list[Pair]] = {}
    for each in made.examples:
        assert isinstance(each, Pair) or each.reason == "step of an earlier sample", each
        if isinstance(each, Pair):
            samples.setdefault(each.provenance.trajectory.rpartition("#")[2].partition("-")[0], []).append(each)
    assert replay(samples["0"]) == text


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        "\ufeffx = 1\ny = x\n",
        "x = 1\r\nif x:\r\n\ty = '''a\r\nb'''\r\n",
        "x = 1\n\f\ndef f():\n\f    return x\n\n\n",
        "a = 1\nb = a @ a\nc = '@@ -1 +1 @@'\n++ a\n-- b",
        'x = "a\u2028b"\ny = """\n```\n### edit pkg/module.py\n<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n"""\n',
        "if 1:\n\tx = 1\n\tif x:\n\t\ty = 2\n# end",
        "x = 1\ry = x\r",
        "\\\nx = 1\n\\\n\ny = 2",
        "x = 'endoftx<>|'\n\n\n",
    ],
)
def test_odd_texts_come_back_byte_for_byte(text: str) -> None:
    for edit_format in EditFormat:
        pairs = pairs_of(text, edit_format=edit_format)
        assert pairs
        assert replay(pairs) == text


def test_what_uses_a_deleted_name_goes_with_it() -> None:
    program = Program(TWO)
    json_import, use = 0, next(unit.number for unit in program.units if "json.load" in program.lines[unit.head])
    for seed in range(20):
        for state in Deletions(TWO).states(random.Random(seed)):
            owners = {program.owner[line] for line in state.kept}
            assert use not in owners or json_import in owners
            assert ("main()\n" in state.text.splitlines(True)) <= ("def main" in state.text)


def test_another_linter_finds_no_new_fault(tmp_path: Path) -> None:
    text = Path(statements.__file__).read_text()
    for number, state in enumerate(list(Deletions(text).states(random.Random(0)))[:-1]):
        (tmp_path / f"{number}.py").write_text(state.text)
    command = ["ruff", "check", "--isolated", "--no-cache", "--select", "F821,F811,F822,F823,F7,E9", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (tmp_path / "bad.py").write_text("print(undefined)\n")
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 1


def test_faults_of_the_program_itself_do_not_count() -> None:
    text = "import os\nprint(undefined)\nos.sep\n"
    states = list(Deletions(text).states(random.Random(1)))
    assert any("undefined" in state.text for state in states[1:])
    assert all(state.text != "os.sep\n" for state in states)


def test_what_cannot_be_without_a_statement_goes_with_it() -> None:
    arms = "try:\n    x = 1\nexcept ValueError:\n    x = 2\nelse:\n    x = 3\n"
    text = arms + "\nclass C:\n    def f(self):\n        return 1\n"
    for seed in range(20):
        for state in Deletions(text).states(random.Random(seed)):
            assert not complaints(state.text)


def test_names_that_only_a_nested_function_binds_are_kept_with_it() -> None:
    text = "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    g()\n    return x\n"
    for seed in range(10):
        assert all(not complaints(state.text) for state in Deletions(text).states(random.Random(seed)))


def test_the_result_depends_on_no_installed_package() -> None:
    text = "import not_installed_anywhere\nfrom nor_this import name\nnot_installed_anywhere.x(name)\nimport json\n"
    assert complaints(text) == []
    assert any("not_installed_anywhere.x" in state.text for state in list(Deletions(text).states(random.Random(3)))[:2])


def test_comments_and_blank_lines_go_with_what_they_are_about() -> None:
    head, rest = "#!/bin/python\n# Licence\n\n", "# about x\nx = 1\n\n\n# about f\ndef f():\n    y = 1\n"
    text = head + rest + "    # end of f\n\n\nz = 2\n# vim\n"
    program = Program(text)
    owned = {line: program.owner[number] for number, line in enumerate(program.lines) if line.strip().startswith("#")}
    x, f, y = 0, 1, 2
    assert program.units[y].suite == f
    assert owned == {
        "#!/bin/python\n": MODULE,
        "# Licence\n": MODULE,
        "# about x\n": x,
        "# about f\n": f,
        "    # end of f\n": f,
        "# vim\n": MODULE,
    }
    only_z = program.text(program.kept([False, False, False, True]))
    assert only_z == "#!/bin/python\n# Licence\n\nz = 2\n# vim\n"


def test_statements_are_drawn_by_the_depth_of_their_indent() -> None:
    program = Program("if a:\n    if b:\n        if c:\n            d\n")
    assert [unit.weight for unit in program.units] == [1, 1, 2, 3]


def test_the_same_seed_gives_the_same_examples_and_another_one_others() -> None:
    first, second = (pairs_of(TWO, samples=3, seed=7) for _ in range(2))
    assert first == second
    assert pairs_of(TWO, samples=3, seed=8) != first
    assert generator_of(0, 0, "a").random() != generator_of(0, 1, "a").random() != generator_of(0, 0, "b").random()


def test_no_example_is_given_twice() -> None:
    pairs = pairs_of("x = 1\ny = x\n", samples=5)
    assert len({pair.id for pair in pairs}) == len(pairs) == 3  # x, then y; or both at once
    made = examples_of(source("x = 1\ny = x\n"), RecipeSettings(recipe=PairSource.LINTSEQ, samples=5))
    assert made.kept
    assert len(made.examples) > len(pairs)


def test_the_control_deletes_as_many_lines_as_often_and_heeds_nothing() -> None:
    text = TWO * 2
    lintseq, control = (pairs_of(text, recipe=recipe) for recipe in (PairSource.LINTSEQ, PairSource.RANDOM_DELETION))
    assert len(control) == len(lintseq)
    assert {pair.source for pair in control} == {PairSource.RANDOM_DELETION}
    assert replay(control) == text
    broken = 0
    state: str | None = None
    for pair in control:
        state = replayed(pair.answer, "pkg/module.py", state)
        broken += any(fault.kind == SYNTAX for fault in complaints(state or ""))
    assert broken


def test_the_task_is_the_instruction_or_what_the_module_says_it_is() -> None:
    asked = RecipeSettings(recipe=PairSource.LINTSEQ, samples=1)
    for text, task, expected in (
        (TWO, "Print a JSON file.", "Print a JSON file."),
        ('"""Read things."""\n' + TWO, None, "Write the module `pkg/module.py`: Read things."),
        (TWO, None, "Write the module `pkg/module.py` with `read` and `main`."),
    ):
        example = examples_of(source(text, task=task), asked).examples[0]
        assert isinstance(example, Pair)
        assert f"\n{expected}\n" in example.messages[1].content


def test_a_step_names_what_it_adds() -> None:
    program = Program(
        TWO
        + "\n\nclass C:\n    def method(self):\n        self.x = 1\n        return 2\n\nmatch = type(3)\ntype(match)\n"
    )

    def step(*heads: str, creates: bool = False) -> str:
        chosen: set[int] = set()
        for unit in program.units:
            if any(program.lines[unit.head].strip().startswith(head) for head in heads):
                chosen |= set(range(unit.number, unit.stop))
        return step_of(program, chosen, creates)

    assert step("def read") == "Add the function `read`."
    assert step("import json", "return json") == "Add `import json`; a `return` statement in `read`."
    assert step("def method", creates=True) == "Create the file with the method `method` in `C`."
    assert step('"""Read', "self.x") == "Add the docstring in `read`; the assignment of `self.x` in `C.method`."
    assert step("class C", "type(") == "Add the class `C` and a call of `type`."
    assert step("match =") == "Add the assignment of `match`."


def test_the_first_example_creates_the_file_and_rows_are_named() -> None:
    pairs = pairs_of(TWO)
    assert pairs[0].answer.startswith("### create pkg/module.py")
    assert [pair.provenance.trajectory for pair in pairs[:2]] == [
        "repo@abc:pkg/module.py#0-1",
        "repo@abc:pkg/module.py#0-2",
    ]
    assert {(pair.provenance.license, pair.provenance.organisation, pair.provenance.commit) for pair in pairs} == {
        ("MIT", "owner", "abc")
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(:\n", UNPARSABLE),
        ("  x = 1\n", UNPARSABLE),
        ("if 1:\n\tx = 1\n        y = 2\n", UNPARSABLE),
        ("return 1\n", UNPARSABLE),
        ("x = " + "-" * 30_000 + "1\n", UNPARSABLE),
        ("x = " + "(" * 300 + ")" * 300 + "\n", UNPARSABLE),
        ("x = " + "9" * 20_000 + "\n", UNPARSABLE),
        ("if x:\n pass\n" + "elif x:\n pass\n" * 2_800, LINTER),
        ('x = "\ud800"\n', NOT_TEXT),
        ("# only\n# comments\n", NO_STATEMENT),
        ("x = 1\n" * 1_001, TOO_MANY),
    ],
)
def test_what_cannot_be_taken_apart_is_named(text: str, reason: str) -> None:
    assert reasons_of(text) == [reason]
