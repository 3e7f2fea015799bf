"""Judging candidates: what passes, what fails, and what tries to decide the verdict by itself."""

import pytest

from harness.packages.gold_patch import read_gold_patch
from harness.packages.package import RepoPackage
from harness.validation.judge import judge_candidate
from models.files import Overlay
from models.outcomes import OutcomeKind, first_files
from runtime.testing.pytest_runner.configuration import runner_configuration
from runtime.trees import Runtime

pytestmark = pytest.mark.index


@pytest.fixture(scope="module")
def gold(sample: RepoPackage) -> Overlay:
    instance = sample.manifest.instances[0]
    patch = read_gold_patch(sample.git, instance.commit, instance.base_commit)
    diffs = [diff for change in patch.production for diff in change.diffs()]
    return {d.path: None if d.after is None else (d.after.text.encode(), d.after.executable) for d in diffs}


def judged(runtime: Runtime, sample: RepoPackage, changes: Overlay) -> tuple[OutcomeKind, str]:
    verdict, _ = judge_candidate(runtime, sample, sample.manifest.instances[0], changes, "key")
    return verdict.kind, verdict.detail


def text(content: str) -> tuple[bytes, bool]:
    return content.encode(), False


def test_the_gold_patch_passes_and_nothing_fails(runtime: Runtime, sample: RepoPackage, gold: Overlay) -> None:
    assert judged(runtime, sample, gold) == (OutcomeKind.PASSED, "")
    assert judged(runtime, sample, {})[0] is OutcomeKind.TESTS_FAILED


def test_a_patch_that_breaks_another_test_is_a_regression(runtime: Runtime, sample: RepoPackage, gold: Overlay) -> None:
    broken = {**gold, "src/spans/span.py": text("class Span: pass\n")}
    kind, detail = judged(runtime, sample, broken)
    assert kind is OutcomeKind.REGRESSION, detail


def test_tests_that_a_failed_candidate_never_came_to_are_not_counted_as_failed(
    runtime: Runtime, sample: RepoPackage
) -> None:
    instance = sample.manifest.instances[0]
    verdict, report = judge_candidate(runtime, sample, instance, {}, "key")
    elsewhere = {test for test in instance.pass_to_pass if test.partition("::")[0] not in first_files(instance)}
    assert elsewhere and set(verdict.p2p_not_run) == elsewhere
    assert (verdict.p2p_failed, elsewhere & set(report.cases)) == ((), set())
    verdict, _ = judge_candidate(runtime, sample, instance, {"pytest.py": text("")}, "key")
    assert (verdict.kind, verdict.p2p_not_run) == (OutcomeKind.TAMPERED, instance.pass_to_pass)


def test_tests_of_the_candidates_own_do_not_count(runtime: Runtime, sample: RepoPackage) -> None:
    mine = {
        "tests/test_show.py": text("def test_puts_the_sign_in_front():\n    pass\n"),
        "tests/conftest.py": text("import os\nos._exit(0)\n"),
        "conftest.py": text("import os\nos._exit(0)\n"),
    }
    assert judged(runtime, sample, mine)[0] is OutcomeKind.TESTS_FAILED


@pytest.mark.parametrize(
    "path",
    ["pytest.py", "src/pytest/__init__.py", "src/sitecustomize.py", "sitecustomize.py", "src/json.py", "x.pth"],
)
def test_a_file_that_stands_in_for_the_runner_is_refused(runtime: Runtime, sample: RepoPackage, path: str) -> None:
    kind, detail = judged(runtime, sample, {path: text("x = 1\n")})
    assert kind is OutcomeKind.TAMPERED
    assert path in detail


def test_configuration_that_loads_a_plugin_is_refused(runtime: Runtime, sample: RepoPackage, gold: Overlay) -> None:
    plugin = {"src/spans/innocent.py": text("import os\nos._exit(0)\n")}
    base = sample.git.read(sample.manifest.instances[0].base_commit, "pyproject.toml")
    assert base is not None
    for changes in (
        {"pytest.ini": text("[pytest]\naddopts = -p spans.innocent\n")},
        {
            "pyproject.toml": (
                base.replace(b"[tool.pytest.ini_options]", b'[tool.pytest.ini_options]\naddopts = "-p x"'),
                False,
            )
        },
        {"pyproject.toml": (base + b'\n[project.entry-points.pytest11]\nx = "spans.innocent"\n', False)},
        {"tox.ini": text("[pytest]\naddopts = -p spans.innocent\n")},
    ):
        assert judged(runtime, sample, {**gold, **plugin, **changes})[0] is OutcomeKind.TAMPERED


