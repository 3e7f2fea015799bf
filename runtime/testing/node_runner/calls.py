"""The command lines of JavaScript test runners, with the reporters that they bring themselves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.testing.node_runner.globs import default_node_tests, matching
from runtime.testing.node_runner.options import Words, sort_words
from runtime.testing.node_runner.scripts import FRAMEWORKS, JEST, MOCHA, NODE_TEST, VITEST, Script, package_json

_ENTRIES = {
    VITEST: ("vitest/vitest.mjs", "vitest/dist/cli.js"),
    JEST: ("jest/bin/jest.js", "jest-cli/bin/jest.js"),
    MOCHA: ("mocha/bin/mocha.js", "mocha/bin/mocha.cjs", "mocha/bin/_mocha", "mocha/bin/mocha"),
}
WORKERS = 2
"""Processes that share a suite's files: each has a dozen threads, which count as processes in the sandbox."""
_VARIABLES = {
    VITEST: {
        "CI": "true",  # missing snapshots fail
        "VITEST_MAX_WORKERS": str(WORKERS),
        "VITEST_MAX_THREADS": str(WORKERS),
        "VITEST_MIN_THREADS": "1",
        "VITEST_MAX_FORKS": str(WORKERS),
        "VITEST_MIN_FORKS": "1",
    },
    JEST: {},
    MOCHA: {},
    NODE_TEST: {},
}


def encoded(script: Script) -> tuple[str, ...]:
    """A script as the command of a suite's setup: variables, options of node, the runner, its words."""
    return (*script.variables, *script.node_options, script.framework, *script.words)


@dataclass(frozen=True)
class Call:
    """A runner with its own options (`words.options`) and the files or patterns that the repository names."""

    framework: str
    words: Words
    node_options: tuple[str, ...]
    variables: dict[str, str]

    @classmethod
    def of(cls, command: Sequence[str]) -> "Call":
        """The call in a setup's command. Raises ValueError if it names no runner that is known."""
        at = next((index for index, word in enumerate(command) if word in FRAMEWORKS), None)
        if at is None:
            raise ValueError(f"{' '.join(command)[:80]!r} names no test runner of {', '.join(FRAMEWORKS)}")
        before = command[:at]
        given = dict(word.split("=", 1) for word in before if not word.startswith("-"))
        framework = command[at]
        return cls(
            framework,
            sort_words(framework, tuple(command[at + 1 :])),
            tuple(word for word in before if word.startswith("-")),
            {**_VARIABLES[framework], **given},
        )

    def entry(self, tree: Path, folder: str) -> str | None:
        """The file that starts the runner, relative to `folder` of the tree; None if it is not installed."""
        steps = len(Path(folder).parts)
        for up in range(steps + 1):
            for entry in _ENTRIES[self.framework]:
                path = Path(*[".."] * up, "node_modules", entry)
                if (tree / folder / path).is_file():
                    return str(path)
        return None

    def files(self, wanted: Collection[str], paths: Collection[str]) -> list[str]:
        """Those of the wanted files that the runner takes for tests, as far as its call says; all are among `paths`."""
        known = set(paths)
        there = sorted(path for path in wanted if path in known)
        if self.framework == MOCHA and self.words.rest:
            return matching(self.words.rest, there)
        if self.framework == NODE_TEST:
            return self._node_tests(there)
        return there

    def every_file(self, paths: Collection[str]) -> list[str]:
        """The files of all tests, of the runner that is started for each by itself."""
        return self._node_tests(paths)

    def _node_tests(self, paths: Collection[str]) -> list[str]:
        return matching(self.words.rest, paths) if self.words.rest else default_node_tests(paths)

    def major(self, tree: Path, folder: str, entry: str) -> int:
        """The major version of the runner that an entry belongs to; 0 if its package.json does not say."""
        name = Path(entry).parts[Path(entry).parts.index("node_modules") + 1]
        path = tree / folder / entry.partition(name)[0] / name / "package.json"
        version = package_json(lambda _: path.read_bytes() if path.is_file() else None).get("version")
        number = str(version).partition(".")[0]
        return int(number) if number.isdigit() else 0

    def command(
        self, node: str, entry: str, major: int, files: Sequence[str] | None, report: str, untyped: str = ""
    ) -> list[str]:
        """The command that runs some files (paths from its folder), or all, and writes the report.

        Types are not checked as tests are: that takes minutes, and says nothing about behaviour. `untyped` is a
        reporter of vitest that sees to it in projects of a workspace.
        """
        start = [node, *self.node_options, entry]
        options = list(self.words.options)
        if self.framework == VITEST:
            ours = ["--reporter=json", f"--outputFile={report}", "--passWithNoTests"]
            ours += ["--coverage.enabled=false", "--typecheck.enabled=false"] if major >= 1 else ["--no-coverage"]
            ours += [f"--reporter={untyped}"] if untyped and major >= 1 else []
            return [*start, "run", *options, *ours, *(self.words.rest if files is None else files)]
        if self.framework == JEST:
            ours = ["--json", f"--outputFile={report}", "--coverage=false", "--ci", "--passWithNoTests", "--forceExit",
                    f"--maxWorkers={WORKERS}", "--cacheDirectory=/tmp/jest", "--watchAll=false"]  # fmt: skip
            chosen = self.words.rest if files is None else ["--runTestsByPath", *files]
            return [*start, *options, *ours, *chosen]
        ours = ["--reporter", "json", "--reporter-option", f"output={report}", "--exit", "--no-color"]
        return [*start, *options, *ours, *(self.words.rest if files is None else files)]
