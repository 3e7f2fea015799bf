"""Options of a repository's configuration that would break isolation or determinism of a run, and their removal.

It is copied into the sandbox next to the runner's own plugin, so it imports nothing of ours and keeps to Python 3.7.
docs/test-runs.md lists what is removed. Everything else that a repository sets stays in force.
"""

from __future__ import annotations

from os.path import lexists
from typing import Any

_EARLIER = "it selects or orders tests by earlier runs"
_REPEATED = "repeating tests hides those that waver"
_RANDOM = "the order is that of the files, and the seed is fixed"
_STOPS = "every test runs, and nobody answers a prompt"
_PROCESSES = "all tests run in one process"
_REPORTS = "reports are for people, and a threshold is no test"
_TRACER = "it traces in place of our measurements and writes into the tree"
_ACCEPTS = "it takes the present results for the expected ones"
_FOLDER = "temporary folders are new for each run"
_RUNS_NONE = "it runs no tests, or never ends"

_FLAGS = {
    _EARLIER: "--lf --last-failed --ff --failed-first --nf --new-first --sw --stepwise --sw-skip --stepwise-skip"
    " --sw-reset --stepwise-reset --testmon --testmon-noselect --testmon-nocollect --testmon-forceselect --picked"
    " --cache-clear",
    _REPEATED: "--flake-finder --force-flaky --no-flaky-report --no-success-flaky-report --rerun-show-tracebacks"
    " --fail-on-flaky --cumulative-timing",
    _RANDOM: "--randomly-dont-reorganize --randomly-dont-shuffle-modules --randomly-dont-shuffle-classes"
    " --randomly-dont-shuffle-functions --randomly-dont-reset-seed --randomly-seed-per-test --random-order --random"
    " --shuffle",
    _STOPS: "-x --exitfirst --pdb --trace --usepdb",
    _PROCESSES: "-d --boxed --forked",
    _REPORTS: "--self-contained-html",
    _TRACER: "--no-cov --no-cov-on-fail --cov-append --cov-branch --cov-reset",
    _ACCEPTS: "--snapshot-update --force-regen --regen-all",
    _RUNS_NONE: "--collect-only --collectonly --co --setup-only --setup-plan --markers --fixtures --funcargs"
    " --fixtures-per-test -f --looponfail -h --help -V --version",
}
_WITH_VALUE = {
    _EARLIER: "--lfnf --last-failed-no-failures --cache-show --testmon-env",
    _REPEATED: "--reruns --reruns-delay --only-rerun --rerun-except --max-runs --min-passes --flake-runs"
    " --flake-max-minutes --retries --retry-delay --retry-outcome",
    _RANDOM: "--randomly-seed --random-order-bucket --random-order-seed --random-order-bucket-type --random-seed"
    " --shuffle-seed",
    _STOPS: "--maxfail --pdbcls",
    _PROCESSES: "-n --numprocesses --maxprocesses --max-worker-restart --dist --tx --px --rsyncdir --parallel-threads"
    " --workers --tests-per-worker",
    _REPORTS: "--junitxml --junit-xml --junitprefix --junit-prefix --html --css --report-log --resultlog --result-log"
    " --json-report-file --pastebin --md-report-output --alluredir",
    _TRACER: "--cov --cov-report --cov-config --cov-context --cov-fail-under --cov-precision",
    _ACCEPTS: "--inline-snapshot",
    _FOLDER: "--basetemp",
}
_OPTIONAL = frozenset({"--cov", "--cov-report", "--cache-show"})  # their value may be absent
_AMBIGUOUS = "--random --shuffle --workers --retries --picked --html --css --boxed --forked --testmon --px"
_COMMON_WORDS = frozenset(_AMBIGUOUS.split(" "))
"""Removed only where a plugin defines them: a repository's own conftest may mean something else by them."""
REASONS = {name: reason for table in (_FLAGS, _WITH_VALUE) for reason, names in table.items() for name in names.split()}
"""Why an option is removed, by its name."""
_VALUES = frozenset(name for names in _WITH_VALUE.values() for name in names.split())
REPEATING = {
    "rerunfailures": _REPEATED,
    "pytest_rerunfailures": _REPEATED,
    "flaky": _REPEATED,
    "flaky.flaky_pytest_plugin": _REPEATED,
    "pytest-retry": _REPEATED,
    "pytest_retry": _REPEATED,
}
"""Plugins that repeat tests by marks and by configuration, too: they are taken out, while their options stay known."""


class Words:
    """The options of a repository: `kept` is what stays of them, `removed` lists (option as written, reason)."""

    def __init__(self, words: list[str], actions: dict[str, Any]) -> None:
        """`actions` are those of the runner's parser, by option."""
        self._actions = actions
        self.kept = []  # type: list[str]
        self.removed = []  # type: list[tuple[str, str]]
        left = list(words)
        while left:
            word = left.pop(0)
            if word == "--":
                self.kept += [word, *left]
                return
            if word == "-p" or not word.startswith("-") or word == "-":
                self.kept += [word, *(left[:1] if word == "-p" else ())]
                del left[: word == "-p"]
            elif word.startswith("--"):
                self._long(word, left)
            else:
                self._short(word, left)

    def _long(self, word: str, left: list[str]) -> None:
        written, equals, _ = word.partition("=")
        name = self._name(written)
        values = [] if equals else self._values(name, left)
        if name in REASONS and (name in self._actions or name not in _COMMON_WORDS):
            self.removed.append((" ".join([word, *values]), REASONS[name]))
        else:
            self.kept += [word, *values]

    def _name(self, written: str) -> str:
        """The option that is meant; versions of the runner before 6 accept beginnings that are unique."""
        if written in self._actions or written in REASONS:
            return written
        found = {id(self._actions[name]): name for name in self._actions if name.startswith(written)}
        return next(iter(found.values())) if len(found) == 1 else written

    def _values(self, name: str, left: list[str]) -> list[str]:
        """Take the values of an option from the words after it."""
        action = self._actions.get(name)
        count = 1 if name in _VALUES else 0  # nargs of an option that this runner does not know
        optional = name in _OPTIONAL
        if action is not None:
            count = action.nargs if isinstance(action.nargs, int) else 1
            optional = action.nargs in ("?", "*")
        if optional and left[:1] and left[0].startswith("-"):
            return []
        values, left[:count] = left[:count], []
        return values

    def _short(self, word: str, left: list[str]) -> None:
        """A word of one-letter options, the last of which may have a value."""
        kept = ""
        for at, letter in enumerate(word[1:], 2):
            name = f"-{letter}"
            action = self._actions.get(name)
            takes = name in _VALUES if action is None else action.nargs != 0
            values = [] if not takes or word[at:] else self._values(name, left)
            rest = word[at:] if takes else ""
            if name in REASONS:
                self.removed.append((" ".join([name + rest, *values]), REASONS[name]))
                values = []
            else:
                kept += letter + rest
            if takes:
                self.kept += [f"-{kept}"] if kept else []
                self.kept += values
                return
        self.kept += [f"-{kept}"] if kept else []


def without_unknown(words: list[str], unknown: list[str]) -> tuple[list[str], list[str]]:
    """Words without the options in `unknown`, and what was removed. A word after one is its value, unless it is a path.

    `unknown` is what the runner's parser does not know, as written.
    """
    kept, removed, left = [], [], list(words)
    while left:
        word = left.pop(0)
        if word not in unknown:
            kept.append(word)
            continue
        if "=" not in word and left[:1] and not left[0].startswith("-") and not lexists(left[0].split("::")[0]):
            word = f"{word} {left.pop(0)}"
        removed.append(word)
    return kept, removed
