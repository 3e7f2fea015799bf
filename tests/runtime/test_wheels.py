"""Wheels that two installers could read differently are refused; `make_wheel` writes the honest ones."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from models.errors import EnvironmentFault, WheelError
from models.manifest import Environment
from runtime.environments import check_wheel, fetch_wheels, installed_interpreters, unpack_wheel, wheel_contents
from runtime.environments.wheels import locked, select_wheels
from tests.support.wheels import digest, lock_text, make_wheel


def refused(path: Path, why: str) -> None:
    with pytest.raises(WheelError, match=why):
        check_wheel(path, digest(path))


def test_an_honest_wheel_is_accepted(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "honest", "1.0", {"honest/__init__.py": "x = 1\n", "honest.pth": "import os\n"})
    check_wheel(wheel, digest(wheel))


def test_a_streamed_wheel_with_data_descriptors_is_accepted(tmp_path: Path) -> None:
    plain = make_wheel(tmp_path / "plain", "streamed", "1.0", {"streamed.py": "x = 1\n", "empty.py": ""})

    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    out = Unseekable()
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            target.writestr(info.filename, source.read(info))
    wheel = tmp_path / plain.name
    wheel.write_bytes(out.getvalue())
    check_wheel(wheel, digest(wheel))


def test_a_missing_wheel_and_another_hash_are_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a.py": ""})
    with pytest.raises(WheelError, match="SHA-256"):
        check_wheel(wheel, "0" * 64)
    with pytest.raises(WheelError, match="missing"):
        check_wheel(tmp_path / "b-1.0-py3-none-any.whl", "0" * 64)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1.0-py3-none-any.whl"
    wheel.write_bytes(b"no archive at all")
    refused(wheel, "no readable wheel")


def test_a_name_that_appears_twice_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a.py": ""})
    with zipfile.ZipFile(wheel, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.py", "evil")
    refused(wheel, "twice")


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a": ""})
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("a/", "")
    refused(wheel, "twice")


def test_headers_that_disagree_about_the_name_are_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"aaaa.py": ""})
    wheel.write_bytes(wheel.read_bytes().replace(b"aaaa.py", b"bbbb.py", 1))
    refused(wheel, "differently")


def test_headers_that_disagree_about_the_checksum_are_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a.py": "x = 1"})
    data = bytearray(wheel.read_bytes())
    data[14] ^= 0xFF
    wheel.write_bytes(bytes(data))
    refused(wheel, "two different sizes or checksums")


@pytest.mark.parametrize("where", ["start", "end", "comment"])
def test_data_around_the_archive_is_refused(tmp_path: Path, where: str) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a.py": ""})
    if where == "comment":
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.comment = b"hidden"
    else:
        data = wheel.read_bytes()
        wheel.write_bytes(b"#!shell\n" + data if where == "start" else data + b"tail")
    refused(wheel, "hides data|trailing data|comment|no readable wheel")


def test_data_hidden_between_members_is_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a.py": "x = 1\n", "b.py": "y = 2\n"})
    with zipfile.ZipFile(wheel) as archive:
        second = archive.infolist()[1].header_offset
        start = archive.start_dir
    data, gap = wheel.read_bytes(), b"gap!"
    central, end = bytearray(data[start:-22]), bytearray(data[-22:])
    position = 0
    while position < len(central):  # shift the offsets of all members but the first
        offset = int.from_bytes(central[position + 42 : position + 46], "little")
        central[position + 42 : position + 46] = (offset + (len(gap) if offset else 0)).to_bytes(4, "little")
        lengths = (int.from_bytes(central[position + i : position + i + 2], "little") for i in (28, 30, 32))
        position += 46 + sum(lengths)
    end[16:20] = (start + len(gap)).to_bytes(4, "little")
    wheel.write_bytes(data[:second] + gap + data[second:start] + bytes(central) + bytes(end))
    refused(wheel, "hides data")


@pytest.mark.parametrize("name", ["../evil.py", "/evil.py", "a/../../evil.py", "a\\..\\evil.py", "C:evil.py"])
def test_paths_that_leave_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {name: "x"})
    refused(wheel, "leaves the archive")
    with pytest.raises(WheelError):
        unpack_wheel(wheel, tmp_path / "out" / "inner")
    assert not list(tmp_path.rglob("evil.py"))


def test_symlinks_are_refused(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a.py": ""})
    with zipfile.ZipFile(wheel, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    refused(wheel, "not a plain file")
    with pytest.raises(WheelError):
        unpack_wheel(wheel, tmp_path / "out")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("", "disagree about"),
        ("a.py,sha256=AAAA,0\na-1.0.dist-info/METADATA,,\na-1.0.dist-info/WHEEL,,\n", "another|no safe hash"),
        ("a.py,md5=AAAA,0\na-1.0.dist-info/METADATA,,\na-1.0.dist-info/WHEEL,,\n", "no safe hash"),
        ("only-one-column\n", "malformed"),
    ],
)
def test_contents_that_differ_from_record_are_refused(tmp_path: Path, record: str, why: str) -> None:
    refused(make_wheel(tmp_path, "a", "1.0", {"a.py": "x"}, record=record), why)


@pytest.mark.parametrize("changed", [False, True], ids=["honest", "changed"])
def test_hashes_in_hexadecimal_digits_count_as_the_others(tmp_path: Path, changed: bool) -> None:
    with zipfile.ZipFile(make_wheel(tmp_path / "plain", "a", "1.0", {"a.py": "x"})) as archive:
        contents = {name: archive.read(name) for name in archive.namelist() if not name.endswith("RECORD")}
    rows = [f"{name},sha256={hashlib.sha256(data).hexdigest()},{len(data)}\n" for name, data in contents.items()]
    record = "".join([*rows, "a-1.0.dist-info/RECORD,,\n"])
    wheel = make_wheel(tmp_path, "a", "1.0", {"a.py": "y" if changed else "x"}, record=record)
    if changed:
        refused(wheel, "another")
    else:
        check_wheel(wheel, digest(wheel))


def test_unpacking_puts_purelib_data_at_the_root(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a-1.0.data/purelib/a.py": "x = 1\n", "a-1.0.data/scripts/s": "y"})
    unpack_wheel(wheel, tmp_path / "out")
    assert (tmp_path / "out" / "a.py").read_text() == "x = 1\n"


def test_a_lock_gives_its_hashes_and_one_without_hashes_is_refused() -> None:
    one, two = "1" * 64, "2" * 64
    text = f"My_Pkg==1.0 \\\n    --hash=sha256:{one} \\\n    --hash=sha256:{two}\nother==2 --hash=sha256:{two}\n"
    assert locked(text) == {("my-pkg", Version("1.0")): {one, two}, ("other", Version("2")): {two}}
    with pytest.raises(EnvironmentFault, match="no hash for other==2"):
        locked("other==2\n")


def test_the_best_compatible_wheel_with_an_allowed_hash_is_selected(tmp_path: Path) -> None:
    interpreter = installed_interpreters()[0]
    pure = make_wheel(tmp_path, "a", "1.0", {"a.py": "pure"})
    native = make_wheel(
        tmp_path, "a", "1.0", {"a.py": "native"}, tag=f"{interpreter.abi}-{interpreter.abi}-linux_x86_64"
    )
    foreign = make_wheel(tmp_path, "a", "1.0", {"a.py": "foreign"}, tag="cp27-cp27m-win_amd64")
    key = ("a", Version("1.0"))
    every = frozenset({digest(pure), digest(native), digest(foreign)})
    assert select_wheels({key: every}, interpreter, tmp_path)[key][0] == native
    assert select_wheels({key: frozenset({digest(pure)})}, interpreter, tmp_path)[key][0] == pure
    assert select_wheels({key: frozenset({digest(foreign)})}, interpreter, tmp_path) == {}


def test_fetching_needs_no_index_when_all_wheels_are_there(tmp_path: Path) -> None:
    interpreter = installed_interpreters()[0]
    wheel = make_wheel(tmp_path, "nowhere_to_be_found", "1.0", {"n.py": ""})
    make_wheel(tmp_path, "unrelated", "1.0", {"u.py": ""})
    environment = Environment(
        key="k", python=interpreter.version, abi=interpreter.abi, requires=(), cutoff="2024-01-01",
        lock=lock_text(wheel), wheels=(),
    )  # fmt: skip
    assert fetch_wheels(environment, interpreter, tmp_path) == {wheel.name: digest(wheel)}


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_large_members_are_read_piece_by_piece(tmp_path: Path, size: int) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a.py": "", "a/zeros.txt": "0" * size, "b/mixed.txt": "ab\n" * size})
    check_wheel(wheel, digest(wheel))
    unpack_wheel(wheel, tmp_path / "out")
    assert (tmp_path / "out" / "a" / "zeros.txt").read_text() == "0" * size
    assert (tmp_path / "out" / "b" / "mixed.txt").read_text() == "ab\n" * size


@pytest.mark.parametrize(
    "name",
    [
        "a-1.0.data/scripts/a-tool",
        "a-1.0.data/scripts/python-argcomplete-check",
        "a-1.0.data/data/share/jupyter/kernels/a/kernel.json",
        "a-1.0.data/data/etc/jupyter/a.json",
        "a-1.0.data/headers/a.h",
        "a-1.0.data/platlib/a/native.so",
        "a-1.0.dist-info/licenses/LICENSE",
        "a.libs/libz.so.1",
        "a/_vendor/b-2.0.dist-info/METADATA",
        "a/caf\u00e9.txt",
    ],
)
def test_what_honest_wheels_hold_is_accepted(tmp_path: Path, name: str) -> None:
    wheel = make_wheel(tmp_path, "a", "1.0", {"a/__init__.py": "", name: "x"})
    check_wheel(wheel, digest(wheel))


def test_pip_may_bring_its_own_commands(tmp_path: Path) -> None:
    entry = "[console_scripts]\npip = pip:main\npip3 = pip:main\n"
    wheel = make_wheel(tmp_path, "pip", "25.0", {"pip/__init__.py": "", "pip-25.0.dist-info/entry_points.txt": entry})
    check_wheel(wheel, digest(wheel))


def test_a_built_wheel_may_lack_its_record_and_nothing_else(tmp_path: Path) -> None:
    for number, name in enumerate(("a.py", "../evil.py", "pyvenv.cfg", "a-1.0.data/scripts/python")):
        path = tmp_path / str(number) / "a-1.0-py3-none-any.whl"
        path.parent.mkdir()
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "x = 1\n")
        if name == "a.py":
            assert wheel_contents(path) == {"a.py": b"x = 1\n"}
        else:
            with pytest.raises(WheelError):
                wheel_contents(path)
