"""Memory and speed of trainings on a processor: predicted against measured.

    OMP_NUM_THREADS=1 uv run --extra train --extra local python benchmarks/training_memory.py

Each setting is trained for two steps by the code that `cra train` runs, in a process of its own. Compared are the
highest resident memory of that process (`ru_maxrss`: loading, training, saving) and what `training.resources` predicts.
The base is the embedded model, converted once, or one with random weights. The processes are forks of one that has
imported the libraries, which saves their imports; pages of the libraries' files do not count in a fork, so that the
constant for libraries is that of the first setting, which trains a base of almost no size; the share that the heap
loses is that of `benchmarks/heap_probe.py`. Nothing is fitted to the other settings. Speed is in tokens per CPU second,
beside the roofline of this processor: what one large matrix product and one large copy reach here. `--only NAME` takes
some settings beside the first.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.heap_probe import heap_lost  # noqa: E402

_MIB = 1 << 20
_STEPS = 2


class Setting(NamedTuple):
    """One training: base (embedded, medium, small), method, tokens of the longest row, rows in memory and per step."""

    name: str
    base: str
    method: str
    tokens: int
    rows: int = 1
    batch: int = 2
    bf16: bool = False
    checkpointing: bool = False
    all_logits: bool = False


SETTINGS = (
    Setting("libraries", "small", "lora", 64),
    Setting("lora, 1 x 384", "embedded", "lora", 384),
    Setting("full, 1 x 256", "embedded", "full", 256),
    Setting("lora, bf16, 1 x 768", "embedded", "lora", 768, bf16=True),
    Setting("lora, 4 x 192, padded", "embedded", "lora", 192, rows=4, batch=4),
    Setting("lora, 1 x 1024", "embedded", "lora", 1024),
    Setting("lora, 1 x 1024, checkpointing", "embedded", "lora", 1024, checkpointing=True),
    Setting("full, bf16, 1 x 256, one row a step", "embedded", "full", 256, batch=1, bf16=True),
    Setting("medium, full, 2 x 384, checkpointing", "medium", "full", 384, rows=2, batch=4, checkpointing=True),
    Setting("lora, 1 x 384, all logits", "embedded", "lora", 384, all_logits=True),
)
_RANDOM: dict[str, dict[str, int]] = {
    "medium": {"layers": 10, "hidden": 768, "intermediate": 2304, "heads": 12, "kv_heads": 4, "head_size": 64},
    "small": {"layers": 2, "hidden": 64, "intermediate": 128, "heads": 2, "kv_heads": 1, "head_size": 32},
}


def main() -> None:
    """Measure all settings and print predicted beside measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", help="settings whose names hold this text")
    parser.add_argument("--bases", type=Path, help="folder for the bases, kept; without it they are made anew")
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        bases = options.bases or Path(folder)
        subprocess.run([sys.executable, __file__, "--make", str(bases)], check=True)
        speeds = json.loads(subprocess.check_output([sys.executable, __file__, "--speeds"]))
        _import_all()
        print(
            f"matrix products {speeds['fp32'] / 1e9:.0f} GF/s (bf16 {speeds['bf16'] / 1e9:.0f}), "
            f"copies {speeds['copies'] / 1e9:.1f} GB/s, libraries alone {_high_water() / _MIB:.0f} MiB"
        )
        print("| setting | predicted MiB | measured MiB | error | tokens per CPU s | of the roofline |", flush=True)
        lost = _run_in_fork(partial(heap_lost, bases / "embedded"))["lost"]
        print(f"the heap loses {lost:.2f} of what autograd keeps", flush=True)
        libraries = 0.0
        for setting in SETTINGS:
            if setting is SETTINGS[0] or not options.only or options.only in setting.name:
                measured = _run_in_fork(partial(_measure, setting, bases))
                libraries = libraries or measured["peak"] - _without_libraries(_setup(setting, bases))
                _show(setting, bases, measured, libraries, speeds)


def _without_libraries(setup: Any) -> int:
    """The predicted memory of a training alone."""
    from training.resources.memory import LIBRARIES, memory_of

    return memory_of(setup).total - LIBRARIES


def _import_all() -> None:
    """Import what a training does, so that each need not."""
    import datasets
    import peft
    import transformers
    import trl

    from training.fit import fitting

    _ = datasets.Dataset, peft.get_peft_model, transformers.Trainer, trl.SFTTrainer, fitting


def _show(
    setting: Setting, bases: Path, measured: dict[str, float], libraries: float, speeds: dict[str, float]
) -> None:
    from training.resources.speed import work_of

    setup = _setup(setting, bases)
    predicted, work = _without_libraries(setup) + libraries, work_of(setup)
    roof = work.tokens / work.seconds(speeds["bf16" if setting.bf16 else "fp32"], speeds["copies"])
    print(
        f"| {setting.name} | {predicted / _MIB:.0f} | {measured['peak'] / _MIB:.0f} | "
        f"{predicted / measured['peak'] - 1:+.1%} | {measured['rate']:.0f} | {measured['rate'] / roof:.2f} |",
        flush=True,
    )


