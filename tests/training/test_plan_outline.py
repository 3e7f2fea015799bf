"""Outlines of plans: headings, nesting, and texts that are written to be slow or deep."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import invoke as cra
from tests.support.mining_history import write_history
from tests.support.plan_histories import begun, quiet, work
from training.data.sources.plan_artifacts.outline import DEEPEST, outline
from training.data.sources.plan_artifacts.places import as_path
from training.data.sources.plan_artifacts.steps import plain
from training.data.sources.plan_artifacts.task import subject_of

READ_ALL = """
import sys

from training.data.sources.plan_artifacts.following import ticked
from training.data.sources.plan_artifacts.history import Commit, Version
from training.data.sources.plan_artifacts.mapping import Repository, map_plan
from training.data.sources.plan_artifacts.parts import is_no_work, parts_of
from training.data.sources.plan_artifacts.places import KnownPaths, as_path, paths_in, symbols_in
from training.data.sources.plan_artifacts.plans import Plan, kept
from training.data.sources.plan_artifacts.recognise import PlanScore, score
from training.data.sources.plan_artifacts.steps import listed_files, plain, steps_of
from training.data.sources.plan_artifacts.task import task_of

run = sys.argv[1] * (20_000 // len(sys.argv[1]))
around = ["{}x", "a{}:{}x", "**goal{}x", "**a**{}x", "files {}x", "add {}x", "plan{}x", "x {}plan", "after tasks{}x",
          "step 1{}x", "<br{}x", "tests{}x", "`{}`", "overview{}x", "1. {}x", "a/{}x", "**architecture{}x"]
known = KnownPaths(["a.py"])
for text in (each.format(run, run) for each in around):
    whole = (f"# {text}\\n\\n{text}\\n\\n**Goal:** {text}\\n\\n## Overview {text}\\n\\n{text}\\n\\n## Tasks\\n\\n"
             f"### Task 1: {text}\\n\\n{text}\\n- [ ] `a.py` {text}\\n- {text}\\n  - {text}\\n\\n"
             f"### Task 2: last\\n- [ ] change `a.py`\\n")
    commit = Commit("0" * 40, ("1" * 40,), 0, "docs: plan", "", ())
    plan = Plan(Version(commit.sha, "docs/plan.md", ""), commit, whole, PlanScore(), whole)
    mapped = map_plan(plan, Repository(known, known))
    task_of(plan, known, [mapped.meta] if mapped.meta else [])
    for part in parts_of(plan.sections):
        steps_of(part), listed_files(part), paths_in("\\n".join(part.texts())), symbols_in("\\n".join(part.texts()))
    ticked(plan.sections), score("docs/plan.md", plan.sections), kept(whole, whole), is_no_work(text), plain(text)
    as_path(text[:200])
"""


@pytest.mark.parametrize("run", [" ", "#", "[", "`", "-", "*", ":1", "()"])
def test_no_run_of_a_character_costs_more_than_its_length(run: str) -> None:
    subprocess.run([sys.executable, "-c", READ_ALL, run], check=True, timeout=20)


@pytest.mark.parametrize(
    ("line", "title"),
    [("# a", "a"), ("## a ##  ", "a"), ("# a # b #", "a # b"), ("#  ", ""), ("# C#", "C"), ("   # a\t", "a")],
)
def test_headings_lose_their_closing_marks(line: str, title: str) -> None:
    assert outline(line)[-1].title == title


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("Implementation Plan: Faster search", "Faster search"),
        ("Faster search - Implementation Plan", "Faster search"),
        ("Faster search Refactoring Plan Document", "Faster search"),
        ("Plan - Faster search — Summary", "Faster search"),
        ("Plan", ""),
        ("Planning of search", "Planning of search"),
    ],
)
def test_titles_lose_the_words_that_call_them_plans(title: str, subject: str) -> None:
    assert subject_of(title) == subject


def test_ticks_are_no_words() -> None:
    assert plain("✅ ✅ done  ✓ **now** ❌") == "done now"


@pytest.mark.parametrize(
    "tail", ["", ":12", ":12-14, 20", "::test_a", ":f()", "#L3-L9", " (new)", ":12 (new)", ":1:2", "::A.b::c"]
)
def test_line_numbers_are_cut_off_paths(tail: str) -> None:
    assert as_path(f"pkg/a.py{tail}") == "pkg/a.py"


def test_items_nested_deeper_than_any_list_are_kept_as_children_of_the_deepest() -> None:
    (section,) = outline("\n".join(f"{' ' * depth}- item {depth}" for depth in range(1100)))
    found = [item.text for item in section.all_items()]
    assert found == [f"item {depth}" for depth in range(1100)]
    assert section.items[0].whole.count("\n") == 1099
    item, depth = section.items[0], 0
    while item.children:
        item, depth = item.children[0], depth + 1
    assert depth == DEEPEST


def test_an_unreadable_repository_does_not_cost_the_others(tmp_path: Path) -> None:
    shop, broken = tmp_path / "shop", tmp_path / "broken"
    write_history(shop, [*begun(), *work(), *quiet()])
    broken.mkdir()
    made = json.loads(cra("plans", "collect", broken, shop, "--json", cwd=tmp_path).stdout)
    assert (made["pairs"], made["dropped"]["repository cannot be read"]) == (3, 1)
    bad, good = json.loads(cra("plans", "find", broken, shop, "--json", cwd=tmp_path).stdout)
    assert (len(bad["plans"]), bad["met"], len(good["plans"])) == (0, {"repository cannot be read": 1}, 1)
    assert "broken" in bad["error"]
    alone = cra("plans", "find", broken, cwd=tmp_path)
    assert (alone.returncode, "broken" in alone.stderr) == (2, True)
