"""Examples of commits that improve error handling, from real histories with each kind of improvement."""

import json
from pathlib import Path

import pytest

from agent.edits.parse import parse_edits
from models.edits import SearchReplace
from models.mining import MiningRules
from models.training import Pair, PairSource, Preference
from repos.index.error_handling import UnreadableCode
from repos.index.error_improvements import Kind, compare_files
from tests.support.commands import invoke as cra
from tests.support.mining_history import Entry, entry, write_history
from training.data.sources.collections import CollectionCard, read_collection
from training.data.sources.fail_fast_corpus import build_corpus

TRY = "def f(d, x):\n    try:\n        return g(d)\n    "
CHANGES: dict[Kind, tuple[str, str]] = {
    Kind.BARE_NARROWED: (TRY + "except:\n        return 0\n", TRY + "except KeyError:\n        return 0\n"),
    Kind.BLIND_NARROWED: (
        TRY + "except Exception:\n        return 0\n", TRY + "except (KeyError, ValueError):\n        return 0\n",
    ),
    Kind.RAISES_AGAIN: (
        TRY + "except Exception:\n        log()\n", TRY + "except Exception:\n        log()\n        raise\n",
    ),
    Kind.SILENCE_ENDED: (
        TRY + "except KeyError:\n        pass\n", TRY + "except KeyError:\n        warn(d)\n",
    ),
    Kind.SILENCE_REMOVED: (TRY + "except KeyError:\n        pass\n", "def f(d, x):\n    return g(d)\n"),
    Kind.TYPE_SPECIFIC: ("def f(x):\n    raise Exception(x)\n", "def f(x):\n    raise OwnError(x)\n"),
    Kind.CHAINED: (
        TRY + "except KeyError as error:\n        raise OwnError(x)\n",
        TRY + "except KeyError as error:\n        raise OwnError(x) from error\n",
    ),
    Kind.KEY_REQUIRED: ("def f(d):\n    return d.get('k')\n", "def f(d):\n    return d['k']\n"),
    Kind.TRANSLATED: (
        TRY + "finally:\n        close()\n",
        TRY + "except KeyError as error:\n        raise OwnError(x) from error\n    finally:\n        close()\n",
    ),
    Kind.CHECKED: (
        "def f(x):\n    return g(x)\n", "def f(x):\n    if not x:\n        raise OwnError(x)\n    return g(x)\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_of_improvement_is_found(kind: Kind) -> None:
    before, after = CHANGES[kind]
    compared = compare_files(before, after)
    assert [(each.function, each.kind) for each in compared.improvements] == [("f", kind)]
    assert compared.better
    assert (compared.after > compared.before) == (kind is not Kind.SILENCE_REMOVED)
    assert compared.new_faults == ()
    assert compare_files(after, before).improvements == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TRY + "except:\n        return 0\n", "def f(d, x):\n    return 0\n"),  # nothing is tried any more
        (TRY + "except:\n        return 0\n", TRY + "except Exception:\n        return 0\n"),
        (TRY + "except KeyError:\n        pass\n", "def f(d, x):\n    with suppress(KeyError):\n        return g(d)\n"),
        ("def f(x):\n    raise Exception(x)\n", "def f(x):\n    return None\n"),
        ("def f(x):\n    raise A(x)\n", "def f(x):\n    raise B(x)\n"),
        ("def f(x):\n    return x\n", "def f(x):\n    raise NotImplementedError\n"),
        ("def f(x):\n    return x\n", "def f(x):\n    return x\ndef h(x):\n    raise A\n"),  # a new function
    ],
    ids=["deleted", "still-blind", "suppressed", "no-raise", "renamed", "not-implemented", "new"],
)
def test_what_is_no_improvement(before: str, after: str) -> None:
    assert compare_files(before, after).improvements == []


def test_code_that_moves_within_a_file_improves_nothing() -> None:
    old = TRY + "except:\n        return 0\ndef other(x):\n    return x\n"
    moved = "def f(d, x):\n    try:\n        return other(d)\n    except KeyError:\n        return 1\n"
    moved += "def other(d):\n    try:\n        return g(d)\n    except:\n        return 0\n"
    assert compare_files(old, moved).improvements == []


