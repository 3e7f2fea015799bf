"""What may be cloned, and what is refused before git starts."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.attacks._package import git, make_repository
from models.errors import RepositoryError
from repos.clones import cached_clone
from repos.git import clone
from repos.git_folders import refuse_leading_elsewhere
from repos.transports import local_path, refuse_transport


@pytest.mark.parametrize(
    "source",
    [
        "https://example.org/team/thing.git",
        "https://example.org:8443/~me/thing",
        "https://[::1]:8443/thing",
        "ssh://git@example.org/team/thing.git",
        "ssh://example.org:2222/thing",
        "git@example.org:team/thing.git",
        "example.org:thing",
        "https://example.org/caf%C3%A9",
    ],
)
def test_https_and_ssh_are_accepted(source: str) -> None:
    assert local_path(source) is None
    refuse_transport(source)


def test_paths_and_file_urls_are_the_same_repository(tmp_path: Path) -> None:
    place = make_repository(tmp_path / "with a blank")
    escaped = f"file://{tmp_path}/with%20a%20blank"
    assert local_path(str(place)) == local_path(escaped) == place
    assert clone(escaped, tmp_path / "one").resolve("HEAD") == clone(str(place), tmp_path / "two").resolve("HEAD")
    assert local_path(f"file://localhost{tmp_path}") == tmp_path


def test_what_does_not_exist_is_no_odd_transport(tmp_path: Path) -> None:
    refuse_transport(str(tmp_path / "nowhere"))
    with pytest.raises(RepositoryError, match="does not exist"):
        local_path(str(tmp_path / "nowhere"))


@given(st.text("abc:/@-.%2[]\\ \n\0fdextshp", max_size=30) | st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_text_is_accepted_or_refused_in_one_line(text: str) -> None:
    try:
        refuse_transport(text)
    except RepositoryError as error:
        assert "\n" not in str(error)
        assert "\0" not in str(error)
    else:
        assert "::" not in text.partition("/")[0]


def test_a_bundle_is_a_repository(tmp_path: Path) -> None:
    place = make_repository(tmp_path / "source")
    git(place, "bundle", "create", str(tmp_path / "all.bundle"), "--all")
    assert clone(str(tmp_path / "all.bundle"), tmp_path / "made").resolve("HEAD") == git(place, "rev-parse", "HEAD")


def test_a_submodule_is_a_repository_of_its_own(tmp_path: Path) -> None:
    inner, outer = make_repository(tmp_path / "inner"), make_repository(tmp_path / "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    with cached_clone(outer / "sub", tmp_path / "cache") as made:
        assert made.resolve("HEAD") == git(inner, "rev-parse", "HEAD")


def test_a_work_tree_and_a_bare_repository_are_accepted(tmp_path: Path) -> None:
    place = make_repository(tmp_path / "source")
    git(place, "worktree", "add", "-q", str(tmp_path / "tree"))
    git(place, "clone", "-q", "--bare", str(place), str(tmp_path / "bare"))
    for each in (tmp_path / "tree", tmp_path / "bare", place):
        refuse_leading_elsewhere(each)
        assert clone(str(each), tmp_path / f"of-{each.name}").resolve("HEAD")


def test_git_clones_by_file_https_and_ssh_only(tmp_path: Path) -> None:
    """Whatever a configuration allows: a remote of our own clones that names a helper is not fetched."""
    made = clone(str(make_repository(tmp_path / "source")), tmp_path / "made")
    subprocess.run(["git", "--git-dir", made.directory, "config", "protocol.ext.allow", "always"], check=True)
    with pytest.raises(Exception, match="ext"):
        made.output("fetch", f"ext::touch {tmp_path / 'evil'}")
    assert not (tmp_path / "evil").exists()
