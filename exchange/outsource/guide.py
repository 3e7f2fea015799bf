"""The page that lies in a packed folder, for the person with the other machine."""

from exchange.outsource.layout import PackFormat

_PAGE = """\
# A training, packed

1. `python3 -I run.py --dry-run` checks this machine (files, Python, disk, memory, GPU) and changes nothing. Compare the
   pack's id that it prints with the one that you were told.
2. {how}
3. Send back the folder `returned/`, and nothing else.

`run.py` needs Python {python} with `venv`, and no network if `wheels/` is here. Without `wheels/` it installs what
`requirements.txt` names from the package index, checked by hash; `--python PATH` uses an environment of your own, whose
versions must be those of `requirements.txt`. Without `base/`, give the base's folder with `--base DIR`.
"""
_OURS = """\
`python3 -I run.py` makes `env/`, trains in `work/`, evaluates, and writes `returned/`. Stopped, it goes on with
   `python3 -I run.py --resume`."""
_FACTORY = """\
`llamafactory-cli train llamafactory/train.yaml`, in this folder, with an environment of your own; then
   `python3 -I run.py --trained llamafactory/saved` evaluates what it saved, and writes `returned/`. Change nothing in
   `train.yaml` but batch sizes, paths and what your card needs: the whole configuration of the
   adapter is checked (rank, alpha, target modules, dropout, rsLoRA, ...)."""


def guide(form: PackFormat, python: str) -> str:
    """The text of the page."""
    return _PAGE.format(how=_OURS if form == "cra" else _FACTORY, python=python)
