"""What a package says of itself: honest values are read, odd ones are named, and what can be derived is derived."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from benchmarks.attacks._package import environment_of, honest_package, make_wheel, manifest_of, sha256, write_manifest
from harness.packages.checks import shown, values
from harness.packages.package import package_findings, read_package
from models.errors import EnvironmentFault, ManifestError, WheelError
from models.manifest import Environment
from repos.trees import inside
from runtime.environments import EnvironmentStore, environment_identity
from runtime.environments.wheels import locked
from tests.support.commands import invoke

ODD = st.text(st.characters(codec="utf-8"), max_size=60) | st.text("./\\-_:@%\0\n\x1b ab1", max_size=20)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return honest_package(tmp_path)


def test_an_honest_package_is_read_and_nothing_is_found(package: Path) -> None:
    assert read_package(package).manifest.name == "little"
    assert package_findings(package) == []


@pytest.mark.parametrize("version", ["0", "1.0", "0.1.dev3", "1!2.0", "2.0rc1", "1.0.post1", "1.0+local.7", "2024.1.1"])
def test_versions_that_tags_name_are_read(version: str) -> None:
    assert values.version(version) is None


@given(ODD)
def test_only_normal_versions_and_single_names_can_become_a_path(text: str) -> None:
    if values.version(text) is None:
        assert str(Version(text)) == text
    for check in (values.version, values.component, values.environment_id, values.commit_id, values.abi, values.wheel):
        if check(text) is None:
            assert Path(text).name == text
            assert text.isprintable()
            assert not text.startswith("-")


@given(ODD)
def test_a_path_that_is_accepted_stays_inside(text: str) -> None:
    if values.path(text) is None:
        assert inside(text)
        assert text.isprintable() or not text.isascii()
        assert (Path("/tree") / text).resolve() == Path("/tree") / text


@given(st.lists(st.sampled_from(["a", "b-c", "d_e", "t.py"]), min_size=1, max_size=4))
def test_plain_paths_are_accepted(parts: list[str]) -> None:
    assert values.path("/".join(parts)) is None
    assert values.node_id("/".join(parts) + "::test[a / b-\x1b]") is None


@given(ODD)
def test_what_is_shown_is_short_and_printable(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text * 1000)) < 200


HASH = st.text("0123456789abcdef", min_size=64, max_size=64)
PIN = st.tuples(
    st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.integers(0, 99), st.lists(HASH, min_size=1, max_size=3)
)


@given(st.lists(PIN, max_size=5, unique_by=lambda pin: pin[0]))
def test_a_lock_is_read_back(pins: list[tuple[str, int, list[str]]]) -> None:
    text = "".join(f"{n}=={v} \\\n" + " \\\n".join(f"    --hash=sha256:{h}" for h in hs) + "\n" for n, v, hs in pins)
    assert locked(text) == {(n, Version(str(v))): frozenset(hs) for n, v, hs in pins}


@given(ODD.filter(lambda text: bool(text.strip(" \n\\"))))
def test_nothing_but_pins_is_taken_for_a_lock(text: str) -> None:
    good = "a==1 --hash=sha256:" + "0" * 64
    with pytest.raises(EnvironmentFault):
        locked(f"{good}\n{text}\n")


def test_what_is_derived_differs_with_every_part_of_the_content(package: Path) -> None:
    environment = read_package(package).manifest.environments[0]
    (name,) = environment.wheels
    same = environment.model_copy(update={"key": "0" * 20, "requires": ("other",)})
    identity = environment_identity(environment, {name: "0" * 64})
    assert identity == environment_identity(same, {name: "0" * 64, "unused": "1" * 64})
    assert len(identity) == 32
    others = {
        environment_identity(environment, {name: "1" * 64}),
        environment_identity(environment.model_copy(update={"lock": "x"}), {name: "0" * 64}),
        environment_identity(environment.model_copy(update={"abi": "cp39"}), {name: "0" * 64}),
        environment_identity(environment.model_copy(update={"wheels": ()}), {}),
    }
    assert len(others | {identity}) == 5


def test_the_store_goes_by_content_and_takes_named_wheels_only(package: Path, tmp_path: Path) -> None:
    read = read_package(package)
    environment = read.manifest.environments[0]
    with EnvironmentStore(tmp_path / "store", 1 << 30).acquire(environment, read.wheels) as built:
        assert built.key == read.environment_identity(environment.key)
        assert built.prefix == tmp_path / "store" / "environments" / built.key / "venv"
    elsewhere = environment.model_copy(update={"wheels": ("tiny-2.0-py3-none-any.whl",)})
    store = EnvironmentStore(tmp_path / "store", 1 << 30)
    with pytest.raises(WheelError, match=r"tiny==1\.0"), store.acquire(elsewhere, read.wheels):
        pass


def test_wheels_that_bring_different_files_to_one_place_are_not_installed_together(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    wheels = [make_wheel(folder, name, files={"shared.py": name}) for name in ("one", "two")]
    environment = Environment.model_validate_json(json.dumps(environment_of(*wheels)))
    with (
        pytest.raises(WheelError, match=r"shared\.py"),
        EnvironmentStore(tmp_path / "store", 1 << 30).acquire(environment, folder),
    ):
        pass


def test_a_name_of_the_stores_that_is_none_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    store = EnvironmentStore(tmp_path / "store", 1 << 30)
    for name in (str(tmp_path / "kept"), "../../kept", "", "."):
        with pytest.raises(EnvironmentFault):
            store.remove(name)
    assert (tmp_path / "kept").is_dir()


def test_the_command_says_everything_that_is_wrong(package: Path) -> None:
    manifest = manifest_of(package)
    manifest["instances"][0]["version"] = "1/../../x"
    manifest["environments"][0]["key"] = "/etc"
    manifest["flags"] = ["\x1b[2J"]
    write_manifest(package, manifest)
    fields = [finding.field for finding in package_findings(package)]
    assert {"flags", "environments.0.key", "instances.0.version", "instances.0.environment"} <= set(fields)
    lines = show(package, "--check", code=1).splitlines()
    assert len(lines) == len(fields)
    assert all(field in line for field, line in zip(fields, lines, strict=True))
    told = json.loads(show(package, "--check", "--json", code=1))
    assert [finding["field"] for finding in told["findings"]] == fields
    assert all(finding["remedy"] for finding in told["findings"])


def test_the_command_finds_bad_wheels_stray_ones_and_missing_ones(package: Path) -> None:
    (wheel,) = (package / "packages").iterdir()
    make_wheel(package / "packages", "stray")
    assert "stray-1.0" in show(package, "--check", code=1)
    wheel.write_bytes(b"no wheel")
    assert "SHA-256" in show(package, "--check", code=1)
    wheel.unlink()
    assert "missing" in show(package, "--check", code=1)


def test_the_command_prints_no_control_characters_of_a_task(package: Path) -> None:
    manifest = manifest_of(package)
    manifest["instances"][0]["task"] = "Halve\x1b]0;owned\x07 numbers"
    write_manifest(package, manifest)
    assert "\x1b" not in show(package, code=0)


def show(package: Path, *options: str, code: int) -> str:
    done = invoke("corpus", "show", package, *options, cwd=package.parent)
    assert done.returncode == code, done.stderr
    return done.stdout


def test_a_folder_of_generated_tests_that_is_a_link_is_refused(package: Path, tmp_path: Path) -> None:
    text = "def test_more():\n    assert False\n"
    manifest = manifest_of(package)
    digest = write_generated(tmp_path / "elsewhere", text)
    (package / "generated").symlink_to(tmp_path / "elsewhere")
    manifest["instances"][0]["fail_to_pass"] = ["test_more.py::test_more"]
    manifest["instances"][0]["generated"] = {
        "files": [{"path": "test_more.py", "sha256": digest}], "told_apart": {"test_more.py::test_more": "assertion"},
        "instead_of": "no-fail-to-pass", "model": "m", "prompt_hash": digest, "answer_hash": digest, "round": 1,
    }  # fmt: skip
    write_manifest(package, manifest)
    with pytest.raises(ManifestError, match="generated"):
        read_package(package)
    (package / "generated").unlink()
    write_generated(package / "generated", text)
    assert read_package(package).manifest.instances[0].generated is not None


def write_generated(folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "made").write_text(text)
    digest = sha256(folder / "made")
    (folder / "made").rename(folder / f"{digest}.py")
    return digest


def strings(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where the texts of a manifest are."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from strings(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from strings(below, (*path, index))


def test_no_text_of_a_manifest_may_hold_a_nul(package: Path) -> None:
    honest = manifest_of(package)
    described = {
        "model": "m",
        "judge": "j",
        "score": 4.5,
        "prompt_hash": honest["wheels"][next(iter(honest["wheels"]))],
    }
    honest["instances"][0]["message"] = described
    write_manifest(package, honest)
    assert read_package(package).manifest.instances[0].message is not None
    for path in strings(honest):
        manifest = manifest_of(package)
        place: object = manifest
        for step in path[:-1]:
            place = place[step]  # type: ignore[index]
        place[path[-1]] += "\0"  # type: ignore[index]
        write_manifest(package, manifest)
        with pytest.raises(ManifestError, match=str(path[0])):
            read_package(package)
        write_manifest(package, honest)
