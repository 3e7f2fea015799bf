"""What comes back from another machine is refused with its first fault, and nothing of it is registered."""

import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from evals.sets import latest_set
from exchange.folders import FileEntry
from exchange.outsource import layout
from exchange.outsource.accepting import accept
from exchange.outsource.layout import ReturnManifest, entries_of, read_manifest, spelled
from exchange.outsource.questions import GivenAnswer, question_id, read_answers, write_lines
from exchange.outsource.verifying import stage_returned
from exchange.outsource.work import work
from models.errors import CleanRoomError
from models.protocols import Stage
from models.training import TrainingTarget
from store.learning.trainings import find_training
from tests.support.outsource_material import Home, make_home
from tests.support.tiny import make_adapter, make_tiny_base
from training.adapters.registry.weights import header

pytestmark = pytest.mark.slow

WEIGHTS, CONFIG = Path("adapter/adapter_model.safetensors"), Path("adapter/adapter_config.json")
Change = Callable[[Path], None]


class Trip:
    """A home, and the folder that came back of its one pack."""

    def __init__(self, folder: Path) -> None:
        self.home: Home = make_home(folder)
        packed = self.home.pack(folder / "pack")
        self.pack = packed.manifest
        work(packed.folder, packed.folder / layout.BASE, None)
        self.returned = packed.folder / "returned"

    def refusal(self, folder: Path) -> str:
        """The refusal of a folder; nothing is registered, on record or left behind."""
        with pytest.raises(CleanRoomError) as refused:
            accept(self.home.context, folder)
        assert self.home.context.registry.list() == []
        assert find_training(self.home.context.raw_engine, self.pack.job) is None
        records = self.home.context.settings.data_dir / "outsourced"
        assert {path.name for path in records.iterdir()} <= {f"{self.pack.id}.json", ".lock"}
        return str(refused.value)


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trip]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exchange.outsource.questions.ANSWER_TOKENS", dict.fromkeys(Stage, 16))
        yield Trip(tmp_path_factory.mktemp("trip"))


@pytest.fixture
def copy(trip: Trip, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trip.returned, tmp_path / "returned"))


def seal(folder: Path, **files: FileEntry) -> None:
    """Write the manifest of a folder anew, as somebody would who can compute hashes."""
    old = read_manifest((folder / layout.RETURNED).read_bytes(), ReturnManifest, "")
    found = {name: each for name, each in entries_of(folder).items() if name != layout.RETURNED}
    sealed = ReturnManifest(pack=old.pack, files=found | files).sealed()
    (folder / layout.RETURNED).write_text(spelled(sealed))


def edit_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def put(file: Path, at: int, content: bytes) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:at] + content + whole[at + len(content) :])


def tensor_start(folder: Path, part: str) -> int:
    return next(tensor.start for name, tensor in header(folder / WEIGHTS).items() if part in name)


def test_one_flipped_byte_anywhere_is_refused(trip: Trip, tmp_path: Path) -> None:
    generator = random.Random(0)
    names = sorted(path.relative_to(trip.returned) for path in trip.returned.rglob("*") if path.is_file())
    assert len(names) == 10
    for name in names:
        content = (trip.returned / name).read_bytes()
        places = {0, len(content) - 1, *(generator.randrange(len(content)) for _ in range(6))}
        for place in sorted(places):
            folder = tmp_path / f"{name.name}-{place}"
            shutil.copytree(trip.returned, folder)
            put(folder / name, place, bytes([content[place] ^ 1 << generator.randrange(8)]))
            with pytest.raises(CleanRoomError):
                stage_returned(trip.home.context, folder, tmp_path / f"staged-{name.name}-{place}")
            shutil.rmtree(folder)


def link(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder.parent / "weights")
    (folder / WEIGHTS).symlink_to(folder.parent / "weights")


def linked_folder(folder: Path) -> None:
    (folder / "adapter").rename(folder.parent / "adapter")
    (folder / "adapter").symlink_to(folder.parent / "adapter")


