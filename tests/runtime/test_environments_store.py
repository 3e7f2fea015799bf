"""The store builds each environment once, whatever happens, and never removes one in use."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.errors import EnvironmentFault, WheelError
from models.manifest import Environment
from runtime.environments import EnvironmentStore, environment_identity, environment_key, installed_interpreters
from runtime.environments.store import disk_usage
from tests.support.wheels import digest, lock_text, make_wheel

pytestmark = pytest.mark.slow

INTERPRETER = installed_interpreters()[0]
GIB = 1 << 30


def environment(*wheels: Path) -> Environment:
    text = lock_text(*wheels)
    requires = tuple(sorted(path.name.split("-")[0] for path in wheels))
    return Environment(
        key=environment_key(requires, text, INTERPRETER.abi), python=INTERPRETER.version, abi=INTERPRETER.abi,
        requires=requires, cutoff="2024-01-01", lock=text, wheels=tuple(sorted(path.name for path in wheels)),
    )  # fmt: skip


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    make_wheel(
        tmp_path / "packages",
        "alpha",
        "1.0",
        {"alpha/__init__.py": "VALUE = 41\n", "alpha/broken.py": "def :"},
    )
    make_wheel(tmp_path / "packages", "beta", "2.0", {"beta.py": "import alpha\nVALUE = alpha.VALUE + 1\n"})
    return tmp_path / "packages"


def identity(wanted: Environment, packages: Path) -> str:
    return environment_identity(wanted, {name: digest(packages / name) for name in wanted.wheels})


def both(packages: Path) -> Environment:
    return environment(*sorted(packages.glob("*.whl")))


def python(executable: Path, code: str) -> str:
    return subprocess.run([executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_an_environment_holds_its_lock_and_nothing_else(tmp_path: Path, packages: Path) -> None:
    with EnvironmentStore(tmp_path / "store", GIB).acquire(both(packages), packages) as built:
        assert python(built.python, "import beta; print(beta.VALUE)") == "42"
        assert Path(python(built.python, "import sys; print(sys.prefix)")) == built.prefix
        assert Path(python(built.python, "import sys; print(sys.base_prefix)")) == built.base_prefix
        names = "import importlib.metadata as m; print(sorted(d.name for d in m.distributions()))"
        assert python(built.python, names) == "['alpha', 'beta']"


def test_an_environment_is_compiled_and_read_only(tmp_path: Path, packages: Path) -> None:
    with EnvironmentStore(tmp_path / "store", GIB).acquire(both(packages), packages) as built:
        cached = "import beta, os; print(os.path.exists(beta.__cached__), beta.__cached__)"
        assert python(built.python, cached).startswith("True")
        files = [path for path in built.prefix.rglob("*") if not path.is_symlink()]
        assert [path for path in files if path.stat().st_mode & 0o222] == []


def test_code_in_pth_files_does_not_run_while_building(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code = f"import pathlib; pathlib.Path({str(trace)!r}).touch()\n"
    wheel = make_wheel(tmp_path / "packages", "evil", "1.0", {"evil.pth": code, "evil.py": ""})
    with EnvironmentStore(tmp_path / "store", GIB).acquire(environment(wheel), wheel.parent) as built:
        assert not trace.exists()
        python(built.python, "pass")
        assert trace.exists()  # so the code was live


def test_another_environment_reuses_the_bytecode(tmp_path: Path, packages: Path) -> None:
    store = EnvironmentStore(tmp_path / "store", GIB)
    with store.acquire(both(packages), packages):
        pass
    compiled = {path: path.stat().st_ctime_ns for path in (tmp_path / "store" / "bytecode").rglob("*.pyc")}
    alpha = packages / "alpha-1.0-py3-none-any.whl"
    with store.acquire(environment(alpha), packages) as built:
        cached = Path(python(built.python, "import alpha; print(alpha.__cached__)"))
        assert cached.stat().st_ino in {path.stat().st_ino for path in compiled}


def test_a_missing_wheel_and_a_changed_one_are_refused(tmp_path: Path, packages: Path) -> None:
    store, wanted = EnvironmentStore(tmp_path / "store", GIB), both(packages)
    make_wheel(packages, "beta", "2.0", {"beta.py": "VALUE = 'changed'\n"})
    with pytest.raises(WheelError, match=r"beta==2\.0"), store.acquire(wanted, packages):
        pass
    (packages / "beta-2.0-py3-none-any.whl").unlink()
    with pytest.raises(WheelError, match=r"beta==2\.0"), store.acquire(wanted, packages):
        pass
    assert not (tmp_path / "store" / "environments").exists()


def test_a_python_that_is_not_installed_is_named(tmp_path: Path, packages: Path) -> None:
    wanted = both(packages).model_copy(update={"abi": "cp399"})
    store = EnvironmentStore(tmp_path / "store", GIB)
    with (
        pytest.raises(EnvironmentFault, match=r"no Python 3\.99 is installed"),
        store.acquire(wanted, packages),
    ):
        pass


ACQUIRE = """
import sys
from pathlib import Path
from runtime.environments import EnvironmentStore
from models.manifest import Environment
root, packages, wanted = sys.argv[1:4]
store, wanted = EnvironmentStore(Path(root), 1 << 30), Environment.model_validate_json(wanted)
with store.acquire(wanted, Path(packages)) as built:
    print((built.prefix.parent / "complete").stat().st_ino, flush=True)
    sys.stdin.read()
