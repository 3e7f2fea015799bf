"""Instances out as SWE-bench lines and in again: patches that apply, and errors that name line and field."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.swebench import SweInstance, export_instances, import_instances
from models.errors import UsageError
from models.manifest import Instance, InvalidReason, Manifest
from repos.git import Git, clone
from tests.support.store_material import make_manifest

BEFORE: dict[str, bytes] = {
    "lib.py": b"def one():\n    return 1\n",
    "crlf.py": b"a = 1\r\nb = 2\r\n",
    "no_newline.py": b"x = 1",
    "latin.py": "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1"),
    "data.bin": bytes(range(256)),
    "gone.py": b"old = True\n",
    "moved.py": b"".join(b"line %d\n" % n for n in range(50)),
    "odd name \xe9\xe8 [x]*.py".encode("latin-1").decode("latin-1"): b"odd = 1\n",
    "tests/test_lib.py": b"def test_one():\n    assert True\n",
    ".gitattributes": b"*.py diff=evil text=auto\n*.lock -diff\ncrlf.py eol=lf\n",
    "some.lock": b"version 1\n",
}
AFTER: dict[str, bytes] = {
    **BEFORE,
    "lib.py": b"def one():\n    return 1\n\n\ndef two():\n    return 2  # \xe2\x98\x83 \x0c form feed\n",
    "crlf.py": b"a = 1\r\nb = 3\r\n",
    "no_newline.py": b"x = 2",
    "latin.py": "# -*- coding: latin-1 -*-\nname = 'è'\n".encode("latin-1"),
    "data.bin": bytes(reversed(range(256))),
    "renamed.py": BEFORE["moved.py"] + b"one more\n",
    "odd name \xe9\xe8 [x]*.py": b"odd = 2\n",
    "new/deep.py": b"new = 1\n",
    "empty.py": b"",
    "script.sh": b"#!/bin/sh\n",
    "some.lock": b"version 2\n",
    "tests/test_lib.py": b"def test_one():\n    assert True\n\n\ndef test_two():\n    assert True\n",
    "tests/data/sample.txt": b"for the tests\n",
}
for name in ("gone.py", "moved.py"):
    del AFTER[name]
TESTS = ("tests/test_lib.py", "tests/data/sample.txt")


def git(directory: Path, *args: str, stdin: bytes | None = None) -> bytes:
    identity = {f"GIT_{who}_{what}": "me" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05+0200", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05+0200"}
    home = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(directory), *args]
    env = {**os.environ, **identity, **dates, **home}
    return subprocess.run(command, check=True, capture_output=True, env=env, input=stdin).stdout


def write(directory: Path, files: dict[str, bytes]) -> str:
    """Make a commit that holds exactly these bytes, whatever attributes say; its id."""
    git(directory, "read-tree", "--empty")
    for path, content in files.items():
        blob = git(directory, "hash-object", "-w", "--stdin", "--no-filters", stdin=content).decode().strip()
        mode = "100755" if path.endswith(".sh") else "100644"
        git(directory, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
    git(directory, "commit", "--quiet", "--allow-empty", "-m", "Change things")
    return git(directory, "rev-parse", "HEAD").decode().strip()


def package(tmp_path: Path, before: dict[str, bytes], after: dict[str, bytes]) -> tuple[Manifest, Git]:
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet")
    base, commit = write(work, before), write(work, after)
    instance = Instance(
        instance_id="lib-1", commit=commit, base_commit=base, task="Change things", planning_types=(),
        production_files=("lib.py",), test_files=TESTS, version="1.2",
        fail_to_pass=("tests/test_lib.py::test_two",), pass_to_pass=("tests/test_lib.py::test_one",),
    )  # fmt: skip
    invalid = instance.model_copy(update={"instance_id": "lib-2", "reason": InvalidReason.NO_TESTS})
    source = clone(str(work), tmp_path / "bare.git")
    return make_manifest(0).model_copy(update={"instances": (instance, invalid)}), source


def apply(tree: Path, patch: str) -> None:
    subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"], cwd=tree, input=patch.encode(), check=True,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent), "GIT_CONFIG_GLOBAL": "/dev/null"},
    )  # fmt: skip


def contents(tree: Path) -> dict[str, tuple[bytes, bool]]:
    files = [path for path in tree.rglob("*") if path.is_file()]
    return {str(path.relative_to(tree)): (path.read_bytes(), os.access(path, os.X_OK)) for path in files}


def test_an_exported_patch_turns_the_base_into_the_commit_byte_for_byte(tmp_path: Path) -> None:
    manifest, source = package(tmp_path, BEFORE, AFTER)
    (instance,) = import_instances(export_instances(manifest, source))
    tree, wanted = tmp_path / "tree", tmp_path / "wanted"
    source.export(instance.base_commit, tree)
    source.export(manifest.instances[0].commit, wanted)
    apply(tree, instance.patch)
    production = contents(tree)
    assert {path: found for path, found in production.items() if path.startswith("tests/")} == {
        "tests/test_lib.py": (BEFORE["tests/test_lib.py"], False)
    }
    apply(tree, instance.test_patch)
    assert contents(tree) == contents(wanted)
    assert contents(tree)["script.sh"][1]


def test_a_patch_of_utf8_files_stays_readable(tmp_path: Path) -> None:
    manifest, source = package(tmp_path, {"lib.py": b"x = 1\n", TESTS[0]: b""}, {"lib.py": "x = 'ü'\n".encode()})
    line = next(export_instances(manifest, source))
    assert line.isascii()
    assert "\n" not in line
    assert "+x = 'ü'\n" in json.loads(line)["patch"]
    assert "deleted file" in json.loads(line)["test_patch"]


def test_the_lines_have_the_fields_types_and_values_of_the_field(tmp_path: Path) -> None:
    manifest, source = package(tmp_path, BEFORE, AFTER)
    manifest = manifest.model_copy(update={"source": "https://example.org/me/lib.git"})
    (line,) = export_instances(manifest, source)
    values = json.loads(line)
    assert set(values) == {
        "repo", "instance_id", "base_commit", "patch", "test_patch", "problem_statement", "hints_text",
        "created_at", "version", "FAIL_TO_PASS", "PASS_TO_PASS", "environment_setup_commit",
    }  # fmt: skip
    assert values["FAIL_TO_PASS"] == '["tests/test_lib.py::test_two"]'
    assert (values["repo"], values["version"]) == ("me/lib", "1.2")
    assert values["created_at"] == "2026-01-02T01:04:05Z"
    assert values["environment_setup_commit"] == values["base_commit"] == manifest.instances[0].base_commit


def test_exporting_twice_gives_the_same_lines_whatever_the_users_git_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, source = package(tmp_path, BEFORE, AFTER)
    first = list(export_instances(manifest, source))
    settings = "[diff]\nnoprefix = true\nalgorithm = patience\ncontext = 9\nexternal = false\n"
    (tmp_path / "gitconfig").write_text(settings)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("GIT_DIFF_OPTS", "--unified=9")
    assert list(export_instances(manifest, source)) == first


VALID = {
    "repo": "me/lib", "instance_id": "lib-1", "base_commit": "a" * 40, "problem_statement": "Do it",
    "patch": "diff --git a/x b/x\n", "FAIL_TO_PASS": ["t::a"], "PASS_TO_PASS": "[]", "difficulty": "easy",
}  # fmt: skip


def test_lists_as_json_text_or_plain_and_unknown_fields_are_accepted() -> None:
    (instance,) = import_instances(["", json.dumps(VALID), "  "])
    assert (instance.FAIL_TO_PASS, instance.PASS_TO_PASS) == (("t::a",), ())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"base_commit": "HEAD"}, "line 2: field base_commit: String should match"),
        ({"patch": "not a diff"}, "line 2: field patch: .*holds no diff"),
        ({"patch": ""}, "line 2: field patch"),
        ({"FAIL_TO_PASS": "[oops"}, "line 2: field FAIL_TO_PASS"),
        ({"FAIL_TO_PASS": '{"a": 1}'}, "line 2: field FAIL_TO_PASS"),
        ({"FAIL_TO_PASS": [1]}, r"line 2: field FAIL_TO_PASS\.0"),
        ({"repo": None}, "line 2: field repo"),
        ({}, "line 2: field instance_id: lib-1 is on line 1 as well"),
    ],
)
def test_a_bad_line_is_an_error_that_names_line_and_field(change: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        import_instances([json.dumps(VALID), json.dumps({**VALID, **change})])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{oops", "line 1 is not JSON"),
        ("[1]", r"line 1: field \(the whole line\)"),
        ("{}", "line 1: field repo"),
    ],
)
def test_a_line_that_is_no_instance_is_an_error(line: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        import_instances([line])


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, st.lists(TEXT), TEXT)
def test_what_is_written_is_read_again(task: str, tests: list[str], body: str) -> None:
    instance = SweInstance(
        repo="me/lib", instance_id="lib-1", base_commit="a" * 40, problem_statement=task,
        patch=f"diff --git a/x b/x\n{body}", FAIL_TO_PASS=tuple(tests),
    )  # fmt: skip
    assert import_instances([instance.to_line()]) == [instance]