def pipe(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    os.mkfifo(folder / WEIGHTS)


def extra(folder: Path) -> None:
    (folder / "adapter" / "notes.txt").write_text("hello")


def sealed_pickle(folder: Path) -> None:
    (folder / "adapter" / "adapter_model.bin").write_bytes(b"\x80\x04.")
    seal(folder)


def outside(folder: Path) -> None:
    seal(folder, **{"../../keys/signing-key.pub": FileEntry(bytes=1, sha256="0" * 64)})


def huge(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, 1 << 36)
    entry = FileEntry(bytes=1 << 36, sha256="0" * 64)
    old = read_manifest((folder / layout.RETURNED).read_bytes(), ReturnManifest, "")
    sealed = ReturnManifest(pack=old.pack, files={**old.files, str(WEIGHTS): entry}).sealed()
    (folder / layout.RETURNED).write_text(spelled(sealed))


def no_evaluation(folder: Path) -> None:
    (folder / layout.ANSWERS).unlink()
    seal(folder)


def other_pack(folder: Path) -> None:
    edit_json(folder / "manifest" / "pack.json", base_name="other")
    seal(folder)


def unknown_pack(folder: Path) -> None:
    old = read_manifest((folder / layout.RETURNED).read_bytes(), ReturnManifest, "")
    (folder / layout.RETURNED).write_text(spelled(old.model_copy(update={"pack": "1" * 64}).sealed()))


def foreign_signature(folder: Path) -> None:
    edit_json(folder / "manifest" / "statement.sig", mediaType="other")
    seal(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (link, "link"),
        (linked_folder, "link"),
        (pipe, "device"),
        (extra, "notes.txt"),
        (sealed_pickle, "adapter_model.bin"),
        (outside, "signing-key.pub"),
        (huge, "bytes"),
        (no_evaluation, "answers.jsonl"),
        (other_pack, "pack.json"),
        (unknown_pack, "111111111111"),
        (foreign_signature, "statement.sig"),
        (lambda folder: (folder / layout.RETURNED).unlink(), "returned.json"),
        (lambda folder: (folder / layout.RETURNED).write_text("[" * 100_000), "returned.json"),
    ],
)
def test_a_folder_that_is_not_what_was_asked_for_is_refused(trip: Trip, copy: Path, change: Change, said: str) -> None:
    change(copy)
    assert said in trip.refusal(copy)


def not_a_number(folder: Path) -> None:
    put(folder / WEIGHTS, tensor_start(folder, "lora_A"), struct.pack("<f", float("nan")))


def truncated(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size - 4)


def moved_weights(folder: Path) -> None:
    put(folder / WEIGHTS, tensor_start(folder, "lora_B"), struct.pack("<16f", *[2.0] * 16))
    (folder / layout.GGUF).unlink()


def other_base(folder: Path) -> None:
    base = make_tiny_base(folder.parent / "other", hidden=32)
    shutil.copy(make_adapter(base, folder.parent / "of-other") / WEIGHTS.name, folder / WEIGHTS)


def other_gguf(folder: Path) -> None:
    put(folder / layout.GGUF, (folder / layout.GGUF).stat().st_size - 4, struct.pack("<f", 1.0))


DEEP = "[" * 100_000


def headed(folder: Path, text: str) -> None:
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text.encode())


def tensor_of(folder: Path, **changes: object) -> None:
    """Change what a header says of its first tensor."""
    content = (folder / WEIGHTS).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    entries = json.loads(content[8 : 8 + length])
    name = next(each for each in entries if each != "__metadata__")
    text = json.dumps(entries | {name: entries[name] | changes})
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text.encode() + content[8 + length :])


def better_losses(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / layout.PROBES).read_text().splitlines()]
    (folder / layout.PROBES).write_text("".join(json.dumps(row | {"loss": 0.5}) + "\n" for row in rows))


