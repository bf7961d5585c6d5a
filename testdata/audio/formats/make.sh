#!/usr/bin/env bash
# Makes the recordings beside it: 1.2 s of two sweeps (stream/media/sweep_test.go has the formula), in the
# formats that other programs write. Needs ffmpeg with libmp3lame and libvorbis, and flac.
set -euo pipefail
cd "$(dirname "$0")"

sweep='0.4*sin(2*PI*(200*t+300*t*t))|0.3*sin(2*PI*(900*t-200*t*t))'
tags=(-metadata title='Lied für Käthe' -metadata artist='Ö & Co' -metadata album='Proben' -metadata date=2024 -metadata track=3/9 -metadata genre=Chanson)
make() { # RATE CHANNELS OUT ARGS...
  local rate=$1 channels=$2 out=$3; shift 3
  ffmpeg -v error -y -f lavfi -i "aevalsrc='$sweep':s=$rate:d=1.2" -af "pan=$([ "$channels" = 1 ] && echo 'mono|c0=c0' || echo 'stereo|c0=c0|c1=c1')" \
    -flags +bitexact -fflags +bitexact -map_metadata -1 "$@" "$out"
}

ffmpeg -v error -y -f lavfi -i color=red:s=16x16 -frames:v 1 -flags +bitexact cover.png

make 44100 2 cbr.mp3 "${tags[@]}" -c:a libmp3lame -b:a 128k
make 48000 2 vbr.mp3 -c:a libmp3lame -q:a 4
make 32000 1 mono.mp3 -c:a libmp3lame -b:a 48k
make 22050 1 low.mp3 -c:a libmp3lame -b:a 32k
make 24000 2 low-stereo.mp3 -c:a libmp3lame -b:a 64k
make 11025 1 lowest.mp3 -c:a libmp3lame -b:a 16k
make 44100 2 untagged.mp3 -c:a libmp3lame -b:a 96k -write_xing 0 -id3v2_version 0
make 44100 2 stereo.ogg "${tags[@]}" -c:a libvorbis -q:a 2
make 16000 1 mono.ogg -c:a libvorbis -q:a 0
make 48000 1 opus.ogg -c:a libopus -b:a 16k -t 0.1
make 44100 2 whole.wav -c:a pcm_s24le
flac --silent --force --best --tag='TITLE=Lied für Käthe' --tag=ARTIST=Ö --tag=ARTIST=Co --tag=DATE=2024 --picture=cover.png -o stereo.flac whole.wav
rm whole.wav

# Six channels, each of another level, to see where each goes.
ffmpeg -v error -y -f lavfi -i "aevalsrc='0.5|0.25|0.125|0.9|0.0625|0.03125':s=8000:d=0.05:c=5.1" -flags +bitexact -c:a flac six.flac

# The cover within ID3.
mv cbr.mp3 plain.mp3
ffmpeg -v error -y -i plain.mp3 -i cover.png -map 0 -map 1 -c copy -id3v2_version 3 -disposition:v attached_pic -flags +bitexact cbr.mp3
rm plain.mp3
