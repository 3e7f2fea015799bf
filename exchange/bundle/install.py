"""Installs this bundle below a prefix, without a network and without root. Needs Python 3.9 or newer and git.

    python3 -I install.py --prefix P --fingerprint HEX      HEX: of the signer's key, as you were told it
    python3 -I install.py --prefix P --part OTHER           media one after another: run again with each
    python3 -I install.py --prefix P --dry-run              checks only

This file checks the signature over the manifest and the hashes of the rest of the installer before any of it is run, so
it is the one file to compare by hand (`sha256sum install.py`). With -I Python imports nothing that lies beside it, and
without -I this file stops before its first import. The signature is ECDSA over P-256 in the format of model-signing: a
Sigstore bundle with an in-toto statement in a DSSE envelope.
"""
# ruff: noqa: E402 (what is refused first must be refused before anything is imported, __future__ included)

import sys

LEAST_PYTHON = (3, 9)
if __name__ == "__main__":
    if sys.version_info < LEAST_PYTHON:
        sys.exit(f"error: this is Python {sys.version.split()[0]}; run install.py with 3.9 or newer")
    if not sys.flags.isolated:
        sys.exit("error: Python would import what lies beside install.py; run it as `python3 -I install.py ...`")

import argparse
import base64
import hashlib
import json
import os
import stat
import types
from pathlib import Path

HERE = Path(__file__).resolve().parent
MANIFEST, SIGNATURE, KEY = "bundle.json", "statement.sig", "signing-key.pub"
INSTALLER = "installer"
MODULES = (
    "faults", "manifest", "prefix", "parts", "copying", "placing", "wheels", "environment", "selftest", "registry",
    "main",
)  # fmt: skip
"""The rest of the installer, each importing only those before it."""
MOST_BYTES = 256 << 20
_PAYLOAD = "application/vnd.in-toto+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_STATEMENT, _PREDICATE = "https://in-toto.io/Statement/v1", "https://model_signing/signature/v1.0"

# NIST P-256 (SP 800-186, section 3.2.1.3): y^2 = x^3 - 3x + B over the integers modulo P; G generates N points.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_KEY_INFO = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""How a P-256 key in SubjectPublicKeyInfo (RFC 5480) begins, up to the coordinates of an uncompressed point."""


class Untrusted(Exception):
    """Why this bundle is not installed, and what to do about it."""


def main() -> int:
    """Check what has to be trusted, then run the rest of the installer; each fault is one line."""
    given = arguments().parse_args()
    try:
        content, fingerprint = trusted_manifest(HERE / "manifest", given.key, given.fingerprint)
        installer = load_installer(HERE, content)
        print(f"bundle {hashlib.sha256(content).hexdigest()}")
        compared = "as you gave it" if given.key or given.fingerprint else "the bundle's own, COMPARED WITH NOTHING"
        print(f"signed with the key {fingerprint} ({compared})", flush=True)
        return int(installer.main(HERE, content, given, trusted_manifest))
    except (Untrusted, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description="Install this bundle below a prefix, without a network.")
    parser.add_argument("--prefix", type=Path, required=True, help="folder that gets the installation")
    parser.add_argument("--part", type=Path, action="append", default=[], help="another folder with parts; repeatable")
    parser.add_argument("--fingerprint", help="SHA-256 of the signer's public key, as `cra bundle make` printed it")
    parser.add_argument("--key", type=Path, help="the signer's public key, if you have it from elsewhere")
    parser.add_argument("--python", type=Path, help="the Python to install with, if not this one")
    rows = "leave the rows of new bases and adapters out of the databases of an earlier installation"
    parser.add_argument("--without-registry", action="store_true", help=rows)
    parser.add_argument("--dry-run", action="store_true", help="check the parts and this machine; change nothing")
    return parser


