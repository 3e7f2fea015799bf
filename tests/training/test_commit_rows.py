"""CommitPackFT: edits of a row's file give the new contents byte for byte, whatever its line ends."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from models.edits import EditFormat
from models.training import Pair
from tests.support.dataset_rows import commitpackft
from training.data.sources.coding import replayed
from training.data.sources.open_datasets.catalogue import DATASETS
from training.data.sources.open_datasets.commits import commit
from training.data.sources.open_datasets.conversion import NotKept

CONVERSION = DATASETS["commitpackft"].conversion(EditFormat.SEARCH_REPLACE)
LINES = st.sampled_from(
    ["x = 1", "def f():", "    return 1", "class A:", "    def g(self):", "\t", "", "#\x0c", "# \u2028",
     "'''<<<<<<< SEARCH",
     "=======", ">>>>>>> REPLACE'''", "```", "# ```python", "@@ -1 +1 @@", "### edit a.py", "# é😀", "@a", "# \x85"]
)  # fmt: skip
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n"])
CONTENTS = st.lists(st.tuples(LINES, ENDS), max_size=8).map(lambda parts: "".join(map("".join, parts)))


@given(old=CONTENTS, new=CONTENTS, cut=st.booleans(), edit_format=st.sampled_from(EditFormat))
def test_edits_give_the_new_contents(old: str, new: str, cut: bool, edit_format: EditFormat) -> None:
    new = new.rstrip("\r\n") if cut else new
    row = commitpackft(old_contents=old, new_contents=new)
    try:
        pair = commit(row, replace(CONVERSION, edit_format=edit_format))
    except NotKept as reason:
        assert str(reason) in ("nothing changes", "no program", "program does not parse")
        return
    assert isinstance(pair, Pair)
    assert replayed(pair.answer, "pkg/a.py", old) == new
