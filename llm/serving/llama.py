"""The llama.cpp of the extra `local` as a standalone server: `python -m llm.serving.llama --model FILE ...`.

For machines without a `llama-server` program; it accepts the few options of that program that are used here.
"""

import argparse
import os
import signal
import threading
from pathlib import Path

from llm.embedded import serve

DEFAULT_WINDOW = 8192
"""Tokens of context where `--ctx-size` says nothing."""


def main() -> None:
    """Serve until terminated. The API key, if any, comes from LLAMA_API_KEY."""
    options = argparse.ArgumentParser(prog="llama")
    options.add_argument("--model", type=Path, required=True)
    options.add_argument("--alias", required=True)
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8000)
    options.add_argument("--ctx-size", type=int, default=DEFAULT_WINDOW)
    options.add_argument("--lora", type=Path, action="append", default=[])
    options.add_argument("--cache-ram", type=int, help="none with adapters, as it is here anyway")
    options.add_argument("--lora-init-without-apply", action="store_true", help="as it is here anyway")
    given = options.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    running = serve(
        given.model,
        given.alias,
        given.ctx_size,
        given.lora,
        host=given.host,
        port=given.port,
        key=os.environ.get("LLAMA_API_KEY", ""),
    )
    print(f"listening on {running.url}", flush=True)
    stop.wait()


if __name__ == "__main__":
    main()