def test_methods_and_repeated_names_are_told_apart() -> None:
    old = "class C:\n    def f(self): return 1\n    def f(self): return 2\n    def h(self): return 1\n"
    new = old.replace("return 2", "raise A").replace("def h(self): return 1", "def h(self): return 3")
    compared = compare_files(old, new)
    assert [each.function for each in compared.improvements] == ["C.f#2"]
    assert compared.others == ["C.h"]


def test_a_file_that_does_not_parse_is_refused() -> None:
    with pytest.raises(UnreadableCode):
        compare_files("print 'x'\n", "print('x')\n")


def built(folder: Path, *repositories: Path) -> tuple[list[Pair | Preference], CollectionCard]:
    place, card = build_corpus(repositories, folder / "data", folder / "cache", MiningRules(), lambda *_: None)
    assert place.parent == folder / "data" / "collections"
    return list(read_collection(place)), card


SETUP = '[project]\nname = "spans"\nversion = "1"\nlicense = "MIT"\n'
SETUP += 'classifiers = ["Topic :: Text Processing"]\nurls.home = "https://github.com/ann/spans"\n'


def test_every_kind_becomes_a_pair_and_a_preference(tmp_path: Path) -> None:
    first = entry("Begin", {"pyproject.toml": SETUP}, {f"{kind}.py": old for kind, (old, _) in CHANGES.items()})
    changes = [
        entry(f"Make function f stricter in the file {kind} (#{n})", {f"{kind}.py": new})
        for n, (kind, (_, new)) in enumerate(CHANGES.items())
    ]
    git = write_history(tmp_path / "spans.git", [first, *changes])
    rows, card = built(tmp_path, git.directory)
    pairs = [row for row in rows if isinstance(row, Pair)]
    preferences = [row for row in rows if isinstance(row, Preference)]
    assert (len(pairs), len(preferences), card.pairs, card.preferences) == (10, 10, 10, 10)
    assert card.made_from["kinds"] == dict.fromkeys((kind.value for kind in Kind), 1)
    assert card.made_from["domains"] == {"Text Processing": 10}
    assert card.made_from["organisations"] == {"ann": 10}
    assert card.made_from["repositories"] == {"spans": git.resolve("HEAD")}
    assert card.licenses == {"MIT": 20}
    assert (card.offered, card.dropped) == (11, {"commit: root": 1})
    for pair, preference in zip(pairs, preferences, strict=True):
        path, kind = pair.provenance.trajectory.split(":")[1:]
        assert path == f"{kind}.py"
        prompt = "\n".join(message.content for message in pair.messages)
        assert f"Make function f stricter in the file {kind}\n" in prompt
        assert "In `f`, " in prompt
        assert pair.source is PairSource.FAIL_FAST
        assert preference.messages == pair.messages
        assert preference.chosen == pair.answer != preference.rejected
        old_edits = parse_edits(preference.rejected)
        assert all(isinstance(edit, SearchReplace) and edit.search == edit.replace for edit in old_edits)


def test_the_same_histories_give_the_same_collection(tmp_path: Path) -> None:
    old, new = CHANGES[Kind.CHAINED]
    git = write_history(
        tmp_path / "r.git", [entry("Begin", {"a.py": old}), entry("Chain the own error", {"a.py": new})]
    )
    assert built(tmp_path, git.directory)[1].id == built(tmp_path, git.directory)[1].id
    twice = built(tmp_path, git.directory, git.directory)[1]
    assert (twice.pairs, twice.dropped["same as another"]) == (1, 1)
    assert twice.made_from["broken_rules"] == [
        "domain unknown has 100% of the pairs, over 20%", "0 domains, fewer than 6", "0 organisations, fewer than 5",
    ]  # fmt: skip


