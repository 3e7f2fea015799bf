"""Tests that a change may break, found by what pytest connects at run time; and how each was found."""

from pathlib import Path

import pytest

from tests.support.index_material import indexed

CODE = {
    "src/pkg/__init__.py": "",
    "src/pkg/db.py": "def connect(): ...\ndef close(): ...\n",
    "src/pkg/app.py": "from pkg.db import connect\ndef create(): return connect()\n",
    "src/pkg/clock.py": "def now(): ...\n",
    "tests/test_other.py": "def test_other(): pass\n",
}
USES = "def test_it(client): pass\n"
MARK = "import pytest\n@pytest.fixture\n"
FIXTURE = "import pytest\nfrom pkg.db import connect\n@pytest.fixture\ndef client():\n    return connect()\n"


def affected(tmp_path: Path, files: dict[str, str], path: str = "src/pkg/db.py") -> dict[str, str]:
    tmp_path.mkdir(exist_ok=True)
    index = indexed(tmp_path, {**CODE, **files})
    return {each.path: each.how for each in index.affected_tests(path)}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"tests/conftest.py": FIXTURE, "tests/test_a.py": USES}, {"tests/test_a.py": "fixture"}),
        (  # nested folders
            {"tests/conftest.py": FIXTURE, "tests/unit/deep/test_a.py": USES, "elsewhere/test_b.py": USES},
            {"tests/unit/deep/test_a.py": "fixture"},
        ),
        (  # a fixture of a fixture, in another file
            {"tests/conftest.py": FIXTURE,
             "tests/web/conftest.py": "import pytest\n@pytest.fixture\ndef site(client): return client\n",
             "tests/web/test_a.py": "class TestSite:\n    def test_it(self, site): pass\n",
             "tests/test_b.py": "def test_b(site): pass\n"},
            {"tests/web/test_a.py": "fixture"},
        ),
        (  # one that overrides another is what counts below its folder
            {"tests/conftest.py": FIXTURE,
             "tests/web/conftest.py": "import pytest\n@pytest.fixture\ndef client(): return 1\n",
             "tests/web/test_a.py": USES, "tests/test_b.py": USES},
            {"tests/test_b.py": "fixture"},
        ),
        (  # unless it extends it
            {"tests/conftest.py": FIXTURE,
             "tests/web/conftest.py": "import pytest\n@pytest.fixture\ndef client(client): return client\n",
             "tests/web/test_a.py": USES},
            {"tests/web/test_a.py": "fixture"},
        ),
        (  # autouse
            {"tests/conftest.py": FIXTURE.replace("fixture\n",
             "fixture(autouse=True)\n"), "x/test_b.py": "def test_b(): pass\n"},
            {"tests/test_other.py": "fixture"},
        ),
        (  # under another name
            {"tests/conftest.py": FIXTURE.replace("fixture\n", "fixture(name='link')\n"),
             "tests/test_a.py": USES, "tests/test_b.py": "def test_b(link): pass\n"},
            {"tests/test_b.py": "fixture"},
        ),
        (  # by a function of the conftest, and by an import inside of one
            {"tests/conftest.py": "import pytest\nfrom pkg import db\ndef _make(): return db.connect()\n"
             "@pytest.fixture\ndef client():\n    yield _make()\n", "tests/test_a.py": USES},
            {"tests/test_a.py": "fixture"},
        ),
        (
            {"tests/conftest.py": MARK
             + "def client():\n    from pkg.db import connect\n    return connect()\n",
             "tests/test_a.py": USES},
            {"tests/test_a.py": "fixture"},
        ),
        (  # fixtures that a conftest imports
            {"tests/__init__.py": "", "tests/fixtures.py": FIXTURE,
             "tests/conftest.py": "from tests.fixtures import *\n",
             "tests/test_a.py": USES},
            {"tests/test_a.py": "fixture"},
        ),
        (  # fixtures made by a call
            {"tests/conftest.py": "import pytest\nfrom pkg.db import connect\n"
             "client = pytest.fixture(scope='session')(connect)\n",
             "tests/test_a.py": USES},
            {"tests/test_a.py": "fixture"},
        ),
        (  # plugins named in a conftest
            {"tests/__init__.py": "", "tests/plugin.py": FIXTURE, "conftest.py": "pytest_plugins = ['tests.plugin']\n",
             "tests/test_a.py": USES},
            {"tests/test_a.py": "fixture"},
        ),
        (  # the repository's own plugin
            {"src/pkg/testing.py": FIXTURE, "tests/test_a.py": USES,
             "pyproject.toml": "[project]\nname='pkg'\n[project.entry-points.pytest11]\npkg='pkg.testing'\n"},
            {"tests/test_a.py": "fixture"},
        ),
        (
            {"src/pkg/testing.py": FIXTURE, "tests/test_a.py": USES,
             "setup.py": "setup(entry_points={'pytest11': ['pkg = pkg.testing']})\n"},
            {"tests/test_a.py": "fixture"},
        ),
        (
            {"src/pkg/testing.py": FIXTURE,
             "tests/test_a.py": USES, "pytest.ini": "[pytest]\naddopts = -p pkg.testing\n"},
            {"tests/test_a.py": "fixture"},
        ),
        (  # fixtures requested by strings
            {"tests/conftest.py": FIXTURE,
             "tests/test_a.py": "import pytest\n@pytest.mark.usefixtures('client')\ndef test_a(): pass\n",
             "tests/test_b.py": "def test_b(request): request.getfixturevalue('client')\n",
             "tests/test_c.py": "import pytest\n@pytest.mark.parametrize('name', ['client', 'x'])\n"
             "def test_c(request, name): request.getfixturevalue(name)\n",
             "tests/test_d.py": "import pytest\n@pytest.mark.parametrize('client', [1], indirect=True)\n"
             "def test_d(client): pass\n",
             "tests/test_e.py": "NAMES = ['client']\n"
             "def test_e(request): [request.getfixturevalue(n) for n in NAMES]\n",
             "tests/test_f.py": "def test_f(): assert {'client': 1}\n"},
            dict.fromkeys([f"tests/test_{each}.py" for each in "abcde"], "fixture"),
        ),
        (
            {"tests/conftest.py": FIXTURE, "pytest.ini": "[pytest]\nusefixtures = client\n"},
            {"tests/test_other.py": "fixture"},
        ),
        (  # hooks
            {"tests/conftest.py": "from pkg.db import close\ndef pytest_sessionfinish(): close()\n"},
            {"tests/test_other.py": "hook"},
        ),
        (  # strings that name a module, or what is in it
            {"tests/test_a.py": "def test_a(monkeypatch): monkeypatch.setattr('pkg.db.connect', None)\n",
             "tests/test_b.py": "import importlib\ndef test_b(): importlib.import_module('pkg.db')\n",
             "tests/test_c.py": "def test_c(): assert 'pkg.dbx'\n"},
            {"tests/test_a.py": "string", "tests/test_b.py": "string"},
        ),
        (
            {"tests/test_a.py": "import subprocess\ndef test_a(): subprocess.run(['pkg-db', '--help'])\n",
             "pyproject.toml": "[project]\nname='pkg'\n[project.scripts]\npkg-db='pkg.db:connect'\n"},
            {"tests/test_a.py": "script"},
        ),
        (  # what was found before is found still
            {"tests/test_db.py": "", "tests/test_a.py": "from pkg.db import close\n",
             "tests/helper.py": "from pkg.db import close\ndef shut(): close()\n",
             "tests/test_b.py": "from helper import shut\n"},
            {"tests/test_db.py": "name", "tests/test_a.py": "import", "tests/test_b.py": "helper"},
        ),
        ({"tests/test_a.py": "from pkg.app import create\n"}, {"tests/test_a.py": "indirect"}),
        (  # a fixture of what imports it
            {"tests/conftest.py": "import pytest\nfrom pkg.app import create\n"
             "@pytest.fixture\ndef client(): return create()\n",
             "tests/test_a.py": USES},
            {"tests/test_a.py": "indirect"},
        ),
        ({"tests/conftest.py": FIXTURE}, {}),
        (
            {"tests/conftest.py": "def broken(:\n", "tests/test_a.py": "from pkg.db import close\n"},
            {"tests/test_a.py": "import"},
        ),
    ],
)  # fmt: skip
def test_tests_are_found_by_what_connects_them(tmp_path: Path, files: dict[str, str], found: dict[str, str]) -> None:
    assert affected(tmp_path, files) == found


