"""Collections: examples of one recipe, written row by row, and read back only as they were written."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.edits import EditFormat
from models.errors import TrainingError
from models.training import Pair, PairSource
from tests.support.recipe_material import a_pair
from training.data.sources.coding import NOT_TEXT, code_pair, replayed
from training.data.sources.collections import (
    CARD,
    PAIRS,
    Dropped,
    Offered,
    read_card,
    read_collection,
    recipe_provenance,
    write_collection,
)

MADE_FROM = {"recipe": "test", "seed": 1}


def written(folder: Path, count: int = 3) -> Path:
    rows = [[a_pair(PairSource.LINTSEQ, number)] for number in range(count)]
    return write_collection(folder, PairSource.LINTSEQ, MADE_FROM, [*rows, [Dropped("does not parse", "x.py")]])[0]


def test_a_collection_is_read_as_it_was_written_and_counts_what_was_dropped(tmp_path: Path) -> None:
    place = written(tmp_path)
    assert list(read_collection(place)) == [a_pair(PairSource.LINTSEQ, number) for number in range(3)]
    card = read_card(place)
    assert (card.offered, card.pairs, card.preferences) == (4, 3, 0)
    assert card.dropped == {"does not parse": 1}
    assert card.examples_of_dropped == {"does not parse": "x.py"}
    assert card.licenses == {"MIT": 3}


def test_the_same_inputs_give_the_same_bytes_and_others_another_folder(tmp_path: Path) -> None:
    one, other = written(tmp_path / "a"), written(tmp_path / "b")
    assert one.name == other.name
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in other.iterdir()
    }
    assert written(tmp_path / "a") == one
    assert written(tmp_path / "a", 2).name != one.name


@pytest.mark.parametrize("spoil", [b"", b"{}\n", b"not JSON\n"])
def test_a_changed_file_is_refused(tmp_path: Path, spoil: bytes) -> None:
    place = written(tmp_path)
    (place / PAIRS).write_bytes(spoil)
    with pytest.raises(TrainingError, match=PAIRS):
        list(read_collection(place))


def test_an_exchanged_row_is_refused_at_the_end(tmp_path: Path) -> None:
    place = written(tmp_path)
    lines = (place / PAIRS).read_bytes().splitlines(keepends=True)
    row = json.loads(lines[0])
    lines[0] = json.dumps(row | {"answer": "### no change\n"}).encode() + b"\n"
    (place / PAIRS).write_bytes(b"".join(lines))
    with pytest.raises(TrainingError, match=PAIRS):
        list(read_collection(place))


def test_a_fault_of_what_a_recipe_reads_is_not_one_of_the_disk(tmp_path: Path) -> None:
    def failing() -> Iterator[list[Offered]]:
        raise PermissionError("no")
        yield []

    with pytest.raises(PermissionError):
        write_collection(tmp_path, PairSource.LINTSEQ, MADE_FROM, failing())


FULL = """
import resource, sys
from pathlib import Path
from models.errors import InfrastructureError
from models.training import PairSource
from tests.support.recipe_material import a_pair
from training.data.sources.collections import write_collection

rows = [[a_pair(PairSource.LINTSEQ, number)] for number in range(int(sys.argv[2]))]
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # as a disk that is full: no file grows further
try:
    write_collection(Path(sys.argv[1]), PairSource.LINTSEQ, {}, rows)
except InfrastructureError as error:
    print(error)
"""


@pytest.mark.parametrize("count", [4, 100])  # found as the file is closed, and as a row is written
def test_a_full_disk_is_named_in_one_line_and_nothing_is_left(tmp_path: Path, count: int) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path), str(count)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert PAIRS in ended.stdout
    assert ended.stdout.count("\n") == 1
    assert list((tmp_path / "collections").iterdir()) == []


def test_a_folder_without_a_card_is_named(tmp_path: Path) -> None:
    place = written(tmp_path)
    (place / CARD).unlink()
    with pytest.raises(TrainingError, match=place.name):
        list(read_collection(place))


def test_nothing_is_left_of_a_recipe_that_fails_or_keeps_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[list[Offered]]:
        yield [a_pair(PairSource.LINTSEQ, 1)]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_collection(tmp_path, PairSource.LINTSEQ, MADE_FROM, failing())
    with pytest.raises(TrainingError, match="does not parse 2"):
        write_collection(tmp_path, PairSource.LINTSEQ, MADE_FROM, [[Dropped("does not parse")]] * 2)
    assert list((tmp_path / "collections").iterdir()) == []


WRITER = """
import sys, time
from pathlib import Path
from models.training import PairSource
from tests.support.recipe_material import a_pair
from training.data.sources.collections import write_collection

def rows():
    yield [a_pair(PairSource.LINTSEQ, 1)]
    print("begun", flush=True)
    time.sleep(600)

write_collection(Path(sys.argv[1]), PairSource.LINTSEQ, {}, rows())
"""


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    processes = [
        subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        assert [process.stdout.readline() for process in processes if process.stdout] == ["begun\n"] * 2
        assert len([path for path in (tmp_path / "collections").iterdir() if path.is_dir()]) == 2
        processes[0].kill()
        processes[0].wait()
        place = written(tmp_path)
        left = sorted(path.suffix for path in (tmp_path / "collections").iterdir() if path != place)
        assert left == ["", ".lock"]  # the living one's
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("edit_format", list(EditFormat))
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "x = 1\n"),
        ("", "def f():\n    return '\u2028'\n"),
        ("a = 1\r\nb = 2\r\n", "a = 1\r\nc = 3\r\nb = 2\r\n"),
        ("x = 1", "x = 1\n"),
        ("def f():\n\treturn 1\n", "@@ -1 +1 @@\n"),
        ("a\x0cb\n<<<<<<< SEARCH\n", "a\x0cb\n=======\n>>>>>>> REPLACE\n"),
        ("```\n", "````\n```\n"),
    ],
)
def test_the_answer_of_a_code_pair_gives_the_file_byte_for_byte(
    before: str | None, after: str, edit_format: EditFormat
) -> None:
    provenance = recipe_provenance(
        PairSource.LINTSEQ, "r", repository="o/r", organisation="o", domain="d", license="MIT"
    )
    made = code_pair(PairSource.LINTSEQ, "Do it", "Do", "a.py", before, after, provenance, edit_format)
    assert isinstance(made, Pair)
    assert replayed(made.answer, "a.py", before) == after


def test_text_that_cannot_be_encoded_gives_no_pair() -> None:
    provenance = recipe_provenance(
        PairSource.LINTSEQ, "r", repository="o/r", organisation="o", domain="d", license="MIT"
    )
    made = code_pair(PairSource.LINTSEQ, "Do it", "Do", "a.py", None, "x = '\ud800'\n", provenance)
    assert isinstance(made, Dropped)
    assert replayed("### create b.py\n```\nx\n```\n", "a.py", None) is None
    assert made.reason == NOT_TEXT