def _run_in_fork(work: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What `work` says in a fork of this process, which has imported the libraries and run nothing with them."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with os.fdopen(write, "w") as answer:
            json.dump(work(), answer)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        told = answer.read()
    os.waitpid(child, 0)
    if not told:
        sys.exit("a training failed")
    result: dict[str, float] = json.loads(told)
    return result


def _setup(setting: Setting, bases: Path) -> Any:
    from training.bases.files import read_json
    from training.resources.setup import Rows, setup_of
    from training.resources.shapes import shape_of_config

    shape = shape_of_config(setting.base, read_json(bases / setting.base / "config.json"))
    count = _STEPS * setting.batch
    rows = Rows(setting.tokens * count, setting.tokens, setting.tokens // 10, count, "")
    method: Any = setting.method
    return setup_of(shape, method, _recipe(setting), "trl-cpu", rows, "sdpa")


def _recipe(setting: Setting) -> Any:
    """The recipe of a processor, but with the rows in memory and the checkpointing of the setting."""
    from models.training_settings import TrainingSettings
    from training.resources.setup import recipe_of

    settings = TrainingSettings(
        batch_size=setting.batch,
        epochs=1,
        max_steps=_STEPS,
        cpu_bf16=setting.bf16,
        answer_logits=not setting.all_logits,
        early_stopping="loss",
        forced_weight=1.0,
        class_balance="none",
    )
    method: Any = setting.method
    chosen = {"micro_batch": setting.rows, "gradient_checkpointing": "yes" if setting.checkpointing else "no"}
    return recipe_of("reasoning", method, settings, "trl-cpu").model_copy(update=chosen)


def _measure(setting: Setting, bases: Path) -> dict[str, float]:
    from training.bases.bases import Base
    from training.bases.chat_format import ChatFormat
    from training.fit.fitting import Fitting
    from training.quiet import quiet_libraries

    base = Base("0" * 64, setting.base, bases / setting.base, None, None, {})
    marks: list[tuple[float, float]] = []
    high: dict[str, float] = {}

    def mark(progress: Any) -> None:
        marks.append((progress.tokens, time.process_time()))
        high["trained"] = _high_water()

    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        chat = ChatFormat.load(base.path)
        out = Path(folder)
        Fitting(base, out, _recipe(setting), mark, "trl-cpu", None, chat, _rows(setting), ()).run()
    (tokens, then), (last, now) = marks[0], marks[-1]
    return high | {"peak": _high_water(), "rate": (last - tokens) / (now - then)}


def _high_water() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _rows(setting: Setting) -> Any:
    """Rows of random tokens, a tenth of each the answer; beside the longest, shorter ones, so that they are padded."""
    import random

    from training.fit.data import IGNORED, TrainingRow, TrainingRows

    chance = random.Random(7)
    rows = []
    for number in range(_STEPS * setting.batch):
        length = setting.tokens - 5 * (number % setting.rows)
        ids = [chance.randrange(1000, 40000) for _ in range(length)]
        answer = setting.tokens // 10
        rows.append(TrainingRow(f"r{number}", 1.0, ids, [IGNORED] * (length - answer) + ids[-answer:]))
    return TrainingRows(rows, [], 0, {})


def _make_bases(folder: Path) -> None:
    """The embedded model in Hugging Face layout, and random ones with its tokenizer."""
    import shutil

    import torch
    from transformers import AutoModelForCausalLM, Qwen3Config

    from training.bases.gguf import convert, gguf_file

    embedded = folder / "embedded"
    if not embedded.exists():
        embedded.mkdir(parents=True)
        convert(gguf_file(Path("embedded")), embedded)
    for name, sizes in _RANDOM.items():
        if (folder / name).exists():
            continue
        torch.manual_seed(7)
        config = Qwen3Config(
            vocab_size=49152,
            num_hidden_layers=sizes["layers"],
            hidden_size=sizes["hidden"],
            intermediate_size=sizes["intermediate"],
            num_attention_heads=sizes["heads"],
            num_key_value_heads=sizes["kv_heads"],
            head_dim=sizes["head_size"],
            max_position_embeddings=8192,
            tie_word_embeddings=True,
        )
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(str(folder / name))
        for file in embedded.iterdir():
            if file.suffix != ".safetensors" and file.name not in ("config.json", "generation_config.json"):
                shutil.copy(file, folder / name / file.name)


def _speeds() -> dict[str, float]:
    """What this processor does per CPU second: operations of a product of 2,048 cubed, bytes of a copy of 256 MiB."""
    import torch

    size, source = 2048, torch.ones(64 * _MIB)
    target, found = torch.empty_like(source), {}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        one = torch.randn(size, size, dtype=kind)
        found[name] = 2 * size**3 / _fastest(one.mm, one)
    return found | {"copies": 2 * 4 * 64 * _MIB / _fastest(target.copy_, source)}


def _fastest(work: Callable[[Any], Any], given: Any) -> float:
    times = []
    for _ in range(4):
        begin = time.process_time()
        work(given)
        times.append(time.process_time() - begin)
    return min(times)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        _make_bases(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["--speeds"]:
        print(json.dumps(_speeds()))
    else:
        main()
