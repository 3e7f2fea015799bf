"""Settings that nobody can mean: each is refused in one line that names it."""

from pathlib import Path

import pytest

from host.settings import load_settings
from models.errors import SettingsError

FILES = {
    "nested too deeply": b"concurrency = " + b"[" * 5000 + b"]" * 5000,
    "not UTF-8": b"\xff\xfe",
    "a NUL": b"a = \0",
    "a number too long to read": b"concurrency = 1" + b"0" * 5000,
    "a word for a number": b'concurrency = "\\u001b[31m"',
    "a name of two lines": b'"a\\nb" = 1',
    "a directory with a NUL": b'data_dir = "a\\u0000b"',
    "one value for many": b"mining = 1",
    "a list for a directory": b"cache_dir = [1]",
}


@pytest.mark.parametrize("what", FILES)
def test_a_malformed_file_is_refused_in_one_printable_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    (tmp_path / "cra.toml").write_bytes(FILES[what])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"cra\.toml") as caught:
        load_settings()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("name", "value"), [("CRA_MINING", "[" * 5000), ("CRA_MINING", "{"), ("CRA_CONCURRENCY", "9" * 5000)]
)
def test_a_malformed_variable_is_refused_in_one_short_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
