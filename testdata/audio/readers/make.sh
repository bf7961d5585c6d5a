#!/usr/bin/env bash
# Makes the recordings beside it. Needs ffmpeg with libmp3lame, and as its argument 374-180298-0000.flac of LibriSpeech train-clean-100.
set -euo pipefail
cd "$(dirname "$0")"

ffmpeg -v error -y -ss 1 -t 7.4 -i "$1" -map_metadata -1 -bitexact -c:a flac reader.flac
# Driven 16 dB into full scale, turned down again, and encoded: the flat tops are flat no longer.
ffmpeg -v error -y -i ../sample.flac -af 'volume=16dB,aformat=sample_fmts=s16,volume=-6dB' -map_metadata -1 -bitexact -c:a libmp3lame -b:a 48k clipped.mp3
ffmpeg -v error -y -i ../sample.flac -map_metadata -1 -bitexact -c:a libmp3lame -b:a 48k clean.mp3