def no_losses(folder: Path) -> None:
    (folder / layout.PROBES).write_text("")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (not_a_number, "NaN"),
        (truncated, "truncated"),
        (other_base, "shape"),
        (moved_weights, "not the weights that were measured"),
        (other_gguf, "model.gguf"),
        (better_losses, "not the weights that were measured"),
        (no_losses, "probes.jsonl"),
        (lambda folder: edit_json(folder / CONFIG, base_model_name_or_path="other"), "'other'"),
        (lambda folder: edit_json(folder / CONFIG, lora_alpha=400), "lora_alpha"),
        (lambda folder: edit_json(folder / CONFIG, auto_mapping={"parent_library": "os"}), "auto_mapping"),
        (lambda folder: edit_json(folder / CONFIG, new_option=1), "new_option"),
        (lambda folder: edit_json(folder / layout.FIT, backend="trl-gpu"), "trl-gpu"),
        (lambda folder: edit_json(folder / layout.FIT, seconds=-1.0), "fit.json"),
        (lambda folder: edit_json(folder / layout.FIT, cost=1), "fit.json"),
        (lambda folder: (folder / layout.LOSSES).write_text('{"step": 1, "loss": NaN}\n'), "losses.jsonl"),
        (lambda folder: (folder / layout.LOSSES).write_text(f'{{"step": 1{"0" * 400}}}\n'), "losses.jsonl"),
        (lambda folder: (folder / layout.LOSSES).write_text(DEEP), "losses.jsonl"),
        (lambda folder: (folder / layout.FIT).write_text(DEEP), "fit.json"),
        (lambda folder: (folder / CONFIG).write_text(DEEP), "adapter_config.json"),
        (lambda folder: headed(folder, DEEP), "header"),
        (lambda folder: headed(folder, '{"__metadata__":' + DEEP), "header"),
        (lambda folder: tensor_of(folder, dtype=[]), "header"),
        (lambda folder: tensor_of(folder, shape=[-1, -4]), "header"),
        (lambda folder: tensor_of(folder, shape=["4", 4]), "header"),
        (lambda folder: tensor_of(folder, data_offsets=[0.0, 4.0]), "header"),
        (lambda folder: edit_json(folder / layout.FIT, steps=10**30), "fit.json"),
        (lambda folder: edit_json(folder / layout.FIT, steps=3, best_step=3), "fit.json"),
        (lambda folder: edit_json(folder / layout.FIT, rows=10**6), "fit.json"),
        (lambda folder: edit_json(folder / layout.FIT, tokens=10**15), "fit.json"),
        (lambda folder: edit_json(folder / layout.FIT, micro_batch=-1), "fit.json"),
        (lambda folder: edit_json(folder / layout.FIT, losses=[-3.0]), "fit.json"),
        (lambda folder: edit_json(folder / layout.FIT, changed=float("nan")), "fit.json"),
        (lambda folder: edit_json(folder / layout.FIT, margins={"\x1b[2J": {"mean": 1.0}}), "fit.json"),
        (lambda folder: edit_json(folder / layout.FIT, too_long_by_stage={"\x1b[2J": 1}), "fit.json"),
        (lambda folder: (folder / layout.LOSSES).write_text('{"step": 1, "loss": -1.0}\n'), "losses.jsonl"),
        (lambda folder: (folder / layout.LOSSES).write_text('{"step": 1, "\\u001b[2J": 1.0}\n'), "losses.jsonl"),
    ],
)
def test_a_folder_with_right_hashes_and_other_content_is_refused(
    trip: Trip, copy: Path, change: Change, said: str
) -> None:
    change(copy)
    seal(copy)
    assert said in trip.refusal(copy)


def test_answers_that_the_weights_do_not_give_are_refused(trip: Trip, copy: Path) -> None:
    frozen = latest_set(trip.home.context.curated, TrainingTarget.SCOPE)
    gold = [GivenAnswer(id=question_id(item), text=item.expected) for item in frozen.items]
    assert {each.id for each in read_answers(copy / layout.ANSWERS)} == {each.id for each in gold}
    write_lines(copy / layout.ANSWERS, gold)
    seal(copy)
    assert "not the answers of these weights" in trip.refusal(copy)
    write_lines(copy / layout.ANSWERS, gold[1:])
    seal(copy)
    assert "evaluate again" in trip.refusal(copy)


def test_all_files_together_are_bounded_by_what_the_pack_can_return(trip: Trip, tmp_path: Path) -> None:
    """Each file (empty on disk) is within its own bound: shards of a base come in any number."""
    full = trip.home.pack(tmp_path / "full", method="full", role="reasoning")
    names = {f"base/{name}": 2 for name in full.manifest.base_files if not name.endswith(".safetensors")}
    names |= {layout.FIT: 2, layout.LOSSES: 2, layout.PROBES: 2, layout.ANSWERS: 2}
    shards = {f"base/model-0000{number}-of-00002.safetensors": 60 << 20 for number in (1, 2)}
    small = {layout.LOSSES: 200 << 20, layout.PROBES: 200 << 20}
    for kind, said in ((shards, "weights (2)"), (small, "other files")):
        folder = tmp_path / said
        shutil.copytree(full.folder / "manifest", folder / "manifest")
        entries = entries_of(folder)
        for name, size in (names | kind).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
            os.truncate(folder / name, size)
            entries[name] = FileEntry(bytes=size, sha256="0" * 64)
        (folder / layout.RETURNED).write_text(spelled(ReturnManifest(pack=full.manifest.id, files=entries).sealed()))
        with pytest.raises(CleanRoomError) as refused:
            stage_returned(trip.home.context, folder, tmp_path / "staged")
        assert said in str(refused.value)
        assert not (tmp_path / "staged").exists()
