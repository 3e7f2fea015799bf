"""Training throughput: our fit beside a bare script of the trainers' library with the same settings.

    uv run --extra train python benchmarks/training_throughput.py BASE --tokens 1000 --steps 4 --threads 1

BASE is a directory in Hugging Face layout, or the name of one that `cra bases add` knows. Each arm runs in a process
of its own, in turns, `--repeat` times; wall and CPU time are taken from the end of the first step to that of the last.
On a processor `all` is ours with the logits of every token, as the library computes them there. `--cpu-bf16` computes
in bf16 in all arms. On a loaded machine only CPU times, and ratios within one run, mean anything.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
_ACCUMULATION = 4
_ARMS = ("ours", "all", "bare")


def main() -> None:
    """Run both arms and print tokens per second side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("base")
    parser.add_argument("--tokens", type=int, default=1000, help="tokens of a row, about")
    parser.add_argument("--steps", type=int, default=4, help=f"steps of {_ACCUMULATION} rows")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--cpu-bf16", action="store_true", help="compute in bf16 on a processor")
    parser.add_argument("--arm", choices=_ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        _arm(options)
        return
    base = _path(options.base)
    with tempfile.TemporaryDirectory() as folder:
        data = _dataset(Path(folder) / "datasets" / "scope-x", base, options.tokens, options.steps * _ACCUMULATION)
        results: dict[str, list[dict[str, float]]] = {arm: [] for arm in _ARMS}
        for _ in range(options.repeat):
            for arm, runs in results.items():
                runs.append(_run(arm, str(base), data, options))
    for clock in ("wall", "cpu"):
        rates = {arm: statistics.median(run["tokens"] / run[clock] for run in runs) for arm, runs in results.items()}
        for arm, rate in rates.items():
            step = statistics.median(run[clock] for run in results[arm]) / (options.steps - 1)
            print(f"{clock:4} {arm:4} {rate:8.1f} tokens/s {step:7.2f} s/step")
        for arm in _ARMS[:-1]:
            print(f"{clock:4} {arm} / bare = {rates[arm] / rates['bare']:.2f}")
    print(f"{options.threads} thread(s), steps of {_ACCUMULATION} rows of about {options.tokens} tokens")


def _path(base: str) -> Path:
    if Path(base).is_dir():
        return Path(base)
    from host.settings import load_settings
    from store.database import open_database
    from training.bases.bases import find_base

    return find_base(open_database(load_settings().curated_url, "curated"), base).path


def _dataset(folder: Path, base: Path, tokens: int, rows: int) -> Path:
    """Rows of about `tokens` tokens made of this repository's own source, with short answers."""
    from agent.prompts import REVISION
    from training.bases.chat_format import ChatFormat

    chat = ChatFormat.load(base)
    ids = chat._ids("\n".join(file.read_text() for file in sorted((ROOT / "training").rglob("*.py"))))
    folder.mkdir(parents=True)
    lines = []
    for number in range(rows):
        begin = number * 97 % max(1, len(ids) - tokens)
        prompt = chat.tokenizer.decode(ids[begin : begin + tokens - 80])
        paths = [f"training/file_{number + place}.py" for place in range(3)]
        judged = {path: ("relevant", "irrelevant")[(number + place) % 2] for place, path in enumerate(paths)}
        answer = json.dumps({"files": judged})
        lines.append(
            json.dumps(
                {
                    "id": f"r{number}",
                    "stage": "scope",
                    "split": "train",
                    "weight": 1.0,
                    "prompt": [{"role": "user", "content": prompt}],
                    "completion": [{"role": "assistant", "content": answer}],
                }
            )
        )
    text = "\n".join(lines) + "\n"
    (folder / "sft.jsonl").write_text(text)
    files = {"sft.jsonl": hashlib.sha256(text.encode()).hexdigest()}
    (folder / "card.json").write_text(
        json.dumps({"id": files["sft.jsonl"], "target": "scope", "files": files, "templates": REVISION})
    )
    return folder


def _run(arm: str, base: str, data: Path, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, base, "--arm", arm, "--data", str(data), "--steps", str(options.steps)]
    command += ["--cpu-bf16"] if options.cpu_bf16 else []
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _arm(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base, out = Path(options.base), Path(folder)
        if options.arm == "bare":
            result = _bare(base, options.data, out, options.steps, options.cpu_bf16)
        else:
            result = _ours(base, options.data, out, options.steps, options.cpu_bf16, options.arm == "ours")
        print(json.dumps(result))


class _Clock:
    """Times and tokens at the end of each step."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float, float]] = []

    def mark(self, tokens: float) -> None:
        self.marks.append((tokens, time.monotonic(), time.process_time()))

    def result(self) -> dict[str, float]:
        (tokens, wall, cpu), (tokens_then, wall_then, cpu_then) = self.marks[-1], self.marks[0]
        return {"tokens": tokens - tokens_then, "wall": wall - wall_then, "cpu": cpu - cpu_then}


def _ours(folder: Path, data: Path, out: Path, steps: int, bf16: bool, answers: bool) -> dict[str, float]:
    from models.training import TrainingTarget
    from models.training_settings import TrainingSettings
    from training.bases.bases import Base
    from training.fit.fitting import fit_sft
    from training.fit.recipe import recipe_for

    settings = TrainingSettings(
        batch_size=_ACCUMULATION, epochs=1, max_steps=steps, cpu_bf16=bf16, answer_logits=answers
    )
    recipe = recipe_for(TrainingTarget.SCOPE, "sft", settings)
    clock = _Clock()
    base = Base("0" * 64, "base", folder, None, None, {})
    fit_sft(data, base, out, recipe, lambda progress: clock.mark(progress.tokens))
    return clock.result()


def _bare(base: Path, data: Path, out: Path, steps: int, cpu_bf16: bool) -> dict[str, float]:
    import torch
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    gpu = torch.cuda.is_available()
    clock = _Clock()

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" in logs:
                clock.mark(logs["num_tokens"])

    rows = load_dataset("json", data_files=str(data / "sft.jsonl"), split="train", cache_dir=str(out / "cache"))
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16 if gpu else torch.float32),
        processing_class=AutoTokenizer.from_pretrained(base),
        train_dataset=rows.select_columns(["prompt", "completion"]),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[Clock()],
        args=SFTConfig(
            output_dir=str(out),
            max_steps=steps,
            per_device_train_batch_size=4 if gpu else 1,
            gradient_accumulation_steps=1 if gpu else _ACCUMULATION,
            learning_rate=2e-4,
            lr_scheduler_type="cosine",
            max_length=8192,
            bf16=gpu or cpu_bf16,
            use_cpu=not gpu,
            gradient_checkpointing=gpu,
            packing=gpu,
            optim="adamw_8bit" if gpu else "adamw_torch",
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
        ),
    )
    trainer.train()
    return clock.result()


if __name__ == "__main__":
    main()
