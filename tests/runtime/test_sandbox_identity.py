"""As whom strangers' code runs, judged from outside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InfrastructureError
from runtime.sandbox import Mount, bubblewrap, open_sandbox, opening
from runtime.sandbox.identity import free_id, is_root, lent_id
from runtime.sandbox.selftest import examine

root_only = pytest.mark.skipif(lent_id() is None, reason="needs root")


@root_only
def test_what_a_run_of_roots_leaves_is_not_roots(tmp_path):
    (tmp_path / "ours").write_text("old")
    (tmp_path / "link").symlink_to("/etc/passwd")
    done = open_sandbox("bubblewrap").run(
        ["sh", "-c", "echo new > ours; touch theirs; cp /bin/sh shell; chmod 6755 shell"], workdir=tmp_path
    )
    assert done.exit_code == 0
    owners = {path.name: path.lstat().st_uid for path in tmp_path.iterdir()}
    assert owners == dict.fromkeys(("ours", "theirs", "shell", "link"), lent_id())
    assert Path("/etc/passwd").stat().st_uid == 0
    assert (tmp_path / "ours").read_text() == "new\n"


@root_only
def test_the_process_is_not_roots_on_the_host(tmp_path):
    script = (
        "import sys; from pathlib import Path; from runtime.sandbox import open_sandbox\n"
        "open_sandbox().run(['sh', '-c', 'touch on; sleep 60'], workdir=Path(sys.argv[1]))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[2])
    try:
        while not (tmp_path / "on").exists():
            assert parent.poll() is None
        owners = set()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if b"touch on; sleep 60\0" in path.read_bytes() and b"import sys" not in path.read_bytes():
                    owners.add(path.stat().st_uid)
                    fields = dict(line.split(":", 1) for line in (path.parent / "status").read_text().splitlines())
                    owners.update(int(number) for number in fields["Uid"].split())
                    owners.update(int(number) for number in fields["Groups"].split())
            except OSError:
                continue
        assert owners == {lent_id()}
    finally:
        parent.kill()
        parent.wait()


@root_only
def test_mounts_below_folders_that_only_root_may_enter_are_seen(tmp_path):
    hidden = tmp_path / "hidden"
    work = hidden / "work"
    work.mkdir(parents=True)
    previous = os.umask(0o077)
    try:
        (hidden / "given" / "below").mkdir(parents=True)
        (hidden / "given" / "below" / "file").write_text("text")
        (hidden / "alone").write_text("one")
    finally:
        os.umask(previous)
    hidden.chmod(0o700)
    done = open_sandbox("bubblewrap").run(
        ["sh", "-c", "cat /given/below/file /alone; echo x > /given/new || echo x > /out/new"],
        workdir=work,
        mounts=[
            Mount(hidden / "given", Path("/given")),
            Mount(hidden / "alone", Path("/alone")),
            Mount(work, Path("/out"), writable=True),
        ],
    )
    assert done.output.startswith("textone")
    assert (work / "new").read_text() == "x\n"
    assert not (hidden / "given" / "new").exists()


@root_only
def test_the_self_test_finds_that_code_is_the_hosts_root_and_may_write_its_settings(monkeypatch):
    monkeypatch.setattr(bubblewrap, "lent_id", lambda: None)
    monkeypatch.setattr(bubblewrap, "masked_paths", lambda: ())
    holes = {finding.name for finding in examine(bubblewrap.Bubblewrap(bubblewrap.programs()[-1])) if not finding.holds}
    assert {"root user", "settings"} <= holes


@root_only
def test_the_self_test_finds_the_hosts_root_behind_masked_paths(monkeypatch):
    monkeypatch.setattr(bubblewrap, "lent_id", lambda: None)
    holes = {finding.name for finding in examine(bubblewrap.Bubblewrap(bubblewrap.programs()[-1])) if not finding.holds}
    assert holes == {"root user"}


@root_only
@pytest.mark.parametrize("right", ["sys_admin", "setuid", "chown"])
def test_a_root_without_a_right_that_it_takes_is_refused_with_the_remedy(right, tmp_path):
    script = (
        "from runtime.sandbox import open_sandbox; from models.errors import SandboxUnavailable\n"
        "try: open_sandbox()\nexcept SandboxUnavailable as error: print(error)"
    )
    command = ["setpriv", f"--bounding-set=-{right}", f"--inh-caps=-{right}", sys.executable, "-c", script]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert f"CAP_{right.upper()}" in done.stdout or "cannot be given" in done.stdout, done.stderr
    assert "--sandbox=none" in done.stdout


def test_each_limit_is_said_to_be_the_kernels_or_watched():
    limits = opening.limits_of(opening.tested()[0])
    assert {"System V memory", "bytes and files on disk"} <= {limit.what for limit in limits}
    assert all(limit.held_by for limit in limits)


def test_root_of_somebodys_namespace_is_no_root_outside(tmp_path):
    script = "from runtime.sandbox.identity import is_root; print(is_root(0))"
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", script]
    if lent_id() is not None:
        pytest.skip("root's own namespace maps root")
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("no user namespace to be had")
    assert done.stdout == "False\n"


def test_an_ordinary_id_is_never_root():
    assert not is_root(1000)


maps = st.lists(st.tuples(st.integers(0, 70000), st.integers(0, 2**31), st.integers(1, 70000)), min_size=1, max_size=3)


@given(maps, maps)
def test_the_lent_id_is_mapped_and_nobodys(users, groups):
    try:
        found = free_id(users, groups)
    except InfrastructureError:
        return
    assert found not in (0, 65534)
    for ranges in (users, groups):
        assert any(inside <= found < inside + count for inside, _, count in ranges)
