"""Options of the JavaScript test runners: those that are left out, because ours take their place or because they change
what a run means, and those that take a value."""

from dataclasses import dataclass

from runtime.testing.node_runner.scripts import JEST, MOCHA, NODE_TEST, VITEST


@dataclass(frozen=True)
class Words:
    """The words of a call apart: options with their values, and the rest (files, patterns)."""

    options: tuple[str, ...]
    rest: tuple[str, ...]


_DROPPED = {
    VITEST: (
        "--coverage", "--reporter", "--outputFile", "--ui", "--watch", "-w", "--run", "--bail", "--retry", "--changed",
        "--shard", "--silent", "--open", "--typecheck", "--sequence", "--no-color", "--color", "--allowOnly",
        "--update", "-u", "--passWithNoTests", "--benchmark", "--isolate=false", "--no-isolate", "--inspect",
    ),
    JEST: (
        "--coverage", "--collectCoverage", "--watch", "--ci", "--json", "--outputFile", "--reporters", "--notify",
        "--silent", "--bail", "-b", "--onlyChanged", "-o", "--lastCommit", "--changedSince", "--maxWorkers", "-w",
        "--runInBand", "-i", "--verbose", "--colors", "--color", "--no-color", "--passWithNoTests", "--forceExit",
        "--detectOpenHandles", "--logHeapUsage", "--shard", "--updateSnapshot", "-u", "--no-cache", "--cacheDirectory",
    ),
    MOCHA: (
        "--reporter", "-R", "--reporter-option", "--reporter-options", "-O", "--watch", "-w", "--bail", "-b",
        "--forbid-only", "--forbid-pending", "--color", "--colors", "-c", "--no-color", "--exit", "--retries",
        "--parallel", "-p", "--jobs", "-j", "--inspect", "--dry-run", "--check-leaks=false", "--growl",
    ),
    NODE_TEST: (
        "--test-reporter", "--test-reporter-destination", "--watch", "--experimental-test-coverage",
        "--test-coverage-include", "--test-coverage-exclude", "--test-coverage-lines", "--test-coverage-branches",
        "--test-coverage-functions", "--test-concurrency", "--test-only", "--test-shard", "--test-rerun-failures",
        "--test-force-exit", "--test-update-snapshots", "--inspect",
    ),
}  # fmt: skip
_WITH_VALUE = {
    VITEST: ("--config", "-c", "--root", "-r", "--dir", "--project", "--environment", "--pool", "-t", "--mode",
             "--testNamePattern", "--testTimeout", "--reporter", "--outputFile", "--bail", "--retry", "--shard",
             "--exclude", "--workspace", "--changed"),
    JEST: ("--config", "-c", "--projects", "--testPathPattern", "--testPathPatterns", "--env", "--testEnvironment",
           "--rootDir", "--roots", "--selectProjects", "-t", "--testTimeout", "--setupFilesAfterEnv", "--reporters",
           "--outputFile", "--maxWorkers", "-w", "--testPathIgnorePatterns", "--testMatch", "--testRegex",
           "--coverageDirectory", "--coverageReporters", "--coverageThreshold", "--changedSince", "--shard",
           "--cacheDirectory", "--testRunner", "--moduleNameMapper", "--preset"),
    MOCHA: ("-r", "--require", "--config", "-t", "--timeout", "-s", "--slow", "--ui", "-u", "--extension", "--file",
            "--ignore", "--exclude", "-g", "--grep", "-f", "--fgrep", "--package", "--opts", "--loader", "--import",
            "-n", "--node-option", "--compilers", "-R", "--reporter", "--reporter-option", "--reporter-options", "-O",
            "--retries", "--jobs", "-j", "--experimental-loader", "--spec"),
    NODE_TEST: ("-r", "--require", "--import", "--loader", "--experimental-loader", "--conditions", "-C",
                "--test-name-pattern", "--test-skip-pattern", "--env-file", "--test-timeout", "--test-reporter",
                "--test-reporter-destination", "--test-concurrency", "--test-shard", "--test-coverage-include",
                "--test-coverage-exclude", "--test-coverage-lines", "--test-coverage-branches",
                "--test-coverage-functions"),
}  # fmt: skip
_COMMANDS = {VITEST: ("run", "watch", "dev"), JEST: (), MOCHA: (), NODE_TEST: ()}


def sort_words(framework: str, words: tuple[str, ...]) -> Words:
    """A call's words apart, without those that are left out."""
    options: list[str] = []
    rest: list[str] = []
    left = [word for word in words if word not in _COMMANDS[framework] or word != words[0]]
    while left:
        word = left.pop(0)
        name, assigned, _ = word.partition("=")
        if not word.startswith("-") or word == "--":
            rest += [] if word == "--" else [word]
            continue
        value = [left.pop(0)] if not assigned and name in _WITH_VALUE[framework] and left else []
        if name == "--spec":
            rest += value or [word.partition("=")[2]]
        elif not _is_dropped(framework, word, name):
            options += [word, *value]
    return Words(tuple(options), tuple(rest))


def _is_dropped(framework: str, word: str, name: str) -> bool:
    dropped = _DROPPED[framework]
    families = ("--coverage", "--watch", "--inspect")
    return word in dropped or name in dropped or any(name.startswith(each) for each in families if each in dropped)
