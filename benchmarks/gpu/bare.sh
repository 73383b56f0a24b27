#!/usr/bin/env bash
# On the bare machine, in the root of the tree that travelled with gpu_pack/: bash benchmarks/gpu/bare.sh OUT [options]
set -euo pipefail
out="$1" && shift
mkdir -p "$out"
site=$(mktemp -d)
python3 -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --target "$site" gpu_pack/wheels/*.whl
export PYTHONPATH="$site:$PWD/gpu_pack/stand_ins:$PWD" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 YOLO_CONFIG_DIR="$site"
python3 benchmarks/gpu --out "$out" "$@" 2>"$out/log.txt" || { tail -40 "$out/log.txt"; exit 1; }