def trusted_manifest(folder: Path, key: "Path | None", fingerprint: "str | None") -> tuple[bytes, str]:
    """The bytes of a signed manifest and the fingerprint of the key that signed it.

    `key` is a public key that is trusted, `fingerprint` one noted elsewhere; without either, the key in the folder is
    used. Raises Untrusted.
    """
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    for name in (MANIFEST, SIGNATURE) if key else (MANIFEST, SIGNATURE, KEY):
        if name not in names:
            raise Untrusted(f"{folder / name} is missing; copy the bundle again")
    unknown = sorted(set(names) - {MANIFEST, SIGNATURE, KEY})
    if unknown:
        raise Untrusted(f"{str(folder / unknown[0])!a} is in no bundle; copy the bundle again")
    files = {name: read_plain(folder / name) for name in names}
    pem = files[KEY] if key is None else read_plain(key)
    point = public_point(pem)
    found = hashlib.sha256(public_info(point)).hexdigest()
    if fingerprint is not None and fingerprint.strip().lower().replace(":", "") != found:
        raise Untrusted(f"{key or folder}: the key has the fingerprint {found}, not the one given; do not install")
    signed = signed_files(files.pop(SIGNATURE), point)
    if signed != {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}:
        raise Untrusted(f"{folder}: its files are not those that were signed; copy the bundle again")
    return files[MANIFEST], found


def load_installer(folder: Path, content: bytes) -> types.ModuleType:
    """The installer's modules, each run only if its bytes are those of the manifest. Raises Untrusted."""
    try:
        plain = json.loads(content.decode("ascii"))["plain"]
        wanted = {name: plain[f"{INSTALLER}/{name}.py"]["sha256"] for name in MODULES}
    except (ValueError, KeyError, TypeError) as error:
        raise Untrusted(f"{MANIFEST} lists no installer ({error!r}); copy the bundle again") from error
    package = types.ModuleType(INSTALLER)
    package.__path__ = []
    sys.modules[INSTALLER] = module = package
    for name in MODULES:
        file = folder / INSTALLER / (f"{name}.py")
        source = read_plain(file)
        if hashlib.sha256(source).hexdigest() != wanted[name]:
            raise Untrusted(f"{file} was altered; copy the bundle again")
        module = types.ModuleType(f"{INSTALLER}.{name}")
        module.__package__ = INSTALLER
        sys.modules[module.__name__] = module
        exec(compile(source, str(file), "exec"), module.__dict__)  # noqa: S102 (its bytes are those that were signed)
    return module


def read_plain(file: Path) -> bytes:
    """The bytes of a plain file of bounded size, never through a link. Raises Untrusted."""
    try:
        handle = os.open(str(file), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Untrusted(f"{file} cannot be read ({error.strerror}); copy the bundle again") from error
    with os.fdopen(handle, "rb") as stream:
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode) or state.st_size > MOST_BYTES:
            raise Untrusted(f"{file} is no plain file, or too large; copy the bundle again")
        return stream.read(MOST_BYTES)


def signed_files(signature: bytes, point: tuple[int, int]) -> dict[str, str]:
    """The SHA-256 of each file that a signature of model-signing covers. Raises Untrusted if another key made it."""
    try:
        envelope = json.loads(signature.decode("utf-8"))["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        der = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise Untrusted(f"{SIGNATURE} is no signature of model-signing; copy the bundle again") from error
    signed = b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)
    if signature != signature_text(payload, der, point) or not verifies(point, der, signed):
        raise Untrusted(f"{SIGNATURE} was not made with that key, or was altered; do not install")
    return stated_files(payload)


def signature_text(payload: bytes, der: bytes, point: tuple[int, int]) -> bytes:
    """The one text that a signature's file has. It holds more than the signed bytes, such as the name of the key."""
    coded = base64.b64encode(public_info(point)).decode("ascii")
    pem = ["-----BEGIN PUBLIC KEY-----", coded[:64], coded[64:], "-----END PUBLIC KEY-----", ""]
    hint = hashlib.sha256("\n".join(pem).encode("ascii")).hexdigest()
    made = [{"sig": base64.b64encode(der).decode("ascii"), "keyid": ""}]
    whole = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": _PAYLOAD,
            "signatures": made,
        },
    }
    return json.dumps(whole, separators=(",", ":")).encode("ascii")


