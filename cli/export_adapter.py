"""`cra export-adapter`: an adapter in a form that other programs load."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption
from cli.output import console, print_json, waiting
from host.settings import load_settings
from models.class_bias import ClassBias
from models.errors import RegistryError, UsageError
from store.active_adapters import read_bias
from store.database import open_database
from training.adapters.export.exporting import ExportSource, Format, embed, export
from training.adapters.export.sources import find_trained
from training.adapters.export.weights import Precision


def export_adapter(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An adapter, such as scope-v2.")],
    form: Annotated[Format, typer.Option("--format", help="gguf, ollama or merged.")] = "gguf",
    out: Annotated[Path | None, typer.Option("--out", help="Directory to write to; NAME-FORMAT if left out.")] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Make it ready for the embedded model instead: `cra solve` then uses it.")
    ] = False,
    check: Annotated[bool, typer.Option(help="Load the result and compare its probabilities with PEFT's.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
    precision: Annotated[Precision, typer.Option(help="Of a GGUF base: f16 or f32.")] = "f16",
    adapter_dir: Annotated[
        Path | None, typer.Option("--adapter-dir", help="A PEFT adapter outside the registry; needs --base-dir.")
    ] = None,
    base_dir: Annotated[Path | None, typer.Option("--base-dir", help="Its base, in Hugging Face layout.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write an adapter for other programs, and refuse an export that answers otherwise than what was trained.

    gguf: an adapter for llama.cpp; ollama: base, adapter and Modelfile; merged: weights in Hugging Face's layout.
    """
    found, bias = _outside(name, adapter_dir, base_dir) if adapter_dir or base_dir else _registered(name, embedded)
    with waiting(f"exporting {name}{', and comparing it with what was trained' if check else ''}"):
        if embedded:
            file = embed(found, load_settings().data_dir / "adapters-gguf", check=check)
            written, compared = [file], None
        else:
            target = out or Path(f"{name}-{form}")
            done = export(found, form, target, check=check, precision=precision, overwrite=overwrite)
            written, compared = [done.directory / each for each in done.files], done.comparison
    if as_json:
        said = {"name": found.name, "files": written, "comparison": compared and compared.as_dict()}
        print_json(said | ({"logit_bias": bias.by_token} if bias else {}))
        return
    for path in written:
        console.print(path, markup=False, soft_wrap=True)
    if compared is not None:
        console.print(f"the same as trained: {compared}", markup=False, soft_wrap=True)
    if bias is not None and not embedded:
        sent = ", ".join(f'"{token}": {value:g}' for token, value in sorted(bias.by_token.items()))
        console.print(
            f"no file holds its class bias: send logit_bias {{{sent}}} with questions that are answered in letters",
            markup=False,
            soft_wrap=True,
        )
    if form == "ollama" and not embedded:
        console.print(f"ollama create {found.name} -f {written[0].parent / 'Modelfile'}", markup=False, soft_wrap=True)


def _registered(name: str, embedded: bool) -> tuple[ExportSource, ClassBias | None]:
    """The adapter, and its class bias if it has offsets."""
    settings = load_settings()
    curated = open_database(settings.curated_url, "curated")
    found = find_trained(curated, settings.data_dir, name)
    bias = read_bias(curated, found.name)
    if embedded and found.original is None:
        raise RegistryError(
            f"{name} was not trained on the embedded model; train on `cra bases add embedded --gguf --name smollm2`"
        )
    return found, bias if bias is not None and bias.active else None


def _outside(name: str, adapter_dir: Path | None, base_dir: Path | None) -> tuple[ExportSource, None]:
    if adapter_dir is None or base_dir is None:
        raise UsageError("--adapter-dir and --base-dir go together; give both, or neither for the registry's")
    return ExportSource(name, base_dir, adapter_dir), None