def test_what_gives_no_example_is_counted_with_its_reason(tmp_path: Path) -> None:
    old, new = CHANGES[Kind.CHAINED]
    both_old, both_new = old + "def h(x):\n    return x\n", new + "def h(x):\n    raise Exception\n"
    history = [
        entry("Begin", dict.fromkeys(("a.py", "b.py", "c.py", "d.py", "e.py", "tests/test_a.py"), old)),
        entry("Chain the own error", {"a.py": new}),
        entry("Chain the own error in tests", {"tests/test_a.py": new}),
        Entry("Move the file to another place", {"b2.py": new}, renames={"b.py": "b2.py"}),
        entry("wip", {"c.py": new}),
        entry("Rework the other functions", {"d.py": both_old}),
        entry("Chain and raise more", {"d.py": both_new}),
        entry("Print the value that is wrong", {"e.py": old.replace("g(d)", "g(d, 1)")}),
        Entry("Delete the file that nobody uses", {"e.py": None}),
        entry("Write it as it was written before", {"a.py": "print 'x'; raise\n"}),
        entry("Chain the own error once more", {"a.py": new}),
        Entry("Merge the branch", merges=0),
    ]
    _, card = built(tmp_path, write_history(tmp_path / "r.git", history).directory)
    assert card.pairs == 1
    assert card.offered == len(history)
    assert card.dropped == {
        "commit: its message is no task": 1,
        "commit: merge": 1,
        "commit: root": 1,
        "error handling untouched": 2,
        "file deleted, or too large": 1,
        "file does not parse by this Python": 2,
        "file renamed": 1,
        "new faults beside the improvement": 1,
        "no Python file is modified": 1,
    }


def test_reverts_and_what_they_revert_give_nothing(tmp_path: Path) -> None:
    old, new = CHANGES[Kind.CHAINED]
    start = [entry("Begin", {"a.py": old, "b.py": old}), entry("Chain the own error in one file", {"a.py": new})]
    sha = write_history(tmp_path / "first.git", start).resolve("HEAD")
    back = entry(f'Revert "Chain the own error"\n\nThis reverts commit {sha}.', {"a.py": old})
    history = [*start, back, entry("Chain the own error in the other", {"b.py": new})]
    rows, card = built(tmp_path, write_history(tmp_path / "r.git", history).directory)
    assert card.dropped["commit: a revert, or reverted"] == 2
    assert {row.provenance.trajectory.split(":")[1] for row in rows if isinstance(row, Pair)} == {"b.py"}


def test_defensive_frameworks_are_left_out(tmp_path: Path) -> None:
    old, new = CHANGES[Kind.CHAINED]
    named = '[project]\nname = "flask"\nversion = "1"\n'
    framework = [entry("Begin", {"a.py": old, "pyproject.toml": named}), entry("Chain the own error", {"a.py": new})]
    other = [entry("Begin", {"a.py": old}), entry("Chain the own error", {"a.py": new})]
    places = [write_history(tmp_path / f"{n}.git", each).directory for n, each in enumerate((framework, other))]
    _, card = built(tmp_path, *places)
    assert (card.pairs, card.dropped["defensive-framework"]) == (1, 2)


def test_the_command_prints_the_card(tmp_path: Path) -> None:
    old, new = CHANGES[Kind.CHAINED]
    git = write_history(
        tmp_path / "r.git", [entry("Begin", {"a.py": old}), entry("Chain the own error", {"a.py": new})]
    )
    shown = cra("fail-fast", "corpus", "build", git.directory, cwd=tmp_path)
    assert (shown.returncode, "exception-chained" in shown.stdout) == (0, True)
    found = json.loads(cra("fail-fast", "corpus", "build", git.directory, "--json", cwd=tmp_path).stdout)
    assert found["card"]["source"] == "fail-fast"
    refused = cra("fail-fast", "corpus", "build", "nowhere", cwd=tmp_path)
    assert (refused.returncode, refused.stderr.startswith("error: nowhere")) == (2, True)
    empty = write_history(tmp_path / "e.git", [entry("Begin", {"a.py": old})]).directory
    assert cra("fail-fast", "corpus", "build", empty, cwd=tmp_path).returncode == 1
