"""Control groups: which are ours to use, what is written where, and that leaves end with all that is in them."""

import subprocess
from pathlib import Path

import pytest

from models.errors import InfrastructureError
from models.limits import MIB, Limits
from runtime.sandbox import cgroup
from runtime.sandbox.cgroup import RunCgroup, candidates, delegated, find_parent, leaf

MOUNTS = "30 20 0:26 {root} {point} rw - cgroup2 cgroup2 rw\n"


@pytest.fixture
def laid_out(tmp_path):
    """A folder laid out as a control group is."""
    for name in ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cgroup.procs", "cgroup.kill"):
        (tmp_path / name).touch()
    return tmp_path


def test_limits_are_written_as_the_kernel_reads_them(laid_out):
    RunCgroup(laid_out).limit(Limits(memory_bytes=64 * MIB, processes=10))
    assert (laid_out / "memory.max").read_text() == str(64 * MIB)
    assert (laid_out / "memory.swap.max").read_text() == "0"
    assert (laid_out / "memory.oom.group").read_text() == "1"
    assert int((laid_out / "pids.max").read_text()) > 10


def test_a_kernel_without_swap_accounting_will_do(laid_out):
    (laid_out / "memory.swap.max").unlink()
    RunCgroup(laid_out).limit(Limits())
    assert not (laid_out / "memory.swap.max").exists()


@pytest.mark.parametrize(
    ("text", "ended"), [("oom 3\noom_kill 0\n", False), ("oom 3\noom_kill 1\n", True), ("", False)]
)
def test_the_kernels_own_endings_are_seen(laid_out, text, ended):
    (laid_out / "memory.events").write_text(text)
    assert RunCgroup(laid_out).out_of_memory() is ended


def test_a_leaf_that_cannot_be_made_is_an_infrastructure_fault(tmp_path):
    with pytest.raises(InfrastructureError, match="cannot be made"), leaf(tmp_path / "missing", Limits()):
        pass


def test_the_nearest_group_is_tried_first(tmp_path):
    own = "1:name=systemd:/x\n0::/user.slice/app.slice/it.scope\n"
    found = candidates(MOUNTS.format(root="/", point=tmp_path), own)
    assert found[0] == tmp_path / "user.slice/app.slice/it.scope"
    assert found[-1] == tmp_path


def test_a_mount_of_a_part_is_understood(tmp_path):
    own = "0::/docker/abc/inner\n"
    assert candidates(MOUNTS.format(root="/docker/abc", point=tmp_path), own) == [tmp_path / "inner", tmp_path]


@pytest.mark.parametrize("own", ["", "4:memory:/x\n", "0::/../outside\n"])
def test_without_version_two_or_outside_it_there_is_none(tmp_path, own):
    assert candidates(MOUNTS.format(root="/", point=tmp_path), own) == []
    assert find_parent(MOUNTS.format(root="/", point=tmp_path), own) is None
    assert find_parent("", own) is None


def test_a_group_whose_children_cannot_be_limited_is_not_used(tmp_path):
    (tmp_path / "cgroup.subtree_control").write_text("cpu")
    (tmp_path / "cgroup.controllers").write_text("cpu io")
    assert find_parent(MOUNTS.format(root="/", point=tmp_path), "0::/\n") is None


def test_controllers_that_are_switched_off_are_switched_on(tmp_path):
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory")
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids")
    assert cgroup._offers(tmp_path)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+pids"


@pytest.fixture
def real():
    """A real group of version 2, with or without controllers; removed afterwards."""
    points = [row.split()[4] for row in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in row]
    if not points:
        pytest.skip("no control groups of version 2 here")
    made = RunCgroup(Path(points[0]) / "cra-test-of-leaves")
    try:
        made.path.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error.strerror}")
    yield made
    made.kill()
    made.remove()


def test_a_real_leaf_takes_processes_in_and_ends_them_all(real):
    with subprocess.Popen(["sh", "-c", "read -r _; sleep 60 & sleep 60"], stdin=subprocess.PIPE) as shell:
        real.enter(shell.pid)
        assert shell.stdin is not None
        shell.stdin.write(b"\n")
        shell.stdin.close()
        while len((real.path / "cgroup.procs").read_text().split()) < 3:
            assert shell.poll() is None
        real.kill()
        assert shell.wait() != 0
    real.remove()
    assert not real.path.exists()


@pytest.mark.skipif(delegated() is None, reason="no control group with memory and processes is ours to use here")
def test_the_kernel_ends_what_takes_too_much_memory(tmp_path):
    from runtime.sandbox import ProcessEnd, open_sandbox

    script = "x=$(head -c 400000000 /dev/zero | tr '\\0' x); sleep 60"
    done = open_sandbox().run(["sh", "-c", script], workdir=tmp_path, limits=Limits(memory_bytes=100 * MIB))
    assert done.ending is ProcessEnd.MEMORY_LIMIT
