#!/usr/bin/env bash
# Makes the Python that training runs in, once for each state of requirements.txt, and links it to LINK.
# With it there, it takes some milliseconds and opens no connection.
#
#   python.sh LINK [cuda]
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
link="$1" kind="${2:-cpu}"
key="$(cat "$here/requirements.txt" "$here/nocuda.py" | sha256sum | cut -c 1-12)"
home="${XDG_CACHE_HOME:-$HOME/.cache}/autovoice/python/$key-$kind"

if [ ! -e "$home/complete" ]; then
  echo "python: installing PyTorch and what goes with it; this is done once" >&2
  rm -rf "$home"
  mkdir -p "${home%/*}"
  python3 -m venv "$home" || { echo "python: python3 with venv and pip is needed: apt-get install python3-venv" >&2; exit 1; }
  pip=("$home/bin/python" -m pip --quiet --disable-pip-version-check install)
  if [ "$kind" = cuda ]; then
    # PyTorch's wheel names the CUDA libraries that it wants.
    "${pip[@]}" -r <(sed 's/^onnxruntime==/onnxruntime-gpu==/' "$here/requirements.txt")
  else
    "${pip[@]}" --no-deps -r "$here/requirements.txt"
    "$home/bin/python" "$here/nocuda.py" >&2
  fi
  "$home/bin/python" -c 'import torch, torchaudio, onnxruntime'
  touch "$home/complete"
fi
mkdir -p "$(dirname "$link")"
ln -sfn "$home" "$link"
