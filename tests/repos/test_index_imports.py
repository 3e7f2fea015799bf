"""Imports, resolved to the files of a repository."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repos.index import RepositoryIndex
from repos.index.python_modules import PythonModules
from repos.index.script_modules import ScriptModules
from tests.support.index_material import indexed


def edges(index: RepositoryIndex, path: str) -> dict[str, tuple[str, ...]]:
    return {edge.path: edge.names for edge in index.import_edges(path)}


PACKAGE = {
    "src/pkg/__init__.py": "from ._core import run as start, Box\nfrom . import tools\nfrom .more import *\n",
    "src/pkg/_core.py": "def run(): ...\nclass Box: ...\n",
    "src/pkg/tools.py": "def hammer(): ...\nfrom pkg import Box\n",
    "src/pkg/more.py": "def extra(): ...\n",
    "src/pkg/sub/__init__.py": "",
    "src/pkg/sub/deep.py": (
        "from ..tools import hammer\nfrom ... import outside\nfrom .. import more\nimport pkg._core as c\n"
    ),
    "src/pkg/logging.py": "import logging\n",
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import pkg", {"src/pkg/__init__.py": ()}),
        ("import pkg.tools", {"src/pkg/tools.py": ()}),
        ("from pkg._core import run", {"src/pkg/_core.py": ("run",)}),
        ("from pkg import start", {"src/pkg/__init__.py": ("start",), "src/pkg/_core.py": ("start",)}),
        ("from pkg import extra", {"src/pkg/__init__.py": ("extra",), "src/pkg/more.py": ("extra",)}),
        ("from pkg import tools", {"src/pkg/tools.py": ()}),
        ("from pkg import sub", {"src/pkg/sub/__init__.py": ()}),
        ("from pkg.sub import deep", {"src/pkg/sub/deep.py": ()}),
        ("from pkg import *", {"src/pkg/__init__.py": ("*",)}),
        ("import pkg as p\np.start()", {"src/pkg/__init__.py": ("start",), "src/pkg/_core.py": ("start",)}),
        ("import pkg\npkg.tools.hammer()", {"src/pkg/__init__.py": ("tools",), "src/pkg/tools.py": ("tools",)}),
        ("from pkg import tools\ntools.hammer()", {"src/pkg/tools.py": ("hammer",)}),
        ("def f():\n    from pkg._core import Box", {"src/pkg/_core.py": ("Box",)}),
        ("try:\n    import pkg\nexcept ImportError:\n    pkg = None", {"src/pkg/__init__.py": ()}),
        (
            "from pkg import (\n  Box as B,  # one\n  start,\n)",
            {"src/pkg/__init__.py": ("Box", "start"), "src/pkg/_core.py": ("Box", "start")},
        ),
        ("import logging, os, pkg2\nfrom typing import Any", {}),
        ("from . import nothing\nfrom .... import beyond", {}),
    ],
)
def test_python_imports_from_a_src_layout(tmp_path: Path, text: str, found: Mapping[str, tuple[str, ...]]) -> None:
    index = indexed(tmp_path, {**PACKAGE, "tests/test_it.py": text + "\n"})
    assert edges(index, "tests/test_it.py") == found
    for path in found:
        assert "tests/test_it.py" in index.importers(path)


def test_python_imports_inside_the_package(tmp_path: Path) -> None:
    index = indexed(tmp_path, PACKAGE)
    assert edges(index, "src/pkg/sub/deep.py") == {
        "src/pkg/_core.py": (),
        "src/pkg/more.py": (),
        "src/pkg/tools.py": ("hammer",),
    }
    assert edges(index, "src/pkg/tools.py") == {"src/pkg/__init__.py": ("Box",), "src/pkg/_core.py": ("Box",)}
    assert edges(index, "src/pkg/logging.py") == {}
    assert index.imports("src/pkg/__init__.py") == ("src/pkg/_core.py", "src/pkg/more.py", "src/pkg/tools.py")


def test_python_layouts_without_src_and_without_packages(tmp_path: Path) -> None:
    index = indexed(
        tmp_path,
        {
            "app/__init__.py": "",
            "app/utils.py": "A = 1\n",
            "tests/utils.py": "B = 1\n",
            "tests/test_a.py": "from utils import B\nimport app.utils\n",
            "scripts/run.py": "from app.utils import A\nimport conf\n",
            "scripts/conf.py": "",
            "src/ns/part/__init__.py": "",
            "src/ns/part/mod.py": "C = 1\n",
            "app/b.py": "from ns.part.mod import C\nimport conf\n",
        },
    )
    assert index.imports("tests/test_a.py") == ("app/utils.py", "tests/utils.py")
    assert index.imports("scripts/run.py") == ("app/utils.py", "scripts/conf.py")
    assert index.imports("app/b.py") == ("src/ns/part/mod.py",)


def test_re_exports_in_circles_and_to_nowhere_end(tmp_path: Path) -> None:
    index = indexed(
        tmp_path,
        {
            "a/__init__.py": "from a.b import thing\nfrom a.b import *\n",
            "a/b.py": "from a import thing\nfrom a.c import *\n",
            "a/c.py": "from a.b import *\nfrom a import *\ndef found(): ...\n",
            "use.py": "from a import thing, found\nimport use\n",
            **{f"chain/m{n}.py": f"from chain.m{n + 1} import deep\n" for n in range(100)},
        },
    )
    assert edges(index, "use.py") == {"a/__init__.py": ("found", "thing"), "a/c.py": ("found",)}
    assert index.imports("chain/m0.py") == ("chain/m1.py",)
    assert index.imports("chain/m99.py") == ()


SEGMENT = st.sampled_from(["a", "b", "c", "src", "lib", "tests", "__init__", "a-b"])
PATHS = st.lists(st.lists(SEGMENT, min_size=1, max_size=4).map(lambda parts: "/".join(parts) + ".py"), max_size=12)


@given(PATHS, st.lists(SEGMENT, min_size=1, max_size=3), st.integers(0, 4))
def test_a_python_module_resolves_to_a_file_of_its_name(paths: list[str], parts: list[str], level: int) -> None:
    modules = PythonModules(paths)
    for importer in [*paths, "elsewhere/x.py"]:
        found = modules.resolve(importer, "." * level + ".".join(parts))
        if found is not None:
            assert found in paths
            assert (
                found.removesuffix(".py").removesuffix("/__init__").split("/")[-len(parts) :] == parts
                or "__init__" in parts
            )


@given(PATHS)
def test_python_modules_do_not_depend_on_the_order_of_files(paths: list[str]) -> None:
    names = [".".join(path.removesuffix(".py").split("/")[start:]) for path in paths for start in (0, 1)]
    one, other = PythonModules(paths), PythonModules(sorted(paths, reverse=True))
    for name in filter(None, names):
        assert one.resolve("x.py", name) == other.resolve("x.py", name)


SCRIPTS = {
    "package.json": '{"name": "root", "imports": {"#inner/*": "./packages/core/src/*.js"}}',
    "tsconfig.base.json": (
        '{"compilerOptions": {"paths": {"@app/*": ["apps/web/src/*"], "@app/special": ["apps/web/src/other.ts"]}}}'
    ),
    "apps/web/tsconfig.json": (
        '// so\n{"extends": "../../tsconfig.base", /* and so */ "compilerOptions": {"jsx": "a//b",},}'
    ),
    "apps/web/src/util/index.ts": "export function tool() {}\nexport default class Tool {}\n",
    "apps/web/src/other.ts": "export const other = 1;\n",
    "apps/web/src/view.tsx": "export const View = () => <p>hi</p>;\n",
    "apps/web/src/barrel.ts": (
        "export { tool as hammer } from './util';\nexport * from './other.js';\nexport * as views from './view';\n"
    ),
    "apps/web/src/types.d.ts": "export interface Shape { a: string }\n",
    "packages/core/package.json": (
        '{"name": "@org/core", "exports": {".": {"types": "./dist/index.d.ts", "import": "./dist/index.mjs"},'
        ' "./feature/*": "./dist/feature/*.js"}}'
    ),
    "packages/core/src/index.ts": "export * from './deep';\nexport const core = 1;\n",
    "packages/core/src/deep.ts": "export function deep() {}\n",
    "packages/core/src/feature/one.ts": "export const one = 1;\n",
    "packages/old/package.json": '{"name": "old", "main": "lib/main"}',
    "packages/old/lib/main.js": "exports.f = function () {};\n",
    "packages/based/tsconfig.json": '{"compilerOptions": {"baseUrl": "src"}}',
    "packages/based/src/model/user.ts": "export class User {}\n",
    "packages/based/src/main.ts": "import { User } from 'model/user';\n",
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import { tool } from './util';", {"apps/web/src/util/index.ts": ("tool",)}),
        ("import Tool, { tool as t } from './util/index.js';", {"apps/web/src/util/index.ts": ("default", "tool")}),
        ("import * as util from './util';\nutil.tool();", {"apps/web/src/util/index.ts": ("tool",)}),
        ("import './view.jsx';", {"apps/web/src/view.tsx": ()}),
        ("import type { Shape } from './types';", {"apps/web/src/types.d.ts": ("Shape",)}),
        ("import { other } from '@app/other';", {"apps/web/src/other.ts": ("other",)}),
        ("import x from '@app/special';", {"apps/web/src/other.ts": ("default",)}),
        (
            "import { hammer } from './barrel';",
            {"apps/web/src/barrel.ts": ("hammer",), "apps/web/src/util/index.ts": ("hammer",)},
        ),
        (
            "import { other } from './barrel';",
            {"apps/web/src/barrel.ts": ("other",), "apps/web/src/other.ts": ("other",)},
        ),
        (
            "import { deep } from '@org/core';",
            {"packages/core/src/index.ts": ("deep",), "packages/core/src/deep.ts": ("deep",)},
        ),
        ("import { one } from '@org/core/feature/one';", {"packages/core/src/feature/one.ts": ("one",)}),
        ("const { f } = require('old');", {"packages/old/lib/main.js": ("f",)}),
        ("const g = require('../../../packages/old/lib/main').f;", {"packages/old/lib/main.js": ("f",)}),
        ("const late = await import('./other');", {"apps/web/src/other.ts": ()}),
        ("export { other } from './other';", {"apps/web/src/other.ts": ("other",)}),
        ("import { one } from '#inner/feature/one';", {"packages/core/src/feature/one.ts": ("one",)}),
        ("import react from 'react';\nimport x from '@org/none';\nimport './gone';\nimport '../../../../out';", {}),
        ("describe('./util', () => {});", {}),
    ],
)
def test_script_imports(tmp_path: Path, text: str, found: Mapping[str, tuple[str, ...]]) -> None:
    index = indexed(tmp_path, {**SCRIPTS, "apps/web/src/app.ts": text + "\n"})
    assert edges(index, "apps/web/src/app.ts") == found


def test_script_names_below_a_base_url(tmp_path: Path) -> None:
    index = indexed(tmp_path, SCRIPTS)
    assert edges(index, "packages/based/src/main.ts") == {"packages/based/src/model/user.ts": ("User",)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "nul",
        '{"extends": "./tsconfig.json"}',
        '{"compilerOptions": 3}',
        '{"compilerOptions": {"paths": {"a": "b", "c*": [1], "*": ["../../../*"]}, "baseUrl": ".."}}',
        "[" * 100_000,
    ],
)
def test_settings_that_make_no_sense_resolve_nothing(text: str) -> None:
    modules = ScriptModules(["src/a.ts"], {"tsconfig.json": text, "src/package.json": text})
    assert modules.resolve("src/b.ts", "./a") == "src/a.ts"
    assert modules.resolve("src/b.ts", "cx") is None
    assert modules.resolve("src/b.ts", "#x") is None


SPECIFIER = st.text(alphabet="./ab#@*-", max_size=12)


@given(st.lists(st.sampled_from(["a.ts", "a/index.js", "b/a.tsx", "b/b.d.ts", "src/a.mjs"]), max_size=5), SPECIFIER)
def test_any_specifier_resolves_to_a_file_or_to_nothing(paths: list[str], specifier: str) -> None:
    settings = {
        "package.json": '{"name": "a", "exports": {"./*": "./*.js"}, "imports": {"#*": "./*"}}',
        "b/tsconfig.json": '{"compilerOptions": {"paths": {"*": ["./*"]}}}',
    }
    modules = ScriptModules(paths, settings)
    assert modules.resolve("b/x.ts", specifier) in [None, *paths]
