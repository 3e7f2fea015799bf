"""Repositories to synthesize pairs from, small and real, and runs over them."""

from pathlib import Path

from harness.synthesis.run import DirectReport, synthesize
from harness.synthesis.worker import DirectSettings
from models.edits import EditFormat
from models.llm_settings import ModelSettings
from models.mining import MiningRules
from models.protocols import Stage
from tests.support.mining_history import Entry, write_history

PACKAGE = {
    "pyproject.toml": '[project]\nname = "spans"\nversion = "1"\n',
    "src/spans/__init__.py": "from spans.parse import parse\n",
    "src/spans/parse.py": "def parse(text):\n    return int(text)\n\n\ndef unused():\n    return 0\n",
    "src/spans/show.py": "from spans.parse import parse\n\n\ndef show(text):\n    return str(parse(text))\n",
    "tests/test_parse.py": "from spans.parse import parse\n\n\ndef test_parse():\n    assert parse('1') == 1\n",
}
STRIPPED = PACKAGE["src/spans/parse.py"].replace("int(text)", "int(text.strip())")
SIGNED = STRIPPED.replace("def parse(text):", "def parse(text, sign=1):").replace("return int", "return sign * int")
ENTRIES = [
    Entry("Add the package of spans", dict(PACKAGE)),
    Entry("Strip the text before parse reads it", {"src/spans/parse.py": STRIPPED}),
    Entry(
        "Let parse take a sign",
        {
            "src/spans/parse.py": SIGNED,
            "tests/test_parse.py": PACKAGE["tests/test_parse.py"] + "    assert parse('1', -1) == -1\n",
        },
    ),
    Entry("Remove unused from the parser", {"src/spans/parse.py": SIGNED.partition("\n\n\ndef unused")[0] + "\n"}),
]


def repository(folder: Path, entries: list[Entry] | None = None) -> Path:
    """A bare repository with the entries."""
    write_history(folder, ENTRIES if entries is None else entries)
    return folder


def settings_in(folder: Path, *stages: Stage, models: ModelSettings | None = None) -> DirectSettings:
    """Settings of a run whose databases and cache lie in a folder."""
    return DirectSettings(
        raw_url=str(folder / "raw.sqlite"),
        curated_url=str(folder / "curated.sqlite"),
        cache_dir=folder / "cache",
        models=models or ModelSettings(),
        stages=stages or tuple(Stage),
        edit_format=EditFormat.SEARCH_REPLACE,
    )


def run(folder: Path, *places: Path, settings: DirectSettings | None = None, **how: int) -> DirectReport:
    """A run over repositories in this process."""
    return synthesize(places, settings or settings_in(folder), MiningRules(), **how)