"""


def holder(root: Path, packages: Path, wanted: Environment) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", ACQUIRE, str(root), str(packages), wanted.model_dump_json()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(argv, text=True, start_new_session=True, cwd=Path(__file__).parents[2], **pipes)


def test_two_processes_build_an_environment_once(tmp_path: Path, packages: Path) -> None:
    processes = [holder(tmp_path / "store", packages, both(packages)) for _ in range(2)]
    markers = {process.stdout.readline() for process in processes if process.stdout}
    for process in processes:
        process.communicate("")
    assert [process.returncode for process in processes] == [0, 0]
    assert len(markers) == 1  # the same marker file: it was written once


def test_a_killed_build_is_not_taken_for_complete(tmp_path: Path, packages: Path) -> None:
    many = [make_wheel(packages, f"many{n}", "1.0", {f"many{n}.py": "x = 1\n"}) for n in range(60)]
    wanted, root = environment(*many), tmp_path / "store"
    folder = root / "environments" / identity(wanted, packages)
    process = holder(root, packages, wanted)
    deadline = time.monotonic() + 60
    while not (folder / "venv").exists() and time.monotonic() < deadline:
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (folder / "complete").exists()
    assert folder.exists()  # it was killed in the middle
    with EnvironmentStore(root, GIB).acquire(wanted, packages) as built:
        assert python(built.python, "import many0, many59; print('whole')") == "whole"


def test_eviction_takes_the_least_recently_used_and_spares_what_is_in_use(tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    wheels = [make_wheel(folder, name, "1.0", {f"{name}.py": "x\n"}) for name in ("one", "two", "three")]
    environments = [environment(wheel) for wheel in wheels]
    store, tight = EnvironmentStore(tmp_path / "store", GIB), EnvironmentStore(tmp_path / "store", 0)
    process = holder(tmp_path / "store", folder, environments[0])
    assert process.stdout is not None
    process.stdout.readline()
    for wanted in (*environments[1:], environments[1]):
        with store.acquire(wanted, folder):
            pass
    keys = [identity(wanted, folder) for wanted in environments]
    assert tight.evict() == [keys[2], keys[1]]
    process.communicate("")
    assert tight.evict() == [keys[0]]
    with store.acquire(environments[2], folder) as built:  # and an evicted one can be had again
        assert built.python.exists()


def test_a_build_evicts_what_exceeds_the_budget(tmp_path: Path, packages: Path) -> None:
    tight, alpha = (
        EnvironmentStore(tmp_path / "store", 0),
        environment(packages / "alpha-1.0-py3-none-any.whl"),
    )
    with tight.acquire(alpha, packages):
        pass
    with tight.acquire(both(packages), packages) as built:
        assert python(built.python, "import beta; print(beta.VALUE)") == "42"
    assert [path.name for path in (tmp_path / "store" / "environments").iterdir()] == [built.key]


def test_nothing_is_evicted_within_the_budget(tmp_path: Path, packages: Path) -> None:
    store = EnvironmentStore(tmp_path / "store", GIB)
    with store.acquire(both(packages), packages):
        pass
    assert 0 < disk_usage(tmp_path / "store") < GIB
    assert store.evict() == []


FULL = """
mount -t tmpfs -o size=2m none "$1" || exit 77
exec "$2" -c '
import sys
from pathlib import Path
from runtime.environments import EnvironmentStore
from models.errors import InfrastructureError
from models.manifest import Environment
wanted = Environment.model_validate_json(sys.argv[3])
try:
    with EnvironmentStore(Path(sys.argv[1]), 1 << 30).acquire(wanted, Path(sys.argv[2])):
        print("built")
except InfrastructureError as error:
    print(error, any((Path(sys.argv[1]) / "environments").iterdir()))
' "$1" "$3" "$4"
"""


def test_a_full_disk_is_an_infrastructure_error_and_leaves_nothing(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "packages", "large", "1.0", {"large.py": "", "data": os.urandom(4 << 20).hex()})
    root = tmp_path / "store"
    root.mkdir()
    unshare = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        FULL,
        "sh",
        str(root),
        sys.executable,
    ]
    done = subprocess.run(
        [*unshare, str(wheel.parent), environment(wheel).model_dump_json()],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("this machine lets nobody mount a small disk")
    assert "is full" in done.stdout, done.stderr
    assert done.stdout.strip().endswith("False")
