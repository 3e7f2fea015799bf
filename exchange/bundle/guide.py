"""The operator's page of a bundle: README.md beside the manifest."""


def guide(python: str, platform: str, parts: int, base: str | None) -> str:
    """The text, which is the same for the same bundle."""
    media = (
        f"It has {parts} parts. Each `part-NNNN` folder fits on a medium of its own, with `install.py` and the manifest in "
        "it. Copy all of them into one folder, or give them one after another.\n\n"
        if parts > 1
        else ""
    )
    before = f"It goes on top of the bundle {base}, which must be installed first.\n\n" if base else ""
    return f"""# A bundle of Clean Room

Everything that an installation on a machine without a network needs. {platform}, Python {python}, git; no root.

{media}{before}1. Compare the key. Whoever made this bundle told you its fingerprint (64 characters) another way, on paper or by
   telephone. The installer prints the one of this bundle; they must be equal.
2. Install, on the machine without a network. Nothing is unpacked before every file was compared with the signed manifest:

       python3 -I install.py --prefix PREFIX --fingerprint FINGERPRINT

   Stopped or killed, the same command goes on.
3. Look: `PREFIX/bin/cra doctor` says what is wrong and what to do; `PREFIX/bin/cra rehearse` runs the whole loop once.

Where Clean Room is installed already, `cra bundle verify DIR` checks a bundle without installing it.

`manifest/bundle.json` lists every file with its hash, `sbom.json` the distributions, models and packages. Keys that can sign, settings,
addresses and tokens are not in it: this machine makes its own key, and trusts the bundle's for what was signed before.
"""
