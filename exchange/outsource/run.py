"""A packed training on this machine: checks, environment, training, evaluation, export. Needs Python and nothing else.

python3 -I run.py --dry-run     checks only: files by hash, Python, disk, memory, GPU, and a rough time
python3 -I run.py               all of it; `returned/` is what to send back
python3 -I run.py --resume      goes on after an interruption

With -I Python imports nothing that lies beside this file, before it is checked.
"""

import argparse
import hashlib
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Set  # those of an old Python, which is to be refused in words

HERE = Path(__file__).resolve().parent
MANIFEST, SIGNATURE = "manifest/pack.json", "manifest/statement.sig"
MADE = ("env/", "work/", "returned/", "llamafactory/saved/")
GIB = 1 << 30
LEAST = (3, 9)
"""The oldest Python that the checks themselves run on."""
MODULES = ("bz2", "ctypes", "lzma", "sqlite3", "ssl", "venv", "zlib")
"""Modules that the environment needs of its Python, and that some builds lack."""
OFFLINE = {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_OFFLINE": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
}


class Refused(Exception):
    """Why this machine or folder does not do, and what to do about it."""


def main() -> int:
    """Run what is asked for; each fault is one line."""
    parser = argparse.ArgumentParser(description="A packed training: checks, training, evaluation, export.")
    parser.add_argument("--dry-run", action="store_true", help="check this machine and the folder; change nothing")
    parser.add_argument("--resume", action="store_true", help="go on after an interruption")
    parser.add_argument("--id", help="the id that you were told: refuse a pack of another one")
    parser.add_argument("--python", type=Path, help="the python of an environment of your own, to use instead of env/")
    parser.add_argument("--base", type=Path, help="the base's folder, where it is not in the pack")
    parser.add_argument("--trained", type=Path, help="what another trainer saved: it is evaluated, nothing is trained")
    given = parser.parse_args()
    if sys.version_info < LEAST:
        found, least = platform.python_version(), ".".join(map(str, LEAST))
        print(f"error: {sys.executable} is Python {found}; run this with {least} or newer", file=sys.stderr)
        return 1
    try:
        content = (HERE / MANIFEST).read_bytes()
        faults = check(read(content), hashlib.sha256(content).hexdigest(), given)
        for fault in faults:
            print(f"error: {fault}", file=sys.stderr)
        if faults or given.dry_run:
            return 1 if faults else 0
        python = given.python or environment(HERE)
        return work(python, given)
    except (Refused, OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def read(content: bytes) -> Dict[str, Any]:
    """The manifest. Raises Refused if it is none."""
    try:
        manifest: Dict[str, Any] = json.loads(content)
    except ValueError as error:
        raise Refused(f"{HERE / MANIFEST} was altered ({error}); copy the pack again") from error
    return manifest


def check(manifest: Dict[str, Any], pack: str, given: argparse.Namespace) -> List[str]:
    """All faults; prints what was found."""
    print(f"pack {pack}")
    print(f"{manifest['method']} of {manifest['base_name']} for {manifest['target']}, back end {manifest['backend']}")
    faults = [f"{HERE} is pack {pack}, not {given.id}; ask for the right one"] if given.id not in (None, pack) else []
    faults += file_faults(HERE, manifest["files"], given.base or HERE / "base", manifest["base_files"])
    faults += machine_faults(manifest, given)
    begun = [name for name in ("env", "work") if os.path.lexists(HERE / name)]
    if begun and not given.resume and not given.dry_run:
        faults += [f"{name}/ is there already: give --resume if your own run made it, or remove it" for name in begun]
    elif begun:
        print(f"not read: {', '.join(f'{name}/' for name in begun)}")
    return faults


def file_faults(root: Path, files: Dict[str, Any], base: Path, base_files: Dict[str, Any]) -> List[str]:
    """Files that are missing, altered or not in the manifest, in the pack and in the base's folder."""
    faults = []
    own = {name for name in listed(root) if not name.startswith(MADE)}
    faults += [
        f"{root / name} is not in the manifest; remove it" for name in sorted(own - {*files, MANIFEST, SIGNATURE})
    ]
    wanted = [(root / name, entry) for name, entry in files.items()]
    in_pack = base.resolve() == root / "base"  # then these are among `files`
    wanted += [(base / name, entry) for name, entry in base_files.items() if not in_pack]
    if not base.is_dir():
        faults.append(f"{base} is no folder: the base is not in the pack; give its folder with --base")
        wanted = wanted[: len(files)]
    total = sum(entry["bytes"] for _, entry in wanted)
    print(f"reading {len(wanted)} files, {total / GIB:.2f} GiB")
    for path, entry in wanted:
        if path.is_symlink() or not path.is_file():
            faults.append(f"{path} is missing, or no plain file; copy it again")
        elif path.stat().st_size != entry["bytes"]:
            faults.append(f"{path} has {path.stat().st_size} bytes, not {entry['bytes']}; copy it again")
        elif hashed(path) != entry["sha256"]:
            faults.append(f"{path} was altered: its hash is not {entry['sha256'][:12]}; copy it again")
    return faults


def listed(root: Path) -> Set[str]:
    """The paths of all files and links below a folder."""
    tops = [path for path in root.iterdir() if f"{path.name}/" not in MADE]
    paths = [*tops, *(path for top in tops if not top.is_symlink() for path in top.rglob("*"))]
    return {path.relative_to(root).as_posix() for path in paths if path.is_symlink() or not path.is_dir()}


def hashed(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def machine_faults(manifest: Dict[str, Any], given: argparse.Namespace) -> List[str]:
    """What this machine lacks; prints what it has."""
    needs, faults = manifest["needs"], []
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    here = f"{platform.system().lower()}-{platform.machine()}"
    if given.python is None and (python, here) != (manifest["python"], manifest["platform"]):
        wanted = f"Python {manifest['python']} on {manifest['platform']}"
        faults.append(f"this is Python {python} on {here}, and the pack is for {wanted}; use that, or give --python")
    if given.python is None:
        faults += module_faults()
    elif not os.access(given.python, os.X_OK):
        faults.append(f"--python {given.python} is no program; give the path of a python")
    built = given.python is not None or (HERE / "env" / ".built").is_file()
    disk = needs["disk"] // 4 if built else needs["disk"]
    free = shutil.disk_usage(HERE).free
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for what, has, most in (("disk", free, disk), ("memory", memory, needs["memory"])):
        print(f"{what}: {has / GIB:.1f} GiB, needed {most / GIB:.1f}")
        if has < most:
            faults.append(f"{what}: {has / GIB:.1f} GiB, and about {most / GIB:.1f} are needed; use more of it")
    if needs["gpu_memory"]:
        faults += gpu_faults(needs["gpu_memory"])
    print(f"{needs['tokens']} tokens, roughly {needs['seconds'] / 3600:.1f} hours")
    return faults


def module_faults() -> List[str]:
    """Modules that this Python was built or installed without."""
    missing = []
    for name in (*MODULES, *(() if (HERE / "wheels").is_dir() else ("ensurepip",))):
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if not missing:
        return []
    remedy = "install them (Debian and Ubuntu: python3-venv), or give another Python with --python"
    return [f"{sys.executable} has no {', no '.join(missing)}; {remedy}"]


def gpu_faults(least: int) -> List[str]:
    """What the GPU lacks; prints what it has."""
    try:
        asked = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
        rows = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout.strip().splitlines()
        name, _, mebibytes = rows[0].rpartition(",")
        has = int(mebibytes) << 20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return ["GPU: nvidia-smi names none, and this back end needs one; install its driver, or use another machine"]
    print(f"GPU: {name}, {has / GIB:.1f} GiB, needed {least / GIB:.1f}")
    if has < least:
        return [f"GPU: {has / GIB:.1f} GiB, and about {least / GIB:.1f} are needed; use a larger one"]
    return []


def environment(root: Path) -> Path:
    """The python of `env/`, built once from `wheels/` without a network, or from the index; always checked by hash.

    What is in `env/` already is used only if this user's record outside of the pack says that it was built here from
    these requirements, for whoever sent the folder may have put one in.
    """
    env, requirements, wheels = root / "env", root / "requirements.txt", root / "wheels"
    python, marker, record = env / "bin" / "python", env / ".built", record_of(root)
    if marker.is_file() and record.is_file() and record.read_text() == built_from(env, requirements):
        return python
    print("building env/", flush=True)
    if env.is_symlink():
        raise Refused(f"{env} is a link; remove it")
    if env.exists():
        shutil.rmtree(env)
    options = ["install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(requirements)]
    if wheels.is_dir():
        [pip] = wheels.glob("pip-*.whl")
        call([sys.executable, "-I", "-m", "venv", "--without-pip", "--clear", str(env)])
        call([str(python), str(pip / "pip"), *options, "--no-index", "--find-links", str(wheels)])
    else:
        call([sys.executable, "-I", "-m", "venv", "--clear", str(env)])
        call([str(python), "-I", "-m", "pip", *options])
    marker.write_text(hashed(requirements))
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(built_from(env, requirements))
    return python


def record_of(root: Path) -> Path:
    """The file with this user's record of the environment that was built in a pack."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "clean-room-packs" / hashlib.sha256(str(root).encode()).hexdigest()


def built_from(env: Path, requirements: Path) -> str:
    """What a record says: the requirements by hash, the folder by its place on disk, and when its marker was written: a
    file system gives the place of a removed folder to a new one, and nobody sets the time of a change."""
    place, marker = env.stat(), (env / ".built").stat()
    return f"{hashed(requirements)} {place.st_dev} {place.st_ino} {marker.st_ino} {marker.st_ctime_ns}\n"


def call(argv: List[str]) -> None:
    """Run a program; its output is ours. Raises Refused."""
    done = subprocess.run(argv, env={**os.environ, **OFFLINE}, check=False)
    if done.returncode:
        raise Refused(f"{' '.join(argv[:4])} ended with {done.returncode}; see above, then run again with --resume")


def work(python: Path, given: argparse.Namespace) -> int:
    """Train, evaluate and export in the environment; returns its exit status."""
    argv = [str(python), "-m", "exchange.outsource.work", str(HERE)]
    for name in ("base", "trained"):
        if getattr(given, name):
            argv += [f"--{name}", str(getattr(given, name).resolve())]
    code = {"PYTHONPATH": str(HERE / "code"), "CRA_DATA_DIR": str(HERE / "work" / "data")}
    return subprocess.run(argv, cwd=HERE, env={**os.environ, **OFFLINE, **code}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
