"""Trees that cannot be deleted in the usual way are out of the way at once, and gone soon after."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host import reaper
from host.folders import copy_tree, walk
from host.throwaway import discard, throwaway, trash_folder
from repos.trees import files_and_links


def nest(root: Path, depth: int, name: str = "d") -> None:
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=descriptor))
    os.close(descriptor)


def wait_for_reapers(place: Path) -> None:
    """Wait for the process that empties the trash of a place, by taking its lock."""
    for trash in place.glob(".cra-trash-*"):
        reaper.reap(str(trash))
        try:
            folder = os.open(trash, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
        finally:
            os.close(folder)
        reaper.reap(str(trash))


@pytest.fixture
def place(tmp_path):
    yield tmp_path / "place"
    discard(tmp_path / "place")


@pytest.mark.parametrize("name", ["d", "d" * 255])
def test_a_tree_deeper_than_any_path_goes(place, name):
    place.mkdir()
    with throwaway("x-", place) as folder:
        nest(folder, 3000, name)
    assert not folder.exists()
    wait_for_reapers(place)
    assert list(place.iterdir()) == []


def test_many_folders_are_out_of_the_way_and_then_gone(place):
    place.mkdir()
    with throwaway("x-", place) as folder:
        for number in range(20_000):
            (folder / f"{number:0255d}").mkdir()
    assert not folder.exists()
    wait_for_reapers(place)
    assert list(place.iterdir()) == []


def test_folders_without_rights_go(place):
    place.mkdir()
    with throwaway("x-", place) as folder:
        (folder / "a" / "b" / "c").mkdir(parents=True)
        for each in (folder / "a" / "b", folder / "a", folder):
            each.chmod(0)
    wait_for_reapers(place)
    assert list(place.iterdir()) == []


def test_what_links_point_at_stays(place, tmp_path):
    place.mkdir()
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("ours")
    with throwaway("x-", place) as folder:
        (folder / "link").symlink_to(kept)
        os.link(kept / "file", folder / "hard")
    wait_for_reapers(place)
    assert (kept / "file").read_text() == "ours"
    link = place / "to-kept"
    link.symlink_to(kept)
    discard(link)
    assert not link.is_symlink()
    assert (kept / "file").read_text() == "ours"


def test_a_trash_folder_of_somebody_elses_is_not_used(place, tmp_path):
    place.mkdir()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    trash = place / f".cra-trash-{os.geteuid()}"
    trash.symlink_to(theirs)
    folder = place / "folder"
    nest_at = folder / "x"
    nest_at.mkdir(parents=True)
    assert trash_folder(folder) is None
    discard(folder)
    assert not folder.exists()
    assert list(theirs.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next(place):
    place.mkdir()
    code = (
        "import os, sys; from pathlib import Path; from host import throwaway\n"
        "throwaway._AT_ONCE = 0.0; throwaway._start_reaper = lambda trash: os._exit(9)\n"
        "place = Path(sys.argv[1])\n"
        "for n in range(50): (place / 'left' / str(n) / 'x').mkdir(parents=True)\n"
        "throwaway.discard(place / 'left')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(place)], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 9
    assert [path.name for path in place.iterdir()] == [f".cra-trash-{os.geteuid()}"]
    with throwaway("x-", place):
        pass
    wait_for_reapers(place)
    assert list(place.iterdir()) == []


def test_deep_trees_are_walked_copied_and_listed(place, tmp_path):
    place.mkdir()
    nest(place, 3000, "d" * 200)
    (place / "top").write_text("text")
    assert sum(1 for _ in walk(place)) == 3001
    assert list(files_and_links(place)) == [("top", False)]
    copy = tmp_path / "copy"
    try:
        copy_tree(place, copy)
        *_, last = walk(copy)
        assert (last.depth, last.path) == (3000, None)
    finally:
        discard(copy)
        wait_for_reapers(tmp_path)


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
trees = st.recursive(st.binary(max_size=20), lambda below: st.dictionaries(names, below, max_size=4), max_leaves=12)


def write(root: Path, tree: dict[str, object]) -> None:
    root.mkdir()
    for name, content in tree.items():
        if isinstance(content, bytes):
            (root / name).write_bytes(content)
        else:
            write(root / name, content)  # type: ignore[arg-type]


def read(root: Path) -> dict[str, object]:
    return {path.name: read(path) if path.is_dir() else path.read_bytes() for path in root.iterdir()}


@given(st.dictionaries(names, trees, max_size=4))
def test_a_copy_is_the_same_tree_and_every_file_is_listed(tree):
    with throwaway("x-") as folder:
        write(folder / "tree", tree)
        copy_tree(folder / "tree", folder / "copy")
        assert read(folder / "copy") == tree
        listed = {path for path, _ in files_and_links(folder / "tree")}
        there = {
            path.relative_to(folder / "tree").as_posix() for path in (folder / "tree").rglob("*") if path.is_file()
        }
        assert listed == there
