"""Which JavaScript test runner a repository's scripts start, with which options and on which files."""

import pytest

from runtime.testing.node_runner.calls import Call, encoded
from runtime.testing.node_runner.globs import default_node_tests, matching
from runtime.testing.node_runner.scripts import Script, find_script


def found(**scripts: str) -> Script | None:
    return find_script({"scripts": scripts})


@pytest.mark.parametrize(
    ("scripts", "framework", "options", "rest"),
    [
        ({"test": "vitest run --coverage --config x.ts src"}, "vitest", ("--config", "x.ts"), ("src",)),
        ({"test": "npm run lint && npm run unit", "unit": "jest -i --config=a.json"}, "jest", ("--config=a.json",), ()),
        ({"test": "c8 mocha --require ./b.js -R dot 'test/*.js'"}, "mocha", ("--require", "./b.js"), ("test/*.js",)),
        ({"test": "cross-env TZ=UTC pnpm exec vitest run"}, "vitest", (), ()),
        ({"test": "node --test --watch --import ./a t/*.js"}, "node-test", ("--import", "./a"), ("t/*.js",)),
        ({"test": "tsx --test src/**/*.test.ts"}, "node-test", ("--import", "tsx"), ("src/**/*.test.ts",)),
        ({"test": "node --experimental-vm-modules node_modules/jest/bin/jest.js --bail"}, "jest", (), ()),
        ({"test": "run-s lint test:*", "test:unit": "mocha --retries 3 --timeout=5"}, "mocha", ("--timeout=5",), ()),
        ({"test": "yarn test:a", "test:a": "pnpm run test:b -- x", "test:b": "vitest"}, "vitest", (), ()),
    ],
)  # fmt: skip
def test_the_runner_of_the_scripts(
    scripts: dict[str, str], framework: str, options: tuple[str, ...], rest: tuple[str, ...]
) -> None:
    script = find_script({"scripts": scripts})
    assert script is not None
    call = Call.of(encoded(script))
    assert (call.framework, call.words.options, call.words.rest) == (framework, options, rest)


def test_types_are_not_checked_by_vitest_nor_by_the_projects_of_its_workspace() -> None:
    call = Call.of(("vitest",))
    command = call.command("node", "vitest.mjs", 4, ["a.test.ts"], "report.json", "/ours.mjs")
    assert "--typecheck.enabled=false" in command
    assert command.index("--reporter=/ours.mjs") > command.index("--reporter=json")
    assert "--reporter=/ours.mjs" not in call.command("node", "vitest.mjs", 0, None, "report.json", "/ours.mjs")


def test_variables_and_options_of_node_are_kept() -> None:
    script = found(test="cross-env NODE_ENV=test PATH=/evil node --no-warnings node_modules/.bin/jest")
    assert script is not None
    call = Call.of(encoded(script))
    assert call.variables == {"NODE_ENV": "test"}
    assert call.node_options == ("--no-warnings",)


def test_scripts_in_a_circle_and_without_a_runner_give_none() -> None:
    assert found(test="npm run a", a="npm test") is None
    assert found(test='echo "no tests" && exit 1') is None
    assert find_script({"scripts": "jest", "devDependencies": {"mocha": "1"}}) == Script("mocha")


def test_patterns_match_as_in_a_shell() -> None:
    paths = ["test/a.js", "test/b/c.test.mjs", "src/x.spec.ts", "README.md"]
    assert matching(["test/*.js"], paths) == ["test/a.js"]
    assert matching(["./test/**/*.{js,test.mjs}"], paths) == ["test/a.js", "test/b/c.test.mjs"]
    assert matching(["test/"], paths) == ["test/a.js", "test/b/c.test.mjs"]
    assert matching(["src/x.@(spec|test).ts"], paths) == ["src/x.spec.ts"]
    assert matching(["[a-"], paths) == []


def test_files_that_node_takes_for_tests() -> None:
    paths = ["a.test.js", "b-test.mjs", "test-c.cjs", "test.js", "test/deep/d.js", "src/e.js", "node_modules/x/test.js"]
    assert default_node_tests(paths) == ["a.test.js", "b-test.mjs", "test-c.cjs", "test.js", "test/deep/d.js"]


def test_helpers_among_touched_files_are_not_run_as_tests() -> None:
    call = Call.of(("mocha", "test/*.js"))
    paths = ["test/a.js", "test/helpers/h.js"]
    assert call.files(["test/helpers/h.js", "test/a.js", "test/gone.js"], paths) == ["test/a.js"]
