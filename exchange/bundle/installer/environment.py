"""The environment of a version, built from the bundle's wheels without an index, and the command that runs in it."""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from .copying import file_hash
from .faults import InstallError
from .manifest import Manifest
from .prefix import write_file

BUILT = ".built"
"""File of an environment that was built whole: the hash of its requirements."""
_OFFLINE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_NO_INDEX": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
}
_LIBRARIES = {"libgcc_s.so.1": "libgcc-s1", "libstdc++.so.6": "libstdc++6"}
"""Libraries that wheels take from the system (PEP 600), with the name of their package in Debian."""
_MORE_LIBRARIES = {"local": {"libgomp.so.1": "libgomp1"}}
"""What the wheels of an extra take from it beyond these."""
_ASK = "import sys, venv; print('%d.%d' % sys.version_info[:2], sys.maxsize > 2**32)"


def check_platform(manifest: Manifest) -> None:
    """Raise InstallError if the bundle's wheels are for another platform, or miss a library that wheels rely on."""
    here = f"{platform.system().lower()}-{platform.machine()}"
    if here != manifest.platform:
        raise InstallError(f"the bundle is for {manifest.platform}, and this is {here}; make one on such a machine")
    needed = dict(_LIBRARIES)
    for extra in manifest.extras:
        needed.update(_MORE_LIBRARIES.get(extra, {}))
    for library, package in needed.items():
        try:
            ctypes.CDLL(library)
        except OSError as error:
            raise InstallError(f"{library} cannot be loaded ({error}); install the system's {package}") from error


def find_python(manifest: Manifest, given: Path | None, packed: Path | None = None) -> Path:
    """The Python of the bundle's version: the one given, the bundle's own, this one, or one on the PATH.

    Raises InstallError if there is none, or it lacks the module venv.
    """
    name = f"python{manifest.python}"
    own = sorted(packed.glob(f"**/bin/{name}")) if packed is not None else []
    tries = [given] if given is not None else [*own, Path(sys.executable), *_on_path(name)]
    said = []
    for python in tries:
        try:
            done = subprocess.run([str(python), "-I", "-c", _ASK], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            said.append(f"{python} does not run ({error})")
            continue
        if done.returncode:
            said.append(f"{python}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'it fails'}")
        elif done.stdout.split() != [manifest.python, "True"]:
            said.append(f"{python} is Python {done.stdout.strip() or 'of no version'}")
        else:
            return python
    raise InstallError(
        f"the bundle is for Python {manifest.python} ({'; '.join(said)}); install it, or give it with --python"
    )


def _on_path(name: str) -> list[Path]:
    found = shutil.which(name)
    return [] if found is None else [Path(found)]


def build(version: Path, python: Path) -> None:
    """Build `env/` in a version's folder from its wheels, unless it was built already. Raises InstallError."""
    env, requirements, wheels = version / "env", version / "requirements.txt", version / "wheels"
    marker, wanted = env / BUILT, file_hash(requirements)
    if marker.is_file() and marker.read_text() == wanted:
        return
    found = sorted(wheels.glob("pip-*.whl"))
    if len(found) != 1:
        raise InstallError(f"{wheels} has {len(found)} wheels of pip, and one is needed; make the bundle again")
    print("building env/", flush=True)
    _call([str(python), "-I", "-m", "venv", "--without-pip", "--clear", str(env)])
    _call([str(env / "bin" / "python"), "-I", str(found[0] / "pip"), "install", "--quiet", "--no-deps", "--no-index",
           "--no-compile", "--require-hashes", "--only-binary", ":all:", "--find-links", str(wheels),
           "-r", str(requirements)])  # fmt: skip
    os.sync()  # the marker must not outlive what it stands for
    write_file(marker, wanted)


def _call(argv: list[str]) -> None:
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR", "LANG") if name in os.environ}
    try:
        done = subprocess.run(argv, env={**kept, **_OFFLINE}, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise InstallError(f"{argv[0]} does not run: {error.strerror}; give another with --python") from error
    if done.returncode:
        raise InstallError(f"{' '.join(argv[:5])} ended with {done.returncode}; see above, then run this again")


def variables(prefix: Path, version: Path) -> dict[str, str]:
    """The environment variables that the installed command runs with, but for the PATH."""
    found = {
        "CRA_DATA_DIR": str(prefix / "data"),
        "CRA_CACHE_DIR": str(prefix / "cache"),
        "CRA_AIR_GAPPED": "true",
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    if (version / "interpreter").is_dir():
        found["UV_PYTHON_INSTALL_DIR"] = str(version / "interpreter")
    return found


def write_command(prefix: Path) -> None:
    """Write P/bin/cra, which runs the version that P/current points to."""
    current = prefix / "current"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables(prefix, current).items()]
    env, pythons = (shlex.quote(str(current / name)) for name in ("env/bin", "interpreter"))
    lines.append(f"[ ! -d {pythons} ] || export UV_PYTHON_INSTALL_DIR={pythons}")
    text = "\n".join(
        ["#!/bin/sh", "unset PYTHONPATH PYTHONHOME", *lines, f'export PATH={env}:"$PATH"', f'exec {env}/cra "$@"', ""]
    )
    (prefix / "bin").mkdir(exist_ok=True)
    write_file(prefix / "bin" / "cra", text, 0o755)
