"""The signature of a bundle's manifest: over the folder manifest/, and in one spelling."""

import base64
import binascii
import json
from hashlib import sha256
from pathlib import Path

from exchange.bundle.layout import KEY, MANIFEST
from exchange.folders import read_manifest_file
from models.errors import RegistryError
from training.adapters.registry.signing import SIGNATURE, check_signed_by, fingerprint

_MOST = 1 << 20
"""The most bytes of a signature."""
_MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"


def check_bundle_signature(root: Path, key: Path | None) -> str:
    """The fingerprint of the key that the manifest in a folder was signed with: `key`, or the bundle's own. Raises
    RegistryError if it was signed with another, or altered.

    The signature's text holds more than the signed bytes, so it is compared with the one text that it can have.
    """
    folder = root / MANIFEST
    public = key if key is not None else folder / KEY
    found = fingerprint(public)
    if fingerprint(folder / KEY) != found:
        raise RegistryError(f"{folder / KEY} is not the key {public}; this bundle was signed by somebody else")
    content = read_manifest_file(folder / SIGNATURE, _MOST)
    if content != _spelling(content, folder / KEY):
        raise RegistryError(f"{folder / SIGNATURE} was altered; copy the bundle again")
    check_signed_by(folder, public)
    return found


def _spelling(content: bytes, public: Path) -> bytes:
    """The text that a signature has, given its two values."""
    try:
        envelope = json.loads(content)["dsseEnvelope"]
        payload, signature = (_again(text) for text in (envelope["payload"], envelope["signatures"][0]["sig"]))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise RegistryError(f"the signature beside {public} cannot be read; copy the bundle again") from error
    whole = {
        "mediaType": _MEDIA,
        "verificationMaterial": {
            "publicKey": {"hint": sha256(public.read_bytes()).hexdigest()},
            "tlogEntries": [],
        },
        "dsseEnvelope": {
            "payload": payload,
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": signature, "keyid": ""}],
        },
    }
    return json.dumps(whole, separators=(",", ":")).encode("ascii")


def _again(text: str) -> str:
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode("ascii")
    except binascii.Error as error:
        raise ValueError(str(error)) from error