def test_only_the_fixtures_that_use_a_file_lead_to_it(tmp_path: Path) -> None:
    conftest = FIXTURE + "from pkg.clock import now\n@pytest.fixture\ndef time(): return now()\n"
    files = {"tests/conftest.py": conftest, "tests/test_a.py": USES, "tests/test_b.py": "def test_b(time): pass\n"}
    assert affected(tmp_path / "1", files) == {"tests/test_a.py": "fixture"}
    assert affected(tmp_path / "2", files, "src/pkg/clock.py") == {"tests/test_b.py": "fixture"}


def test_the_way_to_a_test_is_told(tmp_path: Path) -> None:
    index = indexed(tmp_path, {**CODE, "tests/conftest.py": FIXTURE, "tests/test_a.py": USES})
    [found] = index.affected_tests("src/pkg/db.py")
    assert (found.path, found.how) == ("tests/test_a.py", "fixture")
    assert "client" in found.through
    assert "tests/conftest.py" in str(found)


def test_a_file_of_fixtures_affects_those_that_request_them(tmp_path: Path) -> None:
    files = {"src/pkg/testing.py": FIXTURE, "tests/test_a.py": USES, "conftest.py": "pytest_plugins = 'pkg.testing'\n"}
    assert affected(tmp_path, files, "src/pkg/testing.py")["tests/test_a.py"] == "fixture"
