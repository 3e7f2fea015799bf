"""Base commits whose dates no calendar has, in exported data sets."""

from pathlib import Path

import pytest

from exchange.swebench import _date
from tests.support.odd_history import OddHistory


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (b" 1700000000 +0100", "2023-11-14T22:13:20Z"),
        (b" 0 +0000", "1970-01-01T00:00:00Z"),
        (b"", "1970-01-01T00:00:00Z"),
        (b" yesterday +0000", "1970-01-01T00:00:00Z"),
        (b" -5 +0000", "1970-01-01T00:00:00Z"),
        (b" 253402300800 +0000", "9999-12-31T23:59:59Z"),
        (b" 99999999999999999999999999 +0000", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_date_that_is_none_becomes_the_nearest_one(tmp_path: Path, when: bytes, expected: str) -> None:
    made = OddHistory(tmp_path / "r")
    commit = made.commit(b"Begin", made.files(a="1\n"), committer=b"committer Ann <a@example.com>" + when)
    assert _date(made.git, commit) == expected
