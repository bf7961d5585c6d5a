#!/usr/bin/env bash
# Trains a few steps of everything on made-up speech, on a CPU, by the words a real training is made with; resumes, exports,
# fine-tunes a voice, and has the daemon speak with it. What comes out is no voice: this shows that the chain holds.
#
#   infer/train/smoke.sh PYTHON         (make train-smoke)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python="$1" b=build/train-smoke
export FOLLOW=build/follow OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
rm -rf "$b"
mkdir -p "$b"

die() { echo "train-smoke: $*" >&2; exit 1; }
quiet() { "$@" >>"$b/log" 2>&1 || { tail -n 40 "$b/log" >&2; die "failed: $*"; }; }
words() { quiet make --no-print-directory PYTHON="$python" B="$b" KEPT=1 "$@"; }
train() {
  words train SPEAKER_SECONDS=60 SPEAKER_FLAGS="--batch 8 --every 2 --steps $1" TOTAL=600 \
    TRAIN_FLAGS="--batch 4 --cross 3 --critic 2 --hops 80 --cross-hops 200 --every 2 --cross-from 0 --gan-from 0 --steps $1"
}

quiet "$python" infer/train/smoke.py "$b"
mkdir -p "$b"/packages "$b"/material && touch "$b/sentences.jsonl"      # what the made-up speech comes in place of
train 2
train 4
[ "$(grep -c 'resumed at step 2' "$b/log")" = 2 ] || die "expected both trainings to resume at step 2"
"$python" - "$b/voice/log.jsonl" "$b/speaker/log.jsonl" <<'PY'
import json, math, sys
for path in sys.argv[1:]:
    lines = [json.loads(line) for line in open(path)]
    assert lines[-1]['step'] == 4 and all(math.isfinite(v) for line in lines for v in line.values()), (path, lines)
lines = [json.loads(line) for line in open(sys.argv[1])]
assert {'spectral', 'content', 'words', 'reading', 'speaker', 'level', 'like', 'match'} <= lines[-1].keys(), lines
PY
words export
quiet "$python" -m torch.distributed.run --nproc-per-node 2 infer/train/train.py --pairs "$b/pairs" --real "$b/real.npz" --teacher "$b/whisper.npz" \
  --ge2e "$b/ge2e.npz" --out "$b/again" --from "$b/voices/first.onnx" --batch 4 --cross 3 --critic 2 --hops 80 --cross-hops 200 --every 1 --steps 2
grep -q "^started from $b/voices/first.onnx" "$b/log" || die "expected a training by two to start from the pack"
quiet "$python" infer/train/mean.py "$b/voices/first.onnx" "$b/again/voice.pt" "$b/voice/voice.pt"
words voice DATA="$b/own" NAME=smoke OUT="$b/own-voice" VOICE_FLAGS="--from $b/voices/first.onnx --speaker $b/voices/speaker.onnx --batch 3 --hops 60 --every 3 --steps 6 --rate 0.003"
grep -E 'kept out|difference' "$b/log"
"$python" - "$b/log" <<'PY'
import re, sys
first, *_, last = map(float, re.findall(r'kept out ([0-9.]+);', open(sys.argv[1]).read()))
assert last < 0.5 * first, (last, first)
PY

# The daemon speaks with the new pack, and hears with the new speaker encoder.
cp "$b/voices/speaker.onnx" "$b/own-voice/"
bin/autovoiced convert testdata/audio/sample.flac -o "$b/spoken.wav" --quiet --model "$b/own-voice/smoke.onnx"
AUTOVOICED_INFER_MODELS="$b/own-voice" bin/autovoiced convert testdata/audio/sample.flac -o "$b/heard.wav" --quiet --reference "$b/own/one.wav" --reference "$b/own/two.flac"
"$python" - "$b/spoken.wav" "$b/heard.wav" <<'PY'
import sys, numpy as np, soundfile as sf
for path in sys.argv[1:]:
    audio, rate = sf.read(path)
    level = 10 * np.log10(np.mean(audio ** 2) + 1e-12)
    assert len(audio) > 2 * rate and -70 < level < 0, (path, len(audio), rate, level)
PY
echo "train-smoke: trained, resumed, exported, fine-tuned and spoke in $SECONDS s"
