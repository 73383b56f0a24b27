#!/usr/bin/env bash
# Packs what a bare GPU machine lacks into the ignored folder gpu_pack/, some 9 MB. Run in the project's root, with network.
# The machine has Python 3.12 with torch, transformers, lightning, timm, pyarrow, OpenCV and pytest, and no package index.
set -euo pipefail
rm -rf gpu_pack && mkdir -p gpu_pack/wheels gpu_pack/stand_ins/imwatermark
packages="diffusers simplejpeg ultralytics ultralytics-thop universal-pathlib pathlib-abc"
pins=$(for name in $packages; do uv pip show "$name" 2>/dev/null | awk '/^Name:/ {n=$2} /^Version:/ {print n "==" $2}'; done)
platforms=$(for glibc in 2_28 2_27 2_17; do printf -- '--platform manylinux_%s_x86_64 ' "$glibc"; done)
# shellcheck disable=SC2086 # lists of words
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
  $platforms --platform manylinux2014_x86_64 -d gpu_pack/wheels $pins
# The invisible mark needs wavelets, 6 MB: pictures that are drawn there carry none.
printf 'class EmbedDwtDctSvd:\n    """Stand-in that marks nothing."""\n' >gpu_pack/stand_ins/imwatermark/dwtDctSvd.py
printf '' >gpu_pack/stand_ins/imwatermark/__init__.py
printf '%s%s\n' "$(git rev-parse --short HEAD)" "$([ -z "$(git status --short)" ] || echo +)" >gpu_pack/COMMIT
du -sm gpu_pack
