"""Files that are kept compressed: the same bytes come back, and nothing goes that was not read back."""

import hashlib
import json
from pathlib import Path

import pytest

from evals.sets import contamination
from host.packed import PackedFileError, is_intact, is_there, open_either, pack_file, packed_form, restore
from models.evaluation import EvaluationSet
from models.training import TrainingTarget

CONTENT = b"".join(b'{"id": %d, "prompt": "the same words again and again"}\n' % n for n in range(2000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "sft.jsonl"
    made.write_bytes(CONTENT)
    return made


def test_the_same_bytes_come_back(file: Path) -> None:
    freed = pack_file(file, SHA256)
    assert freed == len(CONTENT) - packed_form(file).stat().st_size > len(CONTENT) / 2
    assert not file.exists() and is_there(file) and is_intact(file, SHA256)
    with open_either(file) as content:
        assert content.read() == CONTENT
    assert not file.exists()
    restore(file.parent, {file.name: SHA256, "dpo.jsonl": SHA256})
    assert file.read_bytes() == CONTENT
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_was_changed_is_kept_as_it_is(file: Path) -> None:
    with pytest.raises(PackedFileError, match="was changed"):
        pack_file(file, hashlib.sha256(b"").hexdigest())
    assert file.read_bytes() == CONTENT
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_damaged_form_is_refused(file: Path) -> None:
    pack_file(file, SHA256)
    packed = packed_form(file)
    whole = packed.read_bytes()
    for damaged in (whole[:-8], whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]):
        packed.write_bytes(damaged)
        assert not is_intact(file, SHA256)
        with pytest.raises(PackedFileError):
            restore(file.parent, {file.name: SHA256})
        assert packed.exists() and not file.exists()


def test_a_kill_before_the_plain_file_went_changes_nothing(file: Path) -> None:
    pack_file(file, SHA256)
    file.write_bytes(CONTENT)
    assert is_intact(file, SHA256)
    assert pack_file(file, SHA256) > 0 and is_intact(file, SHA256)


def test_evaluation_items_are_found_in_a_compressed_dataset(tmp_path: Path) -> None:
    made = {"repository": "held", "commit": "c"}
    row = json.dumps({"id": "a", "prompt": [{"role": "user", "content": "x"}], "provenance": made}).encode() + b"\n"
    (tmp_path / "sft.jsonl").write_bytes(row)
    held = EvaluationSet(target=TrainingTarget.SCOPE, repositories=("held",), items=())
    before = contamination(tmp_path, [held])
    pack_file(tmp_path / "sft.jsonl", hashlib.sha256(row).hexdigest())
    assert [each.what for each in before] == ["repository"] and contamination(tmp_path, [held]) == before
