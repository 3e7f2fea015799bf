"""A bundle that is verified: one flipped byte anywhere is found, and so is anything that the manifest does not list."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.bundle.layout import BundleManifest, read_manifest, spelled
from exchange.bundle.verify import verify_bundle
from models.errors import RegistryError, UsageError
from tests.support.bundle_home import make_machine, silent
from tests.support.commands import invoke
from tests.support.shared import made_once, shared_root
from training.adapters.registry.signing import fingerprint, public_key, sign

PART = 400_000


def make_bundles(folder: Path) -> None:
    machine = make_machine(folder / "home")
    machine.make(folder / "parts", part_bytes=PART)
    machine.make(folder / "whole")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(shared_root(tmp_path_factory) / "bundles-made", make_bundles)


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made / "parts", tmp_path / "bundle")


@pytest.fixture(scope="module")
def flipped(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(made / "whole", tmp_path_factory.mktemp("flipped") / "bundle")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_flipped_bit_anywhere_is_found(flipped: Path, data: st.DataObject) -> None:
    files = sorted(path for path in flipped.rglob("*") if path.is_file() and path.stat().st_size)
    # half of the draws from the files that say what the others must be
    heads = [path for path in files if path.parent.name == "manifest" or path.parent == flipped]
    file = data.draw(st.sampled_from(heads) | st.sampled_from(files), label="file")
    at = data.draw(st.integers(0, file.stat().st_size - 1), label="position")
    content = file.read_bytes()
    changed = bytearray(content)
    changed[at] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    file.write_bytes(changed)
    try:
        with pytest.raises((UsageError, RegistryError)):
            verify_bundle(flipped, silent)
    finally:
        file.write_bytes(content)


def test_every_byte_of_the_signature_and_the_key_counts(flipped: Path) -> None:
    verify_bundle(flipped, silent)
    for name in ("statement.sig", "signing-key.pub"):
        file = flipped / "manifest" / name
        content = file.read_bytes()
        for at in range(0, len(content), 17):
            file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises((UsageError, RegistryError)):
                verify_bundle(flipped, silent)
        file.write_bytes(content)
    verify_bundle(flipped, silent)


def _chunk(bundle: Path) -> Path:
    return next(path for path in sorted((bundle / "part-0001").glob("??/*")))


FAULTS: dict[str, Callable[[Path], object]] = {
    "another file": lambda bundle: (bundle / "autorun.inf").write_text("x"),
    "another chunk": lambda bundle: _chunk(bundle).with_name("a" * 64).write_text("x"),
    "an empty folder": lambda bundle: (bundle / "part-0001" / "folder").mkdir(),
    "a link in place of a chunk": lambda bundle: _linked(_chunk(bundle)),
    "a link beside": lambda bundle: (bundle / "link").symlink_to("/etc"),
    "a pipe": lambda bundle: os.mkfifo(bundle / "part-0001" / "pipe"),
    "a name in another case": lambda bundle: _chunk(bundle).rename(
        _chunk(bundle).with_name(_chunk(bundle).name.upper())
    ),
    "a chunk in another folder": lambda bundle: _chunk(bundle).rename(bundle / "part-0001" / _chunk(bundle).name),
    "a missing chunk": lambda bundle: _chunk(bundle).unlink(),
    "a shorter chunk": lambda bundle: _chunk(bundle).write_bytes(_chunk(bundle).read_bytes()[:-1]),
    "a missing part": lambda bundle: shutil.rmtree(bundle / "part-0002"),
    "a part of another number": lambda bundle: (bundle / "part-0002").rename(bundle / "part-0009"),
    "a part without its manifest": lambda bundle: shutil.rmtree(bundle / "part-0002" / "manifest"),
    "no manifest": lambda bundle: [shutil.rmtree(path) for path in bundle.rglob("manifest")],
    "another installer in a part": lambda bundle: (bundle / "part-0002" / "install.py").write_text("import os\n"),
    "a hidden git folder": lambda bundle: _written(bundle / "manifest" / ".git" / "config", "x"),
}


def _linked(file: Path) -> None:
    file.rename(file.parents[3] / "away")
    file.symlink_to(file.parents[3] / "away")


def _renamed(file: Path, name: str) -> None:
    file.rename(file.with_name(name))


def _written(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_manifest_does_not_list_is_refused(bundle: Path, fault: str) -> None:
    FAULTS[fault](bundle)
    with pytest.raises((UsageError, RegistryError)) as raised:
        verify_bundle(bundle, silent)
    assert "\n" not in str(raised.value)


def test_a_missing_part_is_named_and_parts_alone_need_no_folder_above(bundle: Path) -> None:
    (bundle / "part-0002").rename(bundle.with_name("medium"))
    with pytest.raises(UsageError, match="part-0002"):
        verify_bundle(bundle, silent)
    assert verify_bundle(bundle.with_name("medium"), silent).parts == (2,)
    (bundle.with_name("medium")).rename(bundle / "part-0002")
    for path in list(bundle.iterdir()):
        if not path.name.startswith("part-"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert verify_bundle(bundle, silent).missing == ()


def test_a_bundle_signed_by_another_is_refused_where_a_key_is_given(bundle: Path, made: Path, tmp_path: Path) -> None:
    own = made / "home" / "data" / "keys" / "signing-key.pub"
    assert verify_bundle(bundle, silent, key=own).fingerprint == fingerprint(own)
    other = public_key(tmp_path / "keys")
    for each in bundle.rglob("manifest"):
        shutil.copyfile(other, each / "signing-key.pub")
        (each / "statement.sig").unlink()
    sign(bundle / "manifest", tmp_path / "keys")
    for each in bundle.glob("part-*/manifest"):
        shutil.copyfile(bundle / "manifest" / "statement.sig", each / "statement.sig")
    assert verify_bundle(bundle, silent).fingerprint == fingerprint(other)  # a person compares it with the one told
    with pytest.raises(RegistryError, match="signed by"):
        verify_bundle(bundle, silent, key=own)


def test_the_command_verifies_and_says_what_it_found(bundle: Path, tmp_path: Path) -> None:
    good = invoke("bundle", "verify", bundle / "part-0001", "--json", cwd=tmp_path)
    assert good.returncode == 0
    assert '"missing": [\n    2' in good.stdout
    _chunk(bundle).write_bytes(b"")
    bad = invoke("bundle", "verify", bundle, cwd=tmp_path)
    assert bad.returncode == 2
    assert _chunk(bundle).name in bad.stderr.replace("\n", "")


@pytest.mark.parametrize("changes", [
    {"files": {}}, {"parts": 2}, {"case": True}, {"below": True}, {"unlisted": True}, {"longer": True}, {"base": None},
    {"folder": True}, {"accent": True}, {"own": True},
])  # fmt: skip
def test_a_manifest_that_contradicts_itself_is_none(made: Path, changes: dict[str, object]) -> None:
    content = (made / "whole" / "manifest" / "bundle.json").read_bytes()
    manifest = read_manifest(content, "it")
    files, chunks = dict(manifest.files), dict(manifest.chunks)
    path, entry = next((path, entry) for path, entry in files.items() if entry.chunks)
    (kind,) = changes
    match kind:
        case "files":
            files = {}
        case "parts":
            chunks[entry.chunks[0]] = chunks[entry.chunks[0]].model_copy(update={"part": 3})
        case "case":
            files[path.upper()] = entry
        case "folder":
            files["data/Corpus/more"] = entry
        case "accent":
            files |= {"data/caf\u00e9": entry, "data/cafe\u0301": entry}
        case "own":
            files["env/bin/python"] = entry
        case "below":
            files[f"{path}/more"] = entry
        case "unlisted":
            del chunks[entry.chunks[0]]
        case "longer":
            files[path] = entry.model_copy(update={"bytes": entry.bytes + 1})
        case "base":
            chunks[entry.chunks[0]] = chunks[entry.chunks[0]].model_copy(update={"part": None})
    changed: BundleManifest = manifest.model_copy(update={"files": files, "chunks": chunks})
    with pytest.raises(UsageError):
        read_manifest(spelled(changed), "it")
    assert spelled(manifest) == content
