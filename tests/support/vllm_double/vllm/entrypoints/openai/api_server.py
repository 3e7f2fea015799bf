"""A server that plays vLLM for tests: its command line, its answers, and, as DOUBLE says, its misbehaviour.

DOUBLE holds words: as-base (adapters change nothing), once (a second load is refused), slow (an answer takes 30 s),
stall (the first load takes 2 s), closed (loads nothing while it runs), crash (ends at once), deaf (never says that it
is well), other (serves another model).
"""

import argparse
import json
import os
import sys
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WORDS = set(os.environ.get("DOUBLE", "").split())


class Double(BaseHTTPRequestHandler):
    """The handler; the class holds the state."""

    base = ""
    adapters: dict[str, str]

    def log_message(self, *_: object) -> None:
        pass

    def say(self, body: object, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fail(self, status: int, message: str) -> None:
        self.say({"error": {"message": message, "code": status}}, status)

    def allowed(self) -> bool:
        key = os.environ.get("VLLM_API_KEY")
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            self.fail(401, "Unauthorized")
            return False
        return True

    def do_GET(self) -> None:
        if self.path == "/health":
            self.fail(503, "deaf") if "deaf" in WORDS else self.say({})
        elif self.path == "/v1/models" and self.allowed():
            own = {"id": self.base, "root": "base", "parent": None}
            rest = [{"id": name, "root": path, "parent": self.base} for name, path in self.adapters.items()]
            self.say({"data": [own, *rest]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        if self.path == "/v1/completions":
            self.complete(body)
        elif self.path == "/v1/chat/completions":
            self.chat(str(body["model"]))
        elif self.path == "/tokenize":
            self.say({"count": 1, "tokens": [1], "max_model_len": 2048})
        elif "closed" in WORDS or os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") != "True":
            self.fail(404, "Not Found")
        elif self.path == "/v1/load_lora_adapter":
            self.load(body["lora_name"], body["lora_path"])
        elif self.adapters.pop(body["lora_name"], None) is None:
            self.fail(404, f"The lora adapter '{body['lora_name']}' cannot be found.")
        else:
            self.say("Success")

    def load(self, name: str, path: str) -> None:
        if "stall" in WORDS:
            WORDS.remove("stall")
            time.sleep(2)
        if name in self.adapters or ("once" in WORDS and self.adapters):
            self.fail(400, f"The lora adapter '{name}' has already been loaded.")
        elif not (Path(path) / "adapter_config.json").is_file():
            self.fail(400, f"Loading lora {name} failed: No adapter found for {path}")
        else:
            self.adapters[name] = path
            self.say("Success")

    def chat(self, model: str) -> None:
        chunk = {"choices": [{"index": 0, "delta": {"content": f"said by {model}"}, "finish_reason": "stop"}]}
        counted = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
        shared = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": model}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for each in (chunk, counted):
            self.wfile.write(f"data: {json.dumps(shared | each)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def complete(self, body: dict[str, object]) -> None:
        model = str(body["model"])
        if "slow" in WORDS:
            time.sleep(30)
        if model != self.base and model not in self.adapters:
            self.fail(404, f"The model `{model}` does not exist.")
            return
        who = self.base if "as-base" in WORDS else model
        shift = zlib.crc32(who.encode()) % 997 / 997
        prompt = [None, {"17": {"logprob": -1.0 - shift}}, {"18": {"logprob": -2.0 - shift / 2}}]
        scores = {"token_logprobs": [-0.5 - shift], "top_logprobs": [{" a": -0.5 - shift, " b": -1.5 - shift}]}
        self.say({"choices": [{"text": " a", "logprobs": scores, "prompt_logprobs": prompt}]})


def main() -> None:
    options = argparse.ArgumentParser()
    for name in ("--model", "--served-model-name", "--host", "--dtype", "--allowed-origins"):
        options.add_argument(name, required=True)
    for name in ("--port", "--max-lora-rank", "--max-loras", "--max-cpu-loras"):
        options.add_argument(name, type=int, required=True)
    options.add_argument("--max-model-len", type=int)
    options.add_argument("--middleware", action="append")
    options.add_argument("--lora-modules", nargs="*", default=[])
    for name in ("--enable-lora", "--enable-prefix-caching"):
        options.add_argument(name, action="store_true", required=True)
    given = options.parse_args()
    if "crash" in WORDS:
        sys.exit("ValueError: no memory for the cache")
    Double.base = "another" if "other" in WORDS else given.served_model_name
    Double.adapters = dict(pair.split("=", 1) for pair in given.lora_modules)
    print("starting", flush=True)
    ThreadingHTTPServer((given.host, given.port), Double).serve_forever()


main()