def stated_files(payload: bytes) -> dict[str, str]:
    """The SHA-256 of each file of an in-toto statement. Raises Untrusted if it is of another kind."""
    try:
        statement = json.loads(payload.decode("utf-8"))
        [subject] = statement["subject"]
        resources = statement["predicate"]["resources"]
        digests = [bytes.fromhex(each["digest"]) for each in resources]
        files = {each["name"]: each["digest"] for each in resources}
        kinds = {statement["_type"], statement["predicateType"], statement["predicate"]["serialization"]["method"]}
        algorithms = {each["algorithm"] for each in resources}
        whole = subject["digest"]["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise Untrusted(f"{SIGNATURE} holds no statement about files; copy the bundle again") from error
    if kinds != {_STATEMENT, _PREDICATE, "files"} or algorithms != {"sha256"} or len(files) != len(resources):
        raise Untrusted(f"{SIGNATURE} holds a statement of another kind; use the bundle's own installer")
    if hashlib.sha256(b"".join(digests)).hexdigest() != whole:
        raise Untrusted(f"{SIGNATURE} contradicts itself; copy the bundle again")
    return files


def public_point(pem: bytes) -> tuple[int, int]:
    """The point of a P-256 public key in PEM. Raises Untrusted for any other key."""
    lines = pem.decode("ascii", "replace").strip().splitlines()
    try:
        der = base64.b64decode("".join(lines[1:-1]), validate=True)
    except ValueError as error:
        raise Untrusted("the public key is no PEM file; give the one that `cra bundle make` named") from error
    x, y = (int.from_bytes(der[at : at + 32], "big") for at in (len(_KEY_INFO), len(_KEY_INFO) + 32))
    framed = lines[:1] == ["-----BEGIN PUBLIC KEY-----"] and lines[-1:] == ["-----END PUBLIC KEY-----"]
    if not framed or not der.startswith(_KEY_INFO) or len(der) != len(_KEY_INFO) + 64 or not on_curve(x, y):
        raise Untrusted("the public key is none of the curve P-256; give the one that `cra bundle make` named")
    return x, y


def public_info(point: tuple[int, int]) -> bytes:
    """A public key as SubjectPublicKeyInfo in DER; its SHA-256 is the key's fingerprint."""
    return _KEY_INFO + b"".join(number.to_bytes(32, "big") for number in point)


def on_curve(x: int, y: int) -> bool:
    """Whether a point is one of P-256."""
    return x < P and y < P and (y * y - (x * x * x - 3 * x + B)) % P == 0


def verifies(point: tuple[int, int], der: bytes, message: bytes) -> bool:
    """Whether a signature in DER is that of a message: ECDSA with SHA-256 (FIPS 186-5, section 6.4.2)."""
    numbers = signature_numbers(der)
    if numbers is None or not all(0 < number < N for number in numbers):
        return False
    r, s = numbers
    inverse = pow(s, -1, N)
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    found = add(multiply(digest * inverse % N, G), multiply(r * inverse % N, point))
    return found is not None and found[0] % N == r


def signature_numbers(der: bytes) -> "tuple[int, int] | None":
    """The two numbers of a signature, if it is spelled in DER and nothing follows."""
    if len(der) < 8 or len(der) > 72 or der[0] != 0x30 or der[1] != len(der) - 2:
        return None
    first, rest = _integer(der[2:])
    second, after = _integer(rest)
    return None if first is None or second is None or after else (first, second)


def _integer(der: bytes) -> "tuple[int | None, bytes]":
    """The positive integer that DER begins with, in its shortest spelling, and what follows."""
    if len(der) < 3 or der[0] != 0x02 or not 0 < der[1] <= 33 or len(der) < 2 + der[1]:
        return None, b""
    digits = der[2 : 2 + der[1]]
    if digits[0] & 0x80 or (digits[0] == 0 and len(digits) > 1 and not digits[1] & 0x80):
        return None, b""
    return int.from_bytes(digits, "big"), der[2 + len(digits) :]


def multiply(times: int, point: "tuple[int, int] | None") -> "tuple[int, int] | None":
    """A multiple of a point, by doubling and adding; None is the point at infinity. Not in constant time: nothing here
    is secret."""
    total = None
    while times:
        if times & 1:
            total = add(total, point)
        point = add(point, point)
        times >>= 1
    return total


def add(one: "tuple[int, int] | None", other: "tuple[int, int] | None") -> "tuple[int, int] | None":
    """The sum of two points of the curve."""
    if one is None or other is None:
        return other if one is None else one
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, P) if one == other else (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


if __name__ == "__main__":
    sys.exit(main())
