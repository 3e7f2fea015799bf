"""What is changed in an honest package's manifest: a name, the change, the field that the refusal has to name."""

import hashlib
from collections.abc import Callable
from typing import Any

from benchmarks.attacks._package import Json
from runtime.environments import environment_key

Change = Callable[[Json], None]


def _set(*path: str | int, value: object) -> Change:
    """A change of one field; the environment's key is made to fit again unless it is what is changed."""

    def change(manifest: Json) -> None:
        place: object = manifest
        for step in path[:-1]:
            place = place[step]  # type: ignore[index]
        place[path[-1]] = value  # type: ignore[index]
        if path[0] == "environments" and path[-1] != "key":
            _rekey(manifest)

    return change


def _rekey(manifest: Json) -> None:
    for environment in manifest["environments"]:
        try:
            key = environment_key(tuple(environment["requires"]), environment["lock"], environment["abi"])
        except (TypeError, ValueError):
            return
        manifest["instances"][0]["environment"] = environment["key"] = key


def _generated_elsewhere(path: str) -> Change:
    def change(manifest: Json) -> None:
        text = "def test_more():\n    assert False\n"
        manifest["instances"][0]["fail_to_pass"] = ["test_x.py::test_more"]
        manifest["instances"][0]["generated"] = {
            "oracle": "generated-tests",
            "files": [{"path": path, "sha256": _hash(text)}],
            "told_apart": {"test_x.py::test_more": "assertion"},
            "instead_of": "no-fail-to-pass",
            "model": "m",
            "prompt_hash": "0" * 64,
            "answer_hash": "0" * 64,
            "round": 1,
        }

    return change


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _twice(*path: str) -> Change:
    def change(manifest: Json) -> None:
        place: Any = manifest
        for step in path:
            place = place[int(step) if step.isdigit() else step]
        place.append(place[0])

    return change


def _other_hash(manifest: Json) -> None:
    manifest["wheels"]["tiny-1.0-py3-none-any.whl"] = "0" * 64


def _one_more_wheel(name: str) -> Change:
    def change(manifest: Json) -> None:
        manifest["wheels"][name] = "0" * 64

    return change


def _named_wheel(name: str) -> Change:
    def change(manifest: Json) -> None:
        manifest["environments"][0]["wheels"] = [name]
        manifest["wheels"] = {name: manifest["wheels"]["tiny-1.0-py3-none-any.whl"]}

    return change


def _other_parent(manifest: Json) -> None:
    instance = manifest["instances"][0]
    instance["commit"], instance["base_commit"] = instance["base_commit"], instance["commit"]


