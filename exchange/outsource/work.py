"""The training of a pack, on the other machine: `python -m exchange.outsource.work FOLDER`, which its `run.py` starts.

    versions -> training (resumes from its last checkpoint) -> answers to the questions -> losses of the probed rows
             -> GGUF, where the architecture has one -> `returned/`, whole or not at all

With `--trained FOLDER` the training is skipped, and what another trainer made of the same data is taken.
"""

import argparse
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from exchange.outsource import layout
from exchange.outsource.foreign import take_foreign
from exchange.outsource.layout import PackManifest, ReturnManifest, entries_of, read_manifest, spelled
from exchange.outsource.probes import losses_of, open_trained, probe_rows
from exchange.outsource.questions import ask, read_questions, write_lines
from models.errors import CleanRoomError, TrainingError, UsageError
from training.bases.bases import Base
from training.bases.files import read_facts
from training.data.curation import Card
from training.data.curation.card import MACHINE
from training.fit.fitting import Fit, TrainingProgress, fit_dpo, fit_full, fit_sft


def main(arguments: list[str]) -> int:
    """Do the work of a pack; an error is one line on standard error."""
    parser = argparse.ArgumentParser(prog="work")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--trained", type=Path)
    given = parser.parse_args(arguments)
    try:
        work(given.folder, given.base or given.folder / layout.BASE, given.trained)
    except CleanRoomError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def work(folder: Path, base_dir: Path, trained: Path | None) -> None:
    """Train, evaluate, export, and write `returned/`. Raises TrainingError, UsageError."""
    content = (folder / layout.MANIFEST / layout.PACK).read_bytes()
    manifest = read_manifest(content, PackManifest, layout.PACK)
    _check_versions((folder / layout.REQUIREMENTS).read_text())
    base = Base(manifest.base, manifest.base_name, base_dir, manifest.role, None, read_facts(base_dir))
    out = folder / "work"
    data = _copy_data(folder / layout.DATA, out / layout.DATA)
    if trained is None:
        fit = _fit(manifest, data, base, out / "training")
        losses = (out / "training" / layout.LOSSES).read_text()
    else:
        fit, losses = take_foreign(manifest, base, trained, out / "taken"), ""
    draft = out / "returned"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    _evaluate(manifest, folder, data, base, fit, draft)
    _write(manifest, folder, base, fit, losses, draft)
    target = folder / "returned"
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    print(f"returned: {target}", flush=True)


def _copy_data(packed: Path, copy: Path) -> Path:
    """A copy of the data, as a lock lies beside it, with a card that names the files that were packed alone."""
    shutil.copytree(packed, copy, dirs_exist_ok=True)
    card = Card.model_validate_json((packed / MACHINE).read_bytes())
    files = {name: digest for name, digest in card.files.items() if (packed / name).is_file()}
    (copy / MACHINE).write_text(card.model_copy(update={"files": files}).to_json(), encoding="utf-8")
    return copy


def _fit(manifest: PackManifest, data: Path, base: Base, out: Path) -> Fit:
    def report(progress: TrainingProgress) -> None:
        print(f"step {progress.step} of {progress.steps}, loss {progress.loss}", flush=True)

    if manifest.method == "dpo":
        return fit_dpo(data, base, out, manifest.recipe, None, report, backend=manifest.backend)
    fit = fit_full if manifest.method == "full" else fit_sft
    return fit(data, base, out, manifest.recipe, report, backend=manifest.backend)


def _evaluate(manifest: PackManifest, folder: Path, data: Path, base: Base, fit: Fit, draft: Path) -> None:
    from training.cycle.local_answers import LocalAnswerer

    print("evaluating", flush=True)
    rows = probe_rows(data, base.path, manifest.recipe)
    write_lines(
        draft / layout.PROBES, losses_of(open_trained(base.path, fit.adapter_dir, adapter=manifest.adapter), rows)
    )
    if not (folder / layout.QUESTIONS).is_file():
        return
    thinking = manifest.recipe.thinking
    if manifest.adapter:
        answerer = LocalAnswerer(base.path, base.name, fit.adapter_dir, thinking=thinking)
    else:
        answerer = LocalAnswerer(fit.adapter_dir, base.name, thinking=thinking)
    write_lines(draft / layout.ANSWERS, ask(answerer, read_questions(folder / layout.QUESTIONS)))


def _write(manifest: PackManifest, folder: Path, base: Base, fit: Fit, losses: str, draft: Path) -> None:
    from training.fit.returned import OWN, TRAINED

    what = draft / (layout.ADAPTER if manifest.adapter else layout.BASE)
    what.mkdir()
    for file in sorted(fit.adapter_dir.iterdir()):
        if manifest.adapter or file.name in TRAINED or file.suffix == ".safetensors":
            shutil.copyfile(file, what / file.name)
    for name in () if manifest.adapter else sorted(manifest.base_files.keys() & OWN):
        shutil.copyfile(base.path / name, what / name)
    _export(base, what, draft / layout.GGUF, adapter=manifest.adapter)
    stated = fit.model_copy(update={"adapter_dir": Path(what.name), "class_bias": None})
    (draft / layout.FIT).write_text(stated.model_dump_json(indent=1) + "\n")
    (draft / layout.LOSSES).write_text(losses)
    shutil.copytree(folder / layout.MANIFEST, draft / layout.MANIFEST)
    returned = ReturnManifest(pack=manifest.id, files=entries_of(draft)).sealed()
    (draft / layout.RETURNED).write_text(spelled(returned))


def _export(base: Base, trained: Path, out: Path, *, adapter: bool) -> None:
    """The GGUF form, where there is one for the architecture; it is made again, and compared, where it is accepted."""
    from training.fit.returned import write_gguf

    try:
        write_gguf(base.path, trained, out, adapter=adapter)
    except TrainingError as error:
        out.unlink(missing_ok=True)
        print(f"no GGUF: {error}", flush=True)


def _check_versions(requirements: str) -> None:
    """Raise UsageError for the first requirement that this environment has in another version, or lacks."""
    from packaging.requirements import Requirement

    for line in requirements.splitlines():
        if line[:1] in ("", " ", "#"):
            continue
        wanted: Any = Requirement(line.rstrip(" \\"))
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            found = "not at all"
        if found not in wanted.specifier:
            raise UsageError(
                f"{sys.executable} has {wanted.name} {found}, and the pack needs {wanted.specifier}; install that, or "
                "leave --python out"
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
