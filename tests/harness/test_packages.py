"""Repo packages: what is written is read again, and what does not fit is refused in one line."""

import json
import shutil
from pathlib import Path

import pytest

from harness.packages.package import MANIFEST, RepoPackage, check_wheels, read_package, write_atomically
from harness.packages.prepare import origin_of
from models.errors import InfrastructureError, ManifestError, WheelError

pytestmark = pytest.mark.index


@pytest.fixture
def package(sample: RepoPackage, tmp_path: Path) -> RepoPackage:
    shutil.copytree(sample.directory, tmp_path / "spans")
    return read_package(tmp_path / "spans")


def change(package: RepoPackage, **fields: object) -> None:
    path = package.directory / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_instances_of_the_sample_are_valid_and_complete(sample: RepoPackage) -> None:
    assert [instance.valid for instance in sample.manifest.instances] == [True, True, True]
    newest = sample.manifest.instances[0]
    assert newest.task.startswith("Show negative durations with a sign")
    assert newest.fail_to_pass == ("tests/test_show.py::test_puts_the_sign_in_front",)
    assert len(newest.pass_to_pass) > 20
    check_wheels(sample)


def test_the_same_manifest_has_the_same_identity_and_another_one_has_not(
    package: RepoPackage, sample: RepoPackage
) -> None:
    assert package.identity == sample.identity
    change(package, domain="Somewhere")
    assert read_package(package.directory).identity != sample.identity


def test_no_path_of_this_machine_is_in_a_manifest(sample: RepoPackage) -> None:
    text = (sample.directory / MANIFEST).read_text()
    assert str(sample.directory) not in text
    assert sample.manifest.source == "local:spans"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"schema_version": None}, "schema version None"),
        ({"surprise": 1}, "surprise"),
        ({"instances": "none"}, "instances"),
        ({"head": "0" * 40}, "lacks commit 0000"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(package: RepoPackage, fields: dict[str, object], says: str) -> None:
    change(package, **fields)
    with pytest.raises(ManifestError, match=says) as caught:
        read_package(package.directory)
    assert "\n" not in str(caught.value)


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no repo package"):
        read_package(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ManifestError, match="not a JSON object"):
        read_package(tmp_path)


def test_a_wheel_that_is_missing_or_changed_is_named(package: RepoPackage) -> None:
    name = sorted(package.manifest.wheels)[0]
    wheel = package.wheels / name
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(WheelError, match=name):
        check_wheels(package)
    wheel.unlink()
    with pytest.raises(WheelError, match=name):
        check_wheels(package)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomically(target, "old")
    with pytest.raises(InfrastructureError, match="cannot be written"):
        write_atomically(target / "below-a-file", "new")
    assert target.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("git@example.org:team/thing.git", "git@example.org:team/thing.git"),
        ("https://example.org/team/thing?token=secret", "https://example.org/team/thing"),
    ],
)
def test_an_origin_holds_no_credentials(given: str, kept: str) -> None:
    assert origin_of(given) == kept


def test_a_clone_that_came_with_settings_or_borrowed_objects_is_refused(package: RepoPackage) -> None:
    config = package.directory / "repo" / "config"
    ours = config.read_text()
    config.write_text(ours + "[core]\n\tsshCommand = touch /tmp/sprung\n")
    with pytest.raises(ManifestError, match=r"core\.sshcommand"):
        read_package(package.directory)
    config.write_text(ours)
    (package.directory / "repo" / "objects" / "info").mkdir(exist_ok=True)
    (package.directory / "repo" / "objects" / "info" / "alternates").write_text("/somewhere/objects\n")
    with pytest.raises(ManifestError, match="alternates"):
        read_package(package.directory)
    (package.directory / "repo" / "objects" / "info" / "alternates").unlink()
    (package.directory / "repo" / "commondir").write_text("elsewhere\n")
    with pytest.raises(ManifestError, match="holds commondir"):
        read_package(package.directory)


def test_a_package_does_not_say_where_its_clone_came_from(sample: RepoPackage) -> None:
    assert "remote" not in (sample.directory / "repo" / "config").read_text()