def test_a_build_cannot_touch_the_hidden_tests_or_add_a_stand_in(runtime: Runtime, sample: RepoPackage) -> None:
    backend = (
        "import os, zipfile\n\n\ndef build_wheel(out, *args, **kwargs):\n"
        "    for folder, _, names in os.walk('tests'):\n"
        "        for name in names:\n"
        "            open(os.path.join(folder, name), 'w').write('def test_puts_the_sign_in_front(): pass')\n"
        "    with zipfile.ZipFile(os.path.join(out, 'spans-1-py3-none-any.whl'), 'w') as wheel:\n"
        "        for name in os.listdir('src/spans'):\n"
        "            wheel.write(f'src/spans/{name}', f'spans/{name}')\n"
        "        wheel.writestr('EXTRA', 'x = 1')\n    return 'spans-1-py3-none-any.whl'\n"
    )
    base = sample.git.read(sample.manifest.instances[0].base_commit, "pyproject.toml")
    assert base is not None
    project = base.decode().replace('"flit_core.buildapi"', '"backend"\nbackend-path = ["."]')
    for name, expected in ("spans/extra.py", OutcomeKind.TESTS_FAILED), ("sitecustomize.py", OutcomeKind.TAMPERED):
        changes = {
            "backend.py": text(backend.replace("EXTRA", name)),
            "pyproject.toml": text(project),
            "src/spans/fast.pyx": text("cdef int x = 1\n"),
        }
        kind, detail = judged(runtime, sample, changes)
        assert kind is expected, detail


def test_the_runners_configuration_is_read_from_every_place() -> None:
    def read(**files: str) -> str:
        named = {name.replace("_", "."): content.encode() for name, content in files.items()}
        return runner_configuration(named.get)

    empty = read()
    assert read(pyproject_toml='[project]\nname = "x"\n', setup_cfg="[metadata]\nname = x\n") == empty
    for files in (
        {"pytest_ini": "[pytest]"},
        {"pyproject_toml": "[tool.pytest.ini_options]\naddopts = '-q'\n"},
        {"setup_cfg": "[tool:pytest]\naddopts = -q\n"},
        {"setup_cfg": "[options.entry_points]\npytest11 =\n  x = y\n"},
        {"tox_ini": "[pytest]\naddopts = -q\n"},
        {"pyproject_toml": "this is not toml"},
    ):
        assert read(**files) != empty
    assert read(setup_cfg="[options.entry_points]\nconsole_scripts =\n  x = y\n") == empty


BACKEND = """
import pathlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "spans-9.9-py3-none-any.whl"
    with zipfile.ZipFile(f"{{folder}}/{{name}}", "w") as archive:
        for path in sorted(pathlib.Path("src").rglob("*.py")):
            archive.write(path, path.relative_to("src"))
        archive.writestr("spans-9.9.dist-info/METADATA", "Metadata-Version: 2.1\\nName: spans\\nVersion: 9.9\\n")
        points = "[console_scripts]\\nspans = spans.cli:main\\n"
        {more}
        archive.writestr("spans-9.9.dist-info/entry_points.txt", points)
    return name
"""


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ("pass", OutcomeKind.PASSED),
        ("points += '[pytest11]\\nx = spans.x\\n'", OutcomeKind.TAMPERED),
        ("archive.writestr('_pytest/main.py', '')", OutcomeKind.TAMPERED),
        ("archive.writestr('sitecustomize.py', '')", OutcomeKind.TAMPERED),
        ("archive.writestr('pytest-9.9.dist-info/METADATA', 'Name: pytest')", OutcomeKind.BUILD_FAILED),
        ("raise RuntimeError('no')", OutcomeKind.BUILD_FAILED),
    ],
    ids=["honest", "plugin", "runner", "start-up", "foreign-metadata", "fails"],
)
def test_a_candidate_s_own_back_end_gets_no_further_than_its_files(
    runtime: Runtime, sample: RepoPackage, gold: Overlay, more: str, kind: OutcomeKind
) -> None:
    pyproject = sample.git.read(sample.manifest.instances[0].base_commit, "pyproject.toml")
    assert pyproject is not None
    table = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["_build"]\n'
    without = pyproject.decode().partition("[build-system]")
    rest = without[2].partition("\n[")
    changes = {
        **gold,
        "pyproject.toml": text(f"{without[0]}{table}\n[{rest[2]}" if rest[1] else f"{without[0]}{table}"),
        "_build/own.py": text(BACKEND.format(more=more)),
    }
    found, detail = judged(runtime, sample, changes)
    assert found is kind, detail
