"""Attacks on time and self: releases that hold the answer, clocks that lie, the distribution under test by another
name, and evaluation repositories and tasks under another name."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import partial
from pathlib import Path

from benchmarks.attacks._histories import History
from benchmarks.attacks._local_index import Release, local_index
from benchmarks.attacks.base import Attack, GotThrough
from harness.packages.contents import content_of, shared_content, sketch_of
from harness.packages.locking import CommitCandidate, environment_for, find_environments
from models.content import RepositoryContent
from models.manifest import Environment
from runtime.environments import REACH_DAYS, Era, Project, discover, installed_interpreters
from runtime.environments.wheels import locked

KIND = "time and self"
_PYTHON = installed_interpreters()[0].version
_RESIDUAL = "A requirement that only the answer's commit adds, released after the parent's day"


def attacks() -> list[Attack]:
    """Every attack of this kind."""
    named = [Attack(KIND, f"own distribution: {name}", partial(_own, files)) for name, files in _layouts().items()]
    wheels = [Attack(KIND, f"own distribution: {name}", partial(_disguised, each)) for name, each in _wheels().items()]
    times = [Attack(KIND, f"late release: {name}", run) for name, run in _times().items()]
    forks = [Attack(KIND, f"fork: {name}", partial(_fork, change)) for name, change in _forks().items()]
    tasks = [Attack(KIND, f"short task: {name}", partial(_task, *pair)) for name, pair in _TASKS.items()]
    late = Attack(KIND, "late release: a floor that the commit itself raises", _raised_floor, _RESIDUAL)
    return [*named, *wheels, *times, late, *forks, *tasks]


# releases that hold the answer

_ANSWER = [Release("dep", "1.0", "2024-01-01"), Release("dep", "2.0", "2024-03-10")]


def _pyproject(*requires: str, group: str = "") -> dict[str, str]:
    said = ", ".join(f'"{each}"' for each in requires)
    project = f'[project]\nname = "lib"\nrequires-python = "=={_PYTHON}.*"\ndependencies = [{said}]\n{group}'
    return {"pyproject.toml": project}


def _times() -> dict[str, Callable[[Path], str]]:
    """Histories in which a release of 10 March 2024 holds the answer to a commit whose parent is older."""
    code = {"lib/__init__.py": "x = 1\n"}
    base = _pyproject("dep") | code
    return {
        "between parent and commit": partial(_late, [(base, "2024-03-01"), (code, "2024-03-20")], [1]),
        "a year between parent and commit": partial(_late, [(base, "2024-03-01"), (code, "2025-03-20")], [1]),
        "on the parent's own day, after it": partial(_late, [(base, "2024-03-10"), (code, "2024-03-20")], [1]),
        "a newer commit's environment is shared": partial(
            _late, [(base, "2024-03-01"), (code, "2024-03-05"), (code, "2024-03-25"), (code, "2024-03-26")], [3, 2, 1]
        ),
        "parent's clock in the future": partial(_late, [(base, "2030-01-01"), (code, "2024-03-05")], [1]),
        "parent and commit in the future": partial(
            _late,
            [(base, "2024-03-01"), (code, "2029-01-01"), (code, "2029-01-02"), *[(code, "2024-03-03")] * 6],
            [2],
        ),
        "grandparents in the future": partial(
            _late, [(base, "2030-01-01"), (code, "2030-01-01"), (code, "2024-03-01"), (code, "2024-03-05")], [3]
        ),
        "parent's clock at the end of time": partial(_late, [(base, "@4102444800 +0000"), (code, "2024-03-05")], [1]),
        "a dependency's dependency": partial(
            _late, [(_pyproject("front") | code, "2024-03-01"), (code, "2024-03-20")], [1],
            more=[Release("front", "1.0", "2020-01-01", ("dep",))],
        ),
        "a requirement for tests alone": partial(
            _late,
            [(_pyproject(group='[dependency-groups]\ntests = ["dep"]\n') | code, "2024-03-01"), (code, "2024-03-20")],
            [1],
        ),
        "an unrelated requirement is added beside it": partial(
            _late, [(base, "2024-03-01"), (_pyproject("dep", "fresh") | code, "2024-03-20")], [1],
            more=[Release("fresh", "1.0", "2024-03-15")],
        ),
        "required by what the commit adds": partial(
            _late, [(base, "2024-03-01"), (_pyproject("dep", "fresh") | code, "2024-03-20")], [1],
            more=[Release("fresh", "1.0", "2024-03-15", ("dep",))],
        ),
        "a zone that makes the parent's day later": partial(
            _late, [(base, "@1709251200 +1400"), (code, "2024-03-20")], [1]
        ),
    }  # fmt: skip


def _late(
    commits: list[tuple[Mapping[str, str], str]], tried: list[int], scratch: Path, more: Iterable[Release] = ()
) -> str:
    """Lock the commits of some numbers, in that order; none may hold the release with the answer."""
    history = History(scratch / "work")
    shas = [history.commit({**files, "n.txt": f"{n}\n"}, day) for n, (files, day) in enumerate(commits)]
    found = _locked(history, [shas[n] for n in tried], more, scratch)
    for each in found:
        held = _versions(each.environment).get("dep")
        if held == "2.0":
            raise GotThrough(f"the lock of the commit holds dep {held}, released after its parent")
        if each.environment and (each.environment.days_after or 0) > REACH_DAYS and not each.environment.late_because:
            raise GotThrough("the lock reaches past the parent's day and does not say why")
    return f"locked with {', '.join(str(_versions(each.environment).get('dep')) for each in found)}"


def _raised_floor(scratch: Path) -> str:
    history = History(scratch / "work")
    history.commit({**_pyproject("dep"), "lib/__init__.py": "x = 1\n"}, "2024-03-01")
    sha = history.commit({**_pyproject("dep>=2"), "lib/__init__.py": "x = 2\n"}, "2024-03-20")
    [found] = _locked(history, [sha], (), scratch)
    if found.environment is None:
        return f"no environment: {found.detail}"
    if not found.environment.late_because:
        raise GotThrough("the lock reaches past the parent's day and does not say why")
    raise GotThrough(f"locked with dep 2.0, and said so: {found.environment.late_because}")


def _locked(history: History, shas: list[str], releases: Iterable[Release], scratch: Path) -> list[CommitCandidate]:
    with local_index(scratch / "index", [*_ANSWER, *releases]) as wheels:
        return find_environments(history.git, [history.mined(sha) for sha in shas], wheels, scratch / "cache")


def _versions(environment: Environment | None) -> dict[str, str]:
    return {name: str(version) for name, version in locked(environment.lock)} if environment else {}


# the distribution under test

_TREE = {"src/attr/__init__.py": '__title__ = "attrs"\n', "src/attrs/__init__.py": ""}
_NEEDS = {"requirements-tests.txt": "helper\n", "tests/test_a.py": "import attr, helper\n"}
_ATTRS = Release("attrs", "23.2.0", files={"attr/__init__.py": "ANSWER = 1\n", "attrs/__init__.py": ""})


def _layouts() -> dict[str, dict[str, str]]:
    """Layouts of a checkout of attrs, by what they say of its name."""
    setup = {
        "no name at all": "setup()",
        "a variable": "NAME = 'at' + 'trs'\nsetup(name=NAME)",
        "a function": "def name():\n    return 'attrs'\nsetup(name=name())",
        "a search in a file": "def find(n):\n    return re.search(n, text).group(1)\nsetup(name=find('title'))",
        "an executed file": "d = {}\nexec(open('src/attr/__init__.py').read(), d)\nsetup(name=d['__title__'])",
        "a format string": "P = 'attr'\nsetup(name=f'{P}s')",
        "reversed": "setup(name='srtta'[::-1])",
        "decoded": "setup(name=base64.b64decode('YXR0cnM=').decode())",
        "characters": "setup(name=''.join(map(chr, [97, 116, 116, 114, 115])))",
        "a subclass of the command": "setup(cmdclass=Named, name=Named.of_tree())",
        "a name that holds for others": "setup(name='attr')",
        "a table in a module": "import meta\nsetup(**meta.KWARGS)",
        "assigned to metadata later": "d = setup()\nd.metadata.name = 'attrs'",
        "another setup in a branch": "if cold:\n    setup(name='other')\nelse:\n    setup(name=compute())",
    }
    found = {name: {**_TREE, "setup.py": f"from setuptools import setup\n{text}\n"} for name, text in setup.items()}
    pyproject = {
        "a false name": "[project]\nname = 'something-else'\n",
        "upper case": "[project]\nname = 'ATTRS'\n",
        "letters of another alphabet": "[project]\nname = '\u0430ttrs'\n",
        "a path as the name": "[project]\nname = '../attrs'\n",
        "a full-width name": "[project]\nname = '\uff41ttrs'\n",
        "flit's module": "[tool.flit.metadata]\nmodule = 'attr'\n",
        "broken": "[project\nname = 'attrs'\n",
    }
    found |= {f"{name} in pyproject": {**_TREE, "pyproject.toml": text} for name, text in pyproject.items()}
    odd = {path.replace("src/", "weird/"): text for path, text in _TREE.items()}
    deep = {path.replace("src/", "a/b/c/"): text for path, text in _TREE.items()}
    moved = "from setuptools import setup\nsetup(name=compute(), package_dir={'': where()})\n"
    return found | {
        "a folder that is computed": {**odd, "setup.py": moved},
        "a deep folder that is computed": {**deep, "setup.py": moved},
        "metadata of another build": {**_TREE, "PKG-INFO": "Metadata-Version: 2.1\nName: something\n"},
    }


def _wheels() -> dict[str, list[Release]]:
    """What an index may hold for a checkout of attrs whose name is known."""
    files = dict(_ATTRS.files)
    helper = partial(Release, "helper", "1.0")
    return {
        "required by a dependency": [_ATTRS, helper(requires=("attrs",))],
        "required by a dependency in another spelling": [_ATTRS, helper(requires=("ATTRS>=1",))],
        "required by a dependency of a dependency": [
            _ATTRS, helper(requires=("middle",)), Release("middle", requires=("attrs",)),
        ],
        "republished under another name": [helper(requires=("attrs-fork",)), Release("attrs-fork", files=files)],
        "vendored at the top of another wheel": [helper(files={"helper.py": "", **files})],
        "in the data folder of another wheel": [
            helper(files={"helper.py": "", "helper-1.0.data/purelib/attr/__init__.py": ""})
        ],
        "two names for one": [
            helper(requires=("attrs-one",)),
            Release("attrs-one", files={"attr/__init__.py": ""}, requires=("attrs-two",)),
            Release("attrs-two", files={"attrs/__init__.py": ""}),
        ],
        "as a single module": [helper(requires=("attr-py",)), Release("attr-py", files={"attr.py": "ANSWER = 1\n"})],
        "as a compiled module": [
            helper(requires=("attr-so",)), Release("attr-so", files={"attr.cpython-312-x86_64-linux-gnu.so": ""}),
        ],
        "required by a dependency with an extra": [
            _ATTRS, helper(requires=("middle[all]",)), Release("middle", requires=("attrs",)),
        ],
    }  # fmt: skip


def _project(files: Mapping[str, str]) -> Project:
    contents = {path: text.encode() for path, text in files.items()}
    return discover(contents.get, sorted(contents))


def _own(files: Mapping[str, str], scratch: Path) -> str:
    return _environment({**files, **_NEEDS}, [_ATTRS, Release("helper", requires=("attrs",))], scratch)


def _disguised(releases: list[Release], scratch: Path) -> str:
    return _environment({**_TREE, **_NEEDS, "pyproject.toml": "[project]\nname='attrs'\n"}, releases, scratch)


def _environment(files: Mapping[str, str], releases: list[Release], scratch: Path) -> str:
    """Lock and fetch; no wheel of the environment may provide what the tree does."""
    day = date(2024, 5, 2)
    with local_index(scratch / "index", releases) as wheels:
        environment = environment_for(_project(files), Era(day, day), {}, wheels, scratch / "cache")
        for release in releases:
            tops = {re.split(r"[/.]", path.partition("purelib/")[2] or path)[0] for path in release.files}
            if release.filename in environment.wheels and tops & {"attr", "attrs"}:
                raise GotThrough(f"{release.filename} is in the environment of a checkout of attrs")
    return f"the environment holds {', '.join(sorted(_versions(environment)))}"


# evaluation repositories and tasks under another name


def _module(number: int) -> str:
    """Source of a module that is like no other."""
    body = "".join(
        f"    reading_{number}_{n} = measure('sensor {number * 7 + n}', scale={n}, offset={number})\n"
        f"    if reading_{number}_{n} > limit_{n % 5}:\n        report.append(reading_{number}_{n} - {n * number})\n"
        for n in range(12)
    )
    return f"import lib.base\n\n\ndef station_{number}(report, measure):\n{body}    return report\n"


def _library(modules: Iterable[int] = range(12)) -> dict[str, str]:
    return {f"src/lib/m{n}.py": _module(n) for n in modules}


def _forks() -> dict[str, Callable[[History, History], None]]:
    """Ways to make a copy of a repository: each is given the original and the copy's empty repository."""

    def squashed(edit: Callable[[str, str], tuple[str, str] | None]) -> Callable[[History, History], None]:
        def make(_: History, copy: History) -> None:
            edited = [edit(path, text) for path, text in _library().items()]
            copy.commit(dict(each for each in edited if each), "2025-01-01")

        return make

    def cloned(original: History, copy: History) -> None:
        copy.run("pull", "--quiet", str(original.folder), "main")

    def rewritten(original: History, copy: History) -> None:
        cloned(original, copy)
        copy.commit({f"src/lib/m{n}.py": None for n in range(12)}, "2025-01-01")
        copy.commit(_library(range(100, 110)), "2025-01-02")

    def grown(_: History, copy: History) -> None:
        copy.commit({**_library(), **{f"new/n{n}.py": _module(n + 200) for n in range(30)}}, "2025-01-01")

    def rerooted(_: History, copy: History) -> None:
        copy.commit({"LICENSE": "none\n"}, "2010-01-01")
        copy.commit(_library(), "2025-01-01")

    def moved(path: str, text: str) -> tuple[str, str]:
        return path.replace("src/lib/", "other/place/deep/x_"), text

    return {
        "another name, the same history": cloned,
        "the same history, all files replaced": rewritten,
        "history squashed": squashed(lambda path, text: (path, text)),
        "history begun anew from another root": rerooted,
        "files moved and renamed": squashed(moved),
        "the package renamed": squashed(lambda p, t: (p.replace("lib", "kit"), t.replace("lib", "kit"))),
        "reformatted": squashed(lambda p, t: (p, t.replace("'", '"').replace(", ", ",\n            "))),
        "indented otherwise": squashed(lambda p, t: (p, t.replace("    ", "\t"))),
        "comments on every line": squashed(lambda p, t: (p, t.replace("\n", "\n# a comment of ours\n"))),
        "line ends of another system": squashed(lambda p, t: (p, t.replace("\n", "\r\n"))),
        "a license in every file": squashed(lambda p, t: (p, "# Licensed by nobody at all\n" * 20 + t)),
        "upper case for lower": squashed(lambda p, t: (p, t.replace("reading", "Reading"))),
        "one function renamed in each file": squashed(lambda p, t: (p, t.replace("measure(", "gauge("))),
        "half of the files left out": squashed(lambda p, t: (p, t) if int(re.findall(r"\d+", p)[0]) % 2 else None),
        "grown to three times its size": grown,
        "other extensions": squashed(lambda p, t: (p + "x", t)),
    }


