"""The signature of a bundle, checked by its installer with integers alone, against signatures that libraries made."""

import ast
import base64
import hashlib
import json
import random
import shutil
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.bundle import install
from exchange.bundle.install import N, Untrusted, public_point, signature_numbers, trusted_manifest, verifies
from exchange.bundle.layout import BUNDLE, KEY
from tests.support.bundle_material import BUNDLE_CODE
from training.adapters.registry.signing import SIGNATURE, fingerprint, sign

PRIVATE = ec.derive_private_key(20261130, ec.SECP256R1())
PUBLIC = PRIVATE.public_key()
POINT = (PUBLIC.public_numbers().x, PUBLIC.public_numbers().y)


def pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A signed folder with the content that any manifest could have, beside its keys."""
    folder = tmp_path / "manifest"
    folder.mkdir()
    (folder / BUNDLE).write_text('{"version": 1}\n')
    sign(folder, tmp_path / "keys")
    shutil.copyfile(tmp_path / "keys" / KEY, folder / KEY)
    sign(folder, tmp_path / "keys")
    return folder


@settings(max_examples=15)
@given(message=st.binary(max_size=200), flip=st.integers(min_value=0, max_value=10_000))
def test_it_agrees_with_the_library_on_signatures_and_on_flipped_ones(message: bytes, flip: int) -> None:
    der = PRIVATE.sign(message, ec.ECDSA(hashes.SHA256()))
    assert verifies(POINT, der, message)
    assert not verifies(POINT, der, message + b"!")
    altered = bytearray(der)
    altered[flip % len(der)] ^= 1 << flip % 8
    assert not verifies(POINT, bytes(altered), message)


def test_numbers_at_the_border_are_judged_as_the_library_does() -> None:
    message = b"border"
    r, s = decode_dss_signature(PRIVATE.sign(message, ec.ECDSA(hashes.SHA256())))
    pairs = [(r, s), (r, N - s), (0, s), (r, 0), (N, s), (r, N), (r + N, s), (r, s + N), (N - 1, N - 1), (1, 1), (s, r)]
    for pair in pairs:
        der = encode_dss_signature(*pair)
        try:
            PUBLIC.verify(der, message, ec.ECDSA(hashes.SHA256()))
            expected = True
        except InvalidSignature:
            expected = False
        assert verifies(POINT, der, message) is expected, pair


def test_a_signature_has_one_spelling() -> None:
    der = PRIVATE.sign(b"spelling", ec.ECDSA(hashes.SHA256()))
    assert signature_numbers(der) == decode_dss_signature(der)
    length = der[3]
    longer = bytes([0x30, der[1] + 1, 0x02, length + 1, 0]) + der[4:]
    for other in (
        der + b"\0",
        der[:-1],
        longer,
        b"\x30\x81" + der[1:],
        b"",
        b"\x30\x00",
        der.replace(b"\x30", b"\x31", 1),
    ):
        assert signature_numbers(other) is None


def test_a_multiple_of_the_order_is_infinity_and_the_public_key_is_one_of_the_base_point() -> None:
    assert install.multiply(N, install.G) is None
    assert install.multiply(20261130, install.G) == POINT
    assert install.add(POINT, (POINT[0], install.P - POINT[1])) is None


def test_only_keys_of_the_curve_are_taken() -> None:
    assert public_point(pem(PUBLIC)) == POINT
    assert public_point(pem(PUBLIC).replace(b"\n", b"\r\n")) == POINT
    der = PUBLIC.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    off = base64.b64encode(der[:-1] + bytes([der[-1] ^ 1]))
    others = [
        pem(ec.generate_private_key(ec.SECP384R1()).public_key()),
        pem(ec.generate_private_key(ec.SECP256K1()).public_key()),
        b"-----BEGIN PUBLIC KEY-----\n" + off + b"\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n",
        base64.b64encode(der),
        b"",
    ]
    for other in others:
        with pytest.raises(Untrusted):
            public_point(other)


def test_a_signed_manifest_is_trusted_by_its_own_key_one_given_or_a_fingerprint(signed: Path) -> None:
    content, key = (signed / BUNDLE).read_bytes(), signed.parent / "keys" / KEY
    mark = fingerprint(key)
    assert trusted_manifest(signed, None, None) == (content, mark)
    assert trusted_manifest(signed, key, None) == (content, mark)
    spaced = ":".join(mark[at : at + 2] for at in range(0, 64, 2)).upper()
    assert trusted_manifest(signed, None, spaced) == (content, mark)


def test_another_key_or_fingerprint_is_refused(signed: Path, tmp_path: Path) -> None:
    (tmp_path / "other.pub").write_bytes(pem(PUBLIC))
    for key, mark in ((tmp_path / "other.pub", None), (None, "0" * 64), (signed.parent / "keys" / KEY, "0" * 64)):
        with pytest.raises(Untrusted):
            trusted_manifest(signed, key, mark)


def test_one_flipped_byte_anywhere_is_found(signed: Path) -> None:
    draw = random.Random(5)
    for name in (BUNDLE, KEY, SIGNATURE):
        content = (signed / name).read_bytes()
        for at in draw.sample(range(len(content)), min(60, len(content))):
            altered = bytearray(content)
            altered[at] ^= 1 << draw.randrange(8)
            (signed / name).write_bytes(altered)
            with pytest.raises(Untrusted):
                trusted_manifest(signed, None, None)
        (signed / name).write_bytes(content)
    trusted_manifest(signed, None, None)


def test_a_file_that_was_added_removed_or_linked_is_refused(signed: Path) -> None:
    (signed / "more").write_text("")
    with pytest.raises(Untrusted):
        trusted_manifest(signed, None, None)
    (signed / "more").unlink()
    content = (signed / BUNDLE).read_bytes()
    (signed / BUNDLE).unlink()
    with pytest.raises(Untrusted):
        trusted_manifest(signed, None, None)
    (signed.parent / "elsewhere").write_bytes(content)
    (signed / BUNDLE).symlink_to(signed.parent / "elsewhere")
    with pytest.raises(Untrusted):
        trusted_manifest(signed, None, None)


def test_a_statement_about_something_else_is_refused() -> None:
    digest = hashlib.sha256(b"content").hexdigest()
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "m", "digest": {"sha256": hashlib.sha256(bytes.fromhex(digest)).hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "resources": [{"name": "f", "algorithm": "sha256", "digest": digest}],
            "serialization": {"method": "files"},
        },
    }
    assert install.stated_files(json.dumps(statement).encode()) == {"f": digest}
    resources = statement["predicate"]["resources"]  # type: ignore[index]
    changes: list[dict[str, object]] = [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": "https://slsa.dev/provenance/v1"},
        {"subject": []},
        {"subject": [{"name": "m", "digest": {"sha256": digest}}]},
        {"predicate": {"resources": resources, "serialization": {"method": "shards"}}},
        {"predicate": {"resources": resources * 2, "serialization": {"method": "files"}}},
        {"predicate": {"resources": [], "serialization": {"method": "files"}}},
        {"predicate": None},
    ]
    for change in changes:
        with pytest.raises(Untrusted):
            install.stated_files(json.dumps(statement | change).encode())


def test_the_installer_needs_no_newer_syntax_than_it_says() -> None:
    """Python 3.9 reads all of it, and 3.7 the file that refuses older ones."""
    for file in [BUNDLE_CODE / "install.py", *(BUNDLE_CODE / install.INSTALLER).glob("*.py")]:
        ast.parse(file.read_text(), feature_version=(3, 7) if file.name == "install.py" else install.LEAST_PYTHON)


def test_the_installer_imports_the_standard_library_alone() -> None:
    for file in [BUNDLE_CODE / "install.py", *(BUNDLE_CODE / install.INSTALLER).glob("*.py")]:
        found = [
            node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        names = [
            name.split(".")[0]
            for node in found
            for name in ([each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""])
            if not (isinstance(node, ast.ImportFrom) and node.level)
        ]
        assert set(names) <= sys.stdlib_module_names, file


def test_each_module_is_run_after_those_that_it_imports() -> None:
    for at, name in enumerate(install.MODULES):
        tree = ast.parse((BUNDLE_CODE / install.INSTALLER / f"{name}.py").read_text())
        local = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
        needed = {node.module for node in local if node.module} | {
            each.name for node in local if not node.module for each in node.names
        }
        assert needed <= set(install.MODULES[:at]), name
    files = {file.stem for file in (BUNDLE_CODE / install.INSTALLER).glob("*.py")} - {"__init__"}
    assert files == set(install.MODULES)
