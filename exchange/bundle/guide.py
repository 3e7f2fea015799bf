"""The operator's page of a bundle: README.md beside the manifest."""

from collections.abc import Sequence

_TEXT = """# A bundle of Clean Room

Everything that an installation on a machine without a network needs. There: {platform}, Python {python}, git, the
system's libgcc_s and libstdc++ (and libgomp for the extra `local`); no root.

{notes}1. Compare the installer: `sha256sum install.py` must print what whoever made this bundle told you another way,
   on paper or by telephone. It checks everything else.
2. Install, on the machine without a network, with the fingerprint of the key (64 characters) that you were told as
   well. Every byte is compared with the signed manifest before anything is put into use:

       python3 -I install.py --prefix PREFIX --fingerprint FINGERPRINT

   Stopped or killed, the same command goes on.
   Over an earlier installation it adds what is new, and says what it left as it was.
3. Look: `PREFIX/bin/cra doctor` says what is wrong and what to do about it.

Where Clean Room is installed already, `cra bundle verify DIR` checks a bundle without installing it.

`manifest/bundle.json` lists every file with its hash, `sbom.json` the distributions, models and packages. Keys that can
sign, settings, addresses and tokens are not in it: the installation makes its own key, and trusts the bundle's for what
was signed before.
"""
_PARTS = """It has parts: each folder `part-NNNN` fits on a medium of its own, with installer and manifest in it.
Copy all of them into one folder, or give them one after another.

"""
_DUMPS = """Its databases are dumps of PostgreSQL. After step 2, before anything uses them, name empty ones in
CRA_RAW_DATABASE and CRA_CURATED_DATABASE and run `PREFIX/bin/cra bundle restore PREFIX/current/databases`.

"""
_PYTHONS = """The environments of the repo packages need Python {versions}, which is not in this bundle: have it on PATH
there, or their commits cannot be run.

"""


def guide(
    python: str, platform: str, base: str | None, pythons: Sequence[str] = (), *, split: bool, dumps: bool = False
) -> str:
    """The text, which is the same for the same bundle. `base`: the bundle that must be installed before; `pythons`: the
    versions that repo packages need and that do not travel; `dumps`: databases are PostgreSQL's."""
    before = f"It goes on top of the bundle {base},\nwhich must be installed first.\n\n" if base else ""
    others = _PYTHONS.format(versions=", ".join(pythons)) if pythons else ""
    notes = (_PARTS if split else "") + before + others + (_DUMPS if dumps else "")
    return _TEXT.format(platform=platform, python=python, notes=notes)