def _fork(change: Callable[[History, History], None], scratch: Path) -> str:
    """A copy must be known as one, and an unrelated repository must not."""
    original, copy = History(scratch / "original"), History(scratch / "copy")
    original.commit(_library(), "2024-01-01")
    change(original, copy)
    reserved, found = _content(original), _content(copy)
    if shared_content(reserved, sketch_of(_module(n + 500) for n in range(12))):
        raise GotThrough("every repository counts as a copy, so that nothing can be trained on")
    if not (why := shared_content(reserved, found)):
        raise GotThrough("the copy is not known as one")
    return why


def _content(history: History) -> RepositoryContent:
    return content_of(history.git, [history.git.resolve("HEAD")])


_TASKS = {
    "verbatim": ("Reject negative retry counts", "Reject negative retry counts"),
    "other case and punctuation": ("Reject negative retry counts", "reject: NEGATIVE `retry` counts!!"),
    "a reference behind it": ("Reject negative retry counts", "Reject negative retry counts (#1234)"),
    "a kind before it": ("Reject negative retry counts", "fix(core): reject negative retry counts"),
    "a body below it": (
        "Reject negative retry counts",
        "Reject negative retry counts\n\n" + "Long words of a body. " * 9,
    ),
    "the evaluation's has a body": (
        "Reject negative retry counts\n\n" + "Body of it. " * 9,
        "Reject negative retry counts",
    ),
    "words in another order": ("Reject negative retry counts", "Negative retry counts: reject"),
    "singular for plural": ("Reject negative retry counts", "Reject a negative retry count"),
    "a slip of the pen": ("Reject negative retry counts", "Reject negativ retry counts"),
    "full-width letters": ("Reject negative retry counts", "\uff32eject negative retry counts"),
    "two words": ("Quadratic backoff", "quadratic backoff"),
    "seven words": ("Reject negative retry counts before any sleep", "Reject negative retry counts before any sleep"),
}


def _task(evaluated: str, trained: str, scratch: Path) -> str:
    from training.data.curation.short import ShortTasks

    tasks = ShortTasks([evaluated, "Fix typo"])
    if tasks.know("Fix typo") or tasks.know("Count the negative balances of a ledger"):
        raise GotThrough("a generic or another task counts as the evaluation's")
    if not tasks.know(trained):
        raise GotThrough(f"{trained!r} may be trained on, and {evaluated!r} is evaluated on")
    return "known"