_PIN = "tiny==1.0 --hash=sha256:" + "0" * 64
_E, _I = ("environments", 0), ("instances", 0)
CHANGES: tuple[tuple[str, Change, str], ...] = (
    ("key that climbs", _set(*_E, "key", value="../../../tmp/x"), "key"),
    ("key of another environment", _set(*_E, "key", value="0" * 20), "key"),
    ("key that is empty", _set(*_E, "key", value=""), "key"),
    ("key with a NUL", _set(*_E, "key", value="a\0b"), "key"),
    ("key that is `.`", _set(*_E, "key", value="."), "key"),
    ("version that climbs", _set(*_I, "version", value="1/../../x"), "version"),
    ("version that is absolute", _set(*_I, "version", value="/tmp/x"), "version"),
    ("version with a newline", _set(*_I, "version", value="1.0\nRequires-Dist: evil"), "version"),
    ("version with digits of another script", _set(*_I, "version", value="١.0"), "version"),
    ("version of a million digits", _set(*_I, "version", value="9" * 1_000_000), "version"),
    ("version not in normal form", _set(*_I, "version", value=" v1.0 "), "version"),
    ("version that is a number", _set(*_I, "version", value=1.0), "version"),
    ("commit that is an option", _set(*_I, "commit", value="--upload-pack=touch x"), "commit"),
    ("commit that is a branch", _set(*_I, "commit", value="main"), "commit"),
    ("commit in capital letters", _set(*_I, "commit", value="A" * 40), "commit"),
    ("commit with a newline", _set(*_I, "commit", value="a" * 40 + "\n"), "commit"),
    ("commit that is not there", _set(*_I, "commit", value="a" * 40), "commit"),
    ("base commit that is no parent", _other_parent, "base_commit"),
    ("base commit that is the commit", lambda m: m["instances"][0].update(base_commit=m["head"]), "base_commit"),
    ("head that is a revision", _set("head", value="HEAD~1"), "head"),
    ("name that climbs", _set("name", value="../little"), "name"),
    ("name that is absolute", _set("name", value="/etc"), "name"),
    ("name of dots", _set("name", value=".."), "name"),
    ("name that is an option", _set("name", value="--force"), "name"),
    ("name with terminal codes", _set("name", value="\x1b]0;owned\x07"), "name"),
    ("instance id that climbs", _set(*_I, "instance_id", value="a/../../b"), "instance_id"),
    ("two instances of one id", _twice("instances"), "instances"),
    ("instance of an environment that is not there", _set(*_I, "environment", value="f" * 20), "environment"),
    ("valid instance without environment", _set(*_I, "environment", value=None), "reason"),
    ("valid instance without failing tests", _set(*_I, "fail_to_pass", value=[]), "reason"),
    ("production file that climbs", _set(*_I, "production_files", value=["../little.py"]), "production_files"),
    ("production file that is absolute", _set(*_I, "production_files", value=["/etc/passwd"]), "production_files"),
    ("production file in .git", _set(*_I, "production_files", value=[".git/config"]), "production_files"),
    ("production file the commit leaves alone", _set(*_I, "production_files", value=["setup.py"]), "production_files"),
    ("test file with a newline", _set(*_I, "test_files", value=["test_a.py\n-p evil"]), "test_files"),
    ("test file that is an option", _set(*_I, "test_files", value=["--rootdir=/"]), "test_files"),
    ("test id outside", _set(*_I, "fail_to_pass", value=["../t.py::test"]), "fail_to_pass"),
    ("test id without file", _set(*_I, "fail_to_pass", value=["test"]), "fail_to_pass"),
    ("test id with a NUL", _set(*_I, "pass_to_pass", value=["t.py::a\0"]), "pass_to_pass"),
    ("test both failing and passing", lambda m: m["instances"][0].update(pass_to_pass=["test_little.py::test_half"]),
     "pass_to_pass"),
    ("symbol outside", _set(*_I, "symbols", value=["../../x.py::f"]), "symbols"),
    ("task with a NUL", _set(*_I, "task", value="a\0"), "task"),
    ("reason that is none", _set(*_I, "reason", value="because"), "reason"),
    ("another test command", _set("test_command", value=["sh", "-c", "touch /tmp/x"]), "test_command"),
    ("test command with a plugin", _set("test_command", value=["python", "-m", "pytest", "-px"]), "test_command"),
    ("lock with another index", _set(*_E, "lock", value=f"--index-url https://evil.example/\n{_PIN}\n"), "lock"),
    ("lock with an editable", _set(*_E, "lock", value="-e /tmp/evil\n"), "lock"),
    ("lock with a URL", _set(*_E, "lock", value="tiny @ file:///tmp/evil.whl\n"), "lock"),
    ("lock with a file of requirements", _set(*_E, "lock", value="-r /etc/passwd\n"), "lock"),
    ("lock without hashes", _set(*_E, "lock", value="tiny==1.0\n"), "lock"),
    ("lock with a weak hash", _set(*_E, "lock", value="tiny==1.0 --hash=md5:" + "0" * 32 + "\n"), "lock"),
    ("lock with an option behind a pin", _set(*_E, "lock", value=f"{_PIN} --config-settings=a=b\n"), "lock"),
    ("lock that pins twice", _set(*_E, "lock", value=f"{_PIN}\n{_PIN.replace('1.0', '2.0')}\n"), "lock"),
    ("lock with a variable", _set(*_E, "lock", value="tiny==${HOME} --hash=sha256:" + "0" * 64 + "\n"), "lock"),
    ("lock of another release", _set(*_E, "lock", value=f"{_PIN.replace('tiny', 'other')}\n"), "wheels"),
    ("empty lock with a wheel", _set(*_E, "lock", value=""), "wheels"),
    ("requirement with a URL", _set(*_E, "requires", value=["tiny @ https://evil.example/t.whl"]), "requires"),
    ("requirement that is an option", _set(*_E, "requires", value=["--pre"]), "requires"),
    ("interpreter that is a path", _set(*_E, "abi", value="cp/../../x"), "abi"),
    ("interpreter that does not fit", _set(*_E, "abi", value="cp38"), "abi"),
    ("Python 2", _set(*_E, "python", value="2.7"), "python"),
    ("cutoff that is no date", _set(*_E, "cutoff", value="tomorrow"), "cutoff"),
    ("cutoff in another calendar form", _set(*_E, "cutoff", value="20240501"), "cutoff"),
    ("wheel listed twice", _twice("environments", "0", "wheels"), "wheels"),
    ("wheel with another hash", _other_hash, "wheels"),
    ("wheel that nobody uses", _one_more_wheel("more-1.0-py3-none-any.whl"), "wheels"),
    ("wheel name that climbs", _named_wheel("../tiny-1.0-py3-none-any.whl"), "wheels"),
    ("wheel name that is absolute", _named_wheel("/tmp/tiny-1.0-py3-none-any.whl"), "wheels"),
    ("wheel name that is no wheel's", _named_wheel("tiny-1.0.tar.gz"), "wheels"),
    ("wheel of another release", _named_wheel("tiny-2.0-py3-none-any.whl"), "wheels"),
    ("source with a password", _set("source", value="https://me:secret@example.org/x"), "source"),
    ("source of a helper", _set("source", value="ext::sh -c touch% /tmp/x"), "source"),
    ("source with terminal codes", _set("source", value="https://example.org/\x1b[2J"), "source"),
    ("license of two lines", _set("license", value="MIT\nname: other"), "license"),
    ("flag with terminal codes", _set("flags", value=["\x1b[31m"]), "flags"),
    ("fewer than no lines", _set("lines_of_code", value=-1), "lines_of_code"),
    ("lines as text", _set("lines_of_code", value="2"), "lines_of_code"),
    ("count that is true", _set("funnel", "kept", value=True), "funnel.kept"),
    ("huge count", _set("funnel", "total", value=10**30), "funnel.total"),
    ("dropped for no reason", _set("funnel", "dropped", value={"\x1b[2J": 1}), "funnel.dropped"),
    ("unknown field", _set("hook", value="touch /tmp/x"), "hook"),
    ("unknown field of an instance", _set(*_I, "setup", value="sh"), "setup"),
    ("another schema version", _set("schema_version", value=True), "schema"),
    ("generated test outside", _generated_elsewhere("../../test_x.py"), "generated"),
    ("generated test in .git", _generated_elsewhere(".git/hooks/test_x.py"), "generated"),
    ("generated configuration", _generated_elsewhere("conftest.cfg"), "generated"),
)  # fmt: skip

TEXTS: tuple[tuple[str, Callable[[str], str | bytes], str], ...] = (
    ("nested 100,000 deep", lambda _: "[" * 100_000 + "]" * 100_000, "not a JSON object"),
    ("nested deep in a field", lambda raw: raw.replace('"MIT"', '{"a":' * 900 + "1" + "}" * 900), "manifest"),
    ("one field twice", lambda raw: raw.replace('"name": "little"', '"name": "x", "name": "little"'), "name"),
    ("not a number", lambda raw: raw.replace('"lines_of_code": 2', '"lines_of_code": NaN'), "NaN"),
    ("number of 100,000 digits", lambda raw: raw.replace('"lines_of_code": 2', '"lines_of_code": 2' + "0" * 100_000),
     "manifest.json"),
    ("half a character", lambda raw: raw.replace('"MIT"', r'"\ud800"'), "manifest.json"),
    ("not UTF-8", lambda raw: raw.encode().replace(b"MIT", b"\xff\xfe"), "manifest.json"),
    ("ten million values", lambda raw: raw.replace('"flags": []', '"flags": [' + "1," * 10_000_000 + "1]"), "values"),
    ("no object", lambda _: '"little"', "not a JSON object"),
)  # fmt: skip
