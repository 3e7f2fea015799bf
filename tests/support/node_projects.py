"""Small JavaScript repositories, one for each test runner: a package that adds, then also multiplies."""

from dataclasses import dataclass
from pathlib import Path

from repos.git import Git
from tests.support.mining_history import Entry, write_history

ADD = "export function add(a, b) {\n  return a + b;\n}\n"
BOTH = ADD + "\nexport function multiply(a, b) {\n  return a * b;\n}\n"
COMMON_ADD = "exports.add = (a, b) => a + b;\n"
COMMON_BOTH = COMMON_ADD + "exports.multiply = (a, b) => a * b;\n"
TYPED_ADD = "export function add(a: number, b: number): number {\n  return a + b;\n}\n"
TYPED_BOTH = TYPED_ADD + "\nexport function multiply(a: number, b: number): number {\n  return a * b;\n}\n"


@dataclass(frozen=True)
class Little:
    """A repository of two commits: `before`, and what the second changes; and the tests that tell them apart."""

    before: dict[str, str]
    after: dict[str, str]
    fails: tuple[str, ...]
    passes: tuple[str, ...]
    production: str

    def write(self, path: Path) -> Git:
        """The repository, without a work tree."""
        first = Entry("Add numbers", dict(self.before))
        return write_history(path, [first, Entry("Add multiplication of numbers", dict(self.after))])


def _package(script: str, needs: str, more: str = "") -> str:
    wanted = f'"devDependencies": {{{needs}}}' if needs else '"devDependencies": {}'
    return f'{{"name": "little", "version": "1.0.0", "scripts": {{"test": "{script}"}}, {more}{wanted}}}\n'


NODE = Little(
    before={
        "package.json": _package("node --test test/*.js", "", '"type": "module", '),
        "src/sum.js": ADD,
        "test/add.js": 'import assert from "node:assert";\nimport { test } from "node:test";\n'
        'import { add } from "../src/sum.js";\ntest("adds", () => assert.equal(add(1, 2), 3));\n',
    },
    after={
        "src/sum.js": BOTH,
        "test/multiply.js": 'import assert from "node:assert";\nimport { describe, it } from "node:test";\n'
        'import * as sum from "../src/sum.js";\ndescribe("multiply", () => {\n'
        '  it("works", () => assert.equal(sum.multiply(3, 4), 12));\n'
        '  it("works", () => assert.equal(sum.add(3, 4), 7));\n});\n',
    },
    fails=("test/multiply.js::multiply > works",),
    passes=("test/add.js::adds", "test/multiply.js::multiply > works #2"),
    production="src/sum.js",
)
MOCHA = Little(
    before={
        "package.json": _package("c8 mocha --require ./test/helper.js", '"mocha": "^10.2.0"'),
        "lib/sum.js": COMMON_ADD,
        "test/helper.js": 'global.equal = require("assert").equal;\n',
        "test/sum.js": 'const { add } = require("../lib/sum");\nit("adds", () => equal(add(1, 2), 3));\n',
    },
    after={
        "lib/sum.js": COMMON_BOTH,
        "test/sum.js": 'const { add, multiply } = require("../lib/sum");\nit("adds", () => equal(add(1, 2), 3));\n'
        'describe("multiply", () => it("works", () => equal(multiply(3, 4), 12)));\n',
    },
    fails=("test/sum.js::multiply > works",),
    passes=("test/sum.js::adds",),
    production="lib/sum.js",
)
JEST = Little(
    before={
        "package.json": _package("jest --coverage", '"jest": "^29.7.0"', '"jest": {"verbose": true}, '),
        "src/sum.js": COMMON_ADD,
        "src/__tests__/sum.test.js": 'const { add } = require("../sum");\n'
        'test("adds", () => expect(add(1, 2)).toBe(3));\n',
    },
    after={
        "src/sum.js": COMMON_BOTH,
        "src/__tests__/sum.test.js": 'const { add, multiply } = require("../sum");\n'
        'test("adds", () => expect(add(1, 2)).toBe(3));\n'
        'describe("multiply", () => {\n  test("is seen", () => expect(multiply(3, 4)).toMatchSnapshot());\n});\n',
        "src/__tests__/__snapshots__/sum.test.js.snap": "// Jest Snapshot v1, https://goo.gl/fbAQLP\n\n"
        "exports[`multiply is seen 1`] = `12`;\n",
    },
    fails=("src/__tests__/sum.test.js::multiply > is seen",),
    passes=("src/__tests__/sum.test.js::adds",),
    production="src/sum.js",
)
VITEST = Little(
    before={
        "package.json": '{"private": true, "scripts": {"test": "vitest run"}, "workspaces": ["packages/*"],'
        ' "devDependencies": {"vitest": "^0.34.0"}}\n',
        "packages/sum/package.json": '{"name": "@little/sum", "version": "1.0.0", "main": "src/index.ts"}\n',
        "packages/sum/src/index.ts": TYPED_ADD,
        "packages/use/package.json": '{"name": "use", "version": "1.0.0", "dependencies": {"@little/sum": "*"}}\n',
        "packages/use/src/use.test.ts": 'import { expect, test } from "vitest";\nimport { add } from "@little/sum";\n'
        'test("adds", () => {\n  expect(add(1, 2)).toBe(3);\n});\n',
    },
    after={
        "packages/sum/src/index.ts": TYPED_BOTH,
        "packages/use/src/more.test.ts": 'import { expect, test } from "vitest";\nimport * as sum from "@little/sum";\n'
        'test("multiplies", () => {\n  expect(sum.multiply(3, 4)).toBe(12);\n});\n',
    },
    fails=("packages/use/src/more.test.ts::multiplies",),
    passes=("packages/use/src/use.test.ts::adds",),
    production="packages/sum/src/index.ts",
)
