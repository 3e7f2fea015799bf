"""Signatures over adapter directories: ECDSA with a key of this installation, in the format of model-signing.

The private key is created at first use, readable by its owner only, and never leaves its file. Recipients of adapters
verify them offline with the public key stored next to it. What was signed elsewhere is accepted if the public key lies
in `trusted/` beside it: a bundle brings the keys that the adapters and bases in it were signed with.
"""

import hashlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from host.private import private_directory
from models.errors import RegistryError

SIGNATURE = "statement.sig"
TRUSTED = "trusted"
"""Folder of the keys' folder with public keys of other installations, each named by its fingerprint."""
_LONGEST_KEY = 1 << 16
"""The most bytes of a public key that are read."""
_PRIVATE, _PUBLIC = "signing-key.pem", "signing-key.pub"


def sign(directory: Path, keys: Path) -> None:
    """Sign all files of a directory into its `statement.sig`. Raises RegistryError if the key cannot be used."""
    from model_signing import signing

    signature = directory / SIGNATURE
    try:
        config: Any = signing.Config  # untyped in the library
        config().use_elliptic_key_signer(private_key=_private_key(keys)).set_hashing_config(_hashing(signature)).sign(
            directory, signature
        )
    except (ValueError, OSError) as error:
        raise RegistryError(f"{directory} cannot be signed with the key in {keys}: {error}") from error


def check_signature(directory: Path, keys: Path) -> None:
    """Raise RegistryError unless every file of a directory is as signed here, or with a trusted key, and none was added
    or removed."""
    check_signed_by(directory, next((key for key in trusted_keys(keys) if _names(directory, key)), keys / _PUBLIC))


def check_signed_by(directory: Path, public: Path) -> None:
    """Raise RegistryError unless every file of a directory is as signed with a key, and none was added or removed."""
    from cryptography.exceptions import InvalidSignature
    from model_signing import verifying

    signature = directory / SIGNATURE
    for needed in (public, signature):
        if not needed.is_file():
            raise RegistryError(f"{needed} is missing; without it nothing in {directory} can be trusted")
    try:
        config: Any = verifying.Config  # untyped in the library
        config().use_elliptic_key_verifier(public_key=public).set_hashing_config(_hashing(signature)).verify(
            directory, signature
        )
    except InvalidSignature as error:
        raise RegistryError(f"{signature}: it was not made with the key {public}, or it was altered") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RegistryError(f"{signature} does not match the files: {first}") from error


def trusted_keys(keys: Path) -> list[Path]:
    """The public keys of other installations that are trusted here."""
    folder = keys / TRUSTED
    found = sorted(folder.glob("*.pub")) if folder.is_dir() and not folder.is_symlink() else []
    return [file for file in found if file.is_file() and not file.is_symlink() and fingerprint(file) == file.stem]


def known_keys(keys: Path) -> list[Path]:
    """The public keys whose signatures hold here: this installation's, if it has one yet, and trusted ones."""
    own = keys / _PUBLIC
    return [*([own] if own.is_file() else []), *trusted_keys(keys)]


def trust_keys(keys: Path, others: Iterable[Path]) -> None:
    """Trust public keys of other installations. Raises RegistryError for a file that holds none, OSError."""
    for public in others:
        place = keys / TRUSTED / f"{fingerprint(public)}.pub"
        private_directory(place.parent)
        if not place.exists():
            _create(place, public.read_bytes(), 0o444)


def public_key(keys: Path) -> Path:
    """The public key of this installation; the pair is created if it is missing. Raises RegistryError."""
    _private_key(keys)
    return keys / _PUBLIC


def fingerprint(public: Path) -> str:
    """SHA-256 of a public key in DER (SubjectPublicKeyInfo). Raises RegistryError if the file holds none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        with public.open("rb") as stream:
            key = serialization.load_pem_public_key(stream.read(_LONGEST_KEY))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise RegistryError(f"{public} holds no public key in PEM; give another file") from error
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _names(directory: Path, public: Path) -> bool:
    """Whether the signature of a directory names a public key as its own; that is not a proof."""
    try:
        return hashlib.sha256(public.read_bytes()).hexdigest() in (directory / SIGNATURE).read_text()
    except (OSError, UnicodeDecodeError):
        return False


def _hashing(signature: Path) -> Any:
    """The hashing configuration: every file except the signature itself."""
    from model_signing import hashing

    config: Any = hashing.Config
    return config().set_ignored_paths(paths=[signature], ignore_git_paths=False)


def _private_key(keys: Path) -> Path:
    """The private key's file, created if missing; if several processes create it, the first wins."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path = keys / _PRIVATE
    private_directory(keys)
    if not path.exists():
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _create(path, pem, 0o600)
    if path.stat().st_mode & 0o077:
        raise RegistryError(f"{path} is readable by others; `chmod 600` it, or create a new key if it may have leaked")
    if not (keys / _PUBLIC).exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None).public_key()
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        _create(keys / _PUBLIC, pem, 0o444)
    return path


def _create(path: Path, content: bytes, mode: int) -> None:
    """Create a file atomically, unless another process already did."""
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()
