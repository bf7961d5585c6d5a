"""Composes music that nobody owns: short pieces of many styles as General MIDI, written from chance and a few rules.

    python3 compose.py OUT_DIR COUNT [--seed 1]         # OUT_DIR/NNNN-{rhythm,harmony}.mid

Every piece has a style, key, tempo, metre, chords, and players: drums and bass (rhythm), chords, a melody, often a second
voice and a pad (harmony). The two halves lie in files of their own, so that they can be mixed anew.
"""
import argparse
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TICKS = 480                                 # a beat
DRUMS = 9                                   # the channel of the drum kit
KICK, SNARE, RIM, CLAP, CLOSED, OPEN, RIDE, CRASH, LOW, MID, HIGH, SHAKER, TAMBOURINE, CONGA = 36, 38, 37, 39, 42, 46, 51, 49, 45, 47, 50, 70, 54, 63

SCALES = {'major': (0, 2, 4, 5, 7, 9, 11), 'minor': (0, 2, 3, 5, 7, 8, 10), 'dorian': (0, 2, 3, 5, 7, 9, 10),
          'mixolydian': (0, 2, 4, 5, 7, 9, 10), 'harmonic': (0, 2, 3, 5, 7, 8, 11), 'phrygian': (0, 1, 3, 5, 7, 8, 10)}
# Where chords go from each degree, and how often.
MOVES = {0: (3, 4, 5, 1, 2), 1: (4, 4, 3, 6), 2: (5, 3, 1), 3: (0, 4, 4, 1), 4: (0, 0, 5, 3), 5: (3, 1, 4, 2), 6: (0, 2, 5)}

PIANO, ORGAN, GUITAR, DISTORTED = (0, 1, 2, 3, 4, 5, 6, 7), (16, 17, 18, 19, 20, 21), (24, 25, 26, 27, 28), (29, 30)
STRINGS, BRASS, REED, PIPE, MALLET = (40, 41, 42, 44, 48, 49, 50, 51), (56, 57, 58, 60, 61, 62), (64, 65, 66, 67, 68, 69, 71), (72, 73, 74, 75, 79), (8, 9, 10, 11, 12, 13, 14)
LEAD, PAD, PLUCKED = (80, 81, 82, 84, 87), (88, 89, 90, 92, 93, 94, 95), (45, 46, 104, 105, 106, 107, 108)
BASS, SYNTH_BASS, UPRIGHT = (33, 34, 35, 36), (38, 39), (32,)


@dataclass
class Style:
    tempo: tuple
    chords: tuple                   # families of instruments
    melody: tuple
    bass: tuple
    drums: str
    comping: tuple                  # how chords are played
    sevenths: float = 0.2           # how often a chord has one
    swing: float = 0.0
    scales: tuple = ('major', 'minor')
    beats: tuple = (4,)


STYLES = {
    'rock': Style((100, 170), (DISTORTED, GUITAR, ORGAN), (DISTORTED, LEAD, GUITAR), (BASS,), 'rock', ('eighths', 'held', 'offbeat'), 0.05, scales=('minor', 'mixolydian', 'major')),
    'metal': Style((120, 200), (DISTORTED,), (DISTORTED,), (BASS,), 'metal', ('eighths', 'sixteenths', 'held'), 0.0, scales=('minor', 'phrygian', 'harmonic')),
    'pop': Style((80, 130), (PIANO, GUITAR, PAD, STRINGS), (LEAD, PIANO, PIPE, MALLET), (BASS, SYNTH_BASS), 'rock', ('held', 'arpeggio', 'eighths', 'offbeat'), 0.2),
    'dance': Style((115, 140), (PAD, LEAD, PIANO), (LEAD, MALLET), (SYNTH_BASS,), 'house', ('offbeat', 'arpeggio', 'sixteenths'), 0.2, scales=('minor', 'dorian')),
    'jazz': Style((90, 200), (PIANO, GUITAR, MALLET), (REED, BRASS, PIANO, MALLET), (UPRIGHT,), 'swing', ('stabs', 'held'), 0.9, 0.6, scales=('major', 'dorian', 'mixolydian')),
    'bossa': Style((110, 150), (GUITAR, PIANO), (PIPE, REED, GUITAR), (UPRIGHT, BASS), 'bossa', ('stabs', 'arpeggio'), 0.8),
    'funk': Style((90, 118), (GUITAR, PIANO, ORGAN), (BRASS, LEAD, REED), (BASS, SYNTH_BASS), 'funk', ('sixteenths', 'stabs'), 0.7, scales=('dorian', 'mixolydian')),
    'ballad': Style((55, 85), (PIANO, STRINGS, GUITAR), (PIPE, STRINGS, PIANO), (BASS, UPRIGHT), 'soft', ('arpeggio', 'held'), 0.3, beats=(4, 3)),
    'orchestra': Style((60, 140), (STRINGS, BRASS), (STRINGS, REED, PIPE, BRASS), (STRINGS,), 'timpani', ('held', 'eighths', 'arpeggio'), 0.1, beats=(4, 3), scales=('major', 'minor', 'harmonic')),
    'folk': Style((80, 140), (GUITAR, PLUCKED), (PIPE, REED, PLUCKED), (UPRIGHT, BASS), 'hand', ('arpeggio', 'eighths'), 0.1, beats=(4, 3), scales=('major', 'dorian', 'mixolydian')),
    'ambient': Style((50, 90), (PAD, STRINGS), (MALLET, PIANO, PIPE), (SYNTH_BASS, STRINGS), 'none', ('held', 'arpeggio'), 0.4, scales=('major', 'dorian', 'minor')),
    'reggae': Style((65, 95), (GUITAR, ORGAN), (LEAD, BRASS, ORGAN), (BASS,), 'onedrop', ('offbeat',), 0.2),
    'hiphop': Style((75, 100), (PIANO, PAD, MALLET), (LEAD, PIANO), (SYNTH_BASS,), 'hiphop', ('held', 'stabs'), 0.5, 0.2, scales=('minor', 'dorian')),
    'solo': Style((60, 140), (PIANO, GUITAR, PLUCKED, ORGAN), (PIANO, GUITAR), (UPRIGHT,), 'none', ('arpeggio', 'eighths', 'held'), 0.2, beats=(4, 3)),
}

# A bar of sixteenths (of twelve in three beats: what lies beyond is left out): drum, the hits, how loud.
PATTERNS = {
    'rock': ((KICK, 'x.....x.x.....x.', 110), (SNARE, '....x.......x...', 105), (CLOSED, 'x.x.x.x.x.x.x.x.', 75)),
    'metal': ((KICK, 'x.xxx.xxx.xxx.xx', 112), (SNARE, '....x.......x...', 115), (CRASH, 'x.......x.......', 80), (CLOSED, 'x.x.x.x.x.x.x.x.', 80)),
    'house': ((KICK, 'x...x...x...x...', 115), (CLAP, '....x.......x...', 90), (OPEN, '..x...x...x...x.', 75), (SHAKER, 'xxxxxxxxxxxxxxxx', 45)),
    'swing': ((RIDE, 'x...x..xx...x..x', 80), (CLOSED, '....x.......x...', 60), (KICK, 'x.........x.....', 55), (SNARE, '.......x......x.', 40)),
    'bossa': ((RIM, 'x..x..x...x..x..', 75), (CLOSED, 'x.x.x.x.x.x.x.x.', 50), (KICK, 'x..xx..xx..xx..x', 65)),
    'funk': ((KICK, 'x..x..x..xx.....', 110), (SNARE, '....x..x.x..x..x', 85), (CLOSED, 'xxxxxxxxxxxxxxxx', 60), (OPEN, '..........x.....', 60)),
    'soft': ((KICK, 'x.........x.....', 80), (RIM, '....x.......x...', 75), (CLOSED, 'x...x...x...x...', 45)),
    'timpani': ((LOW, 'x...............', 70), (CRASH, '................', 60), (MID, '............x.x.', 60)),
    'hand': ((CONGA, 'x..x..x.x..x..x.', 75), (TAMBOURINE, '....x.......x...', 65), (SHAKER, 'x.x.x.x.x.x.x.x.', 45)),
    'onedrop': ((RIM, '........x.......', 95), (KICK, '........x.......', 100), (CLOSED, 'x.x.x.x.x.x.x.x.', 55)),
    'hiphop': ((KICK, 'x..x......x..x..', 115), (SNARE, '....x.......x...', 100), (CLOSED, 'x.x.x.xxx.x.x.x.', 60)),
    'none': (),
}


@dataclass
class Track:
    channel: int
    program: int
    volume: int
    pan: int
    reverb: int
    notes: list = field(default_factory=list)       # begin and length in beats, key, velocity

    def play(self, at, length, key, velocity):
        if 12 <= key <= 115:
            self.notes.append((at, length, int(key), int(np.clip(velocity, 20, 127))))


class Piece:
    def __init__(self, rng, seconds):
        self.rng, self.name = rng, str(rng.choice(list(STYLES)))
        self.style = STYLES[self.name]
        self.tempo, self.beats = rng.uniform(*self.style.tempo), int(rng.choice(self.style.beats))
        self.scale, self.root = SCALES[str(rng.choice(self.style.scales))], int(rng.integers(12))
        self.bars = max(2, int(np.ceil(seconds * self.tempo / 60 / self.beats)))
        self.chords = self.progression()
        self.tracks = {'rhythm': [], 'harmony': []}
        self.drums()
        self.bass()
        for _ in range(1 + (rng.random() < 0.5)):
            self.comp()
        if rng.random() < 0.75:
            self.melody()
        if rng.random() < 0.25:
            self.melody(low=True)

    def progression(self):
        "four or eight bars of degrees, again and again, now and then with another turn"
        loop, at = [], 0
        for _ in range(int(self.rng.choice((4, 4, 8)))):
            loop.append(at)
            at = int(self.rng.choice(MOVES[at]))
        chords = [loop[i % len(loop)] for i in range(self.bars)]
        return [int(self.rng.integers(7)) if self.rng.random() < 0.05 else c for c in chords]

    def key(self, degree, octave):
        return 12 * (octave + 1 + degree // 7) + self.root + self.scale[degree % 7]

    def track(self, half, family, volume):
        used = len(self.tracks['rhythm']) + len(self.tracks['harmony'])
        channel = used if used < DRUMS else used + 1
        t = Track(channel, int(self.rng.choice(family[self.rng.integers(len(family))])), int(np.clip(volume + self.rng.normal(0, 10), 40, 127)),
                  int(np.clip(self.rng.normal(64, 22), 5, 122)), int(self.rng.uniform(10, 90)))
        self.tracks[half].append(t)
        return t

    def swung(self, sixteenth):
        beat, part = divmod(sixteenth, 4)
        return beat + part / 4 + (self.style.swing / 6 if part in (2, 3) else 0) * (1 if part == 2 else 0.5)

    def drums(self):
        pattern = PATTERNS[self.style.drums]
        if not pattern or self.rng.random() < 0.12:
            return
        t = Track(DRUMS, int(self.rng.choice((0, 8, 16, 24, 25, 32, 40))), int(self.rng.uniform(75, 120)), 64, int(self.rng.uniform(5, 60)))
        t.play(0, 0.5, CRASH if self.rng.random() < 0.5 else KICK, 90)
        for bar in range(self.bars):
            fill = bar % 4 == 3 and self.rng.random() < 0.4
            for drum, hits, loud in pattern:
                for i, hit in enumerate(hits[:4 * self.beats]):
                    if fill and i >= 4 * self.beats - 4:
                        continue
                    if (hit == 'x') != (self.rng.random() < 0.03):
                        t.play(bar * self.beats + self.swung(i) + self.rng.normal(0, 0.006), 0.2, drum, loud + self.rng.normal(0, 8))
            if fill:
                for i in range(4):
                    t.play((bar + 1) * self.beats - 1 + i / 4, 0.2, int(self.rng.choice((SNARE, LOW, MID, HIGH))), 90 + 6 * i)
        self.tracks['rhythm'].append(t)

    def bass(self):
        if self.name == 'solo':
            return
        t, kind = self.track('rhythm', self.style.bass, 95), str(self.rng.choice(('roots', 'eighths', 'walk', 'fifths')))
        if self.name == 'jazz':
            kind = 'walk'
        for bar, chord in enumerate(self.chords):
            at = bar * self.beats
            if kind == 'roots':
                t.play(at, self.beats * 0.9, self.key(chord, 1), 95)
            elif kind == 'eighths':
                for i in range(2 * self.beats):
                    t.play(at + i / 2, 0.4, self.key(chord, 1) + (12 if self.rng.random() < 0.1 else 0), 90 + 10 * (i == 0))
            elif kind == 'fifths':
                for i in range(self.beats):
                    t.play(at + i, 0.7, self.key(chord + (4 if i % 2 else 0), 1), 92)
            else:
                for i in range(self.beats):
                    t.play(at + i, 0.85, self.key(chord + int((0, 2, 4, 6, 5)[self.rng.integers(5)] if i else 0), 1), 88)

    def voicing(self, chord, octave):
        tones = [chord, chord + 2, chord + 4] + ([chord + 6] if self.rng.random() < self.style.sevenths else [])
        if self.name in ('metal', 'rock') and self.rng.random() < 0.7:
            tones = [chord, chord + 4, chord + 7]
        turn = int(self.rng.integers(3))
        return sorted(self.key(t, octave) - (12 if i >= len(tones) - turn else 0) for i, t in enumerate(tones))

    def comp(self):
        octave = 3 if self.name in ('metal', 'rock') else int(self.rng.choice((3, 4, 4)))
        t, how = self.track('harmony', self.style.chords, 80), str(self.rng.choice(self.style.comping))
        for bar, chord in enumerate(self.chords):
            at, keys, loud = bar * self.beats, self.voicing(chord, octave), 75 + self.rng.normal(0, 6)
            if how == 'held':
                for k in keys:
                    t.play(at, self.beats * 0.97, k, loud)
                continue
            if how == 'arpeggio':
                step, order = float(self.rng.choice((0.25, 0.5, 1 / 3))), self.rng.permutation(len(keys))
                for i in range(int(self.beats / step)):
                    t.play(at + i * step, 1.5 * step, keys[order[i % len(keys)]] + (12 if i % (2 * len(keys)) >= len(keys) else 0), loud)
                continue
            step, first, length = {'eighths': (0.5, 0, 0.4), 'sixteenths': (0.25, 0, 0.18), 'offbeat': (1, 0.5, 0.35), 'stabs': (0.5, 0, 0.3)}[how]
            for i in range(int(self.beats / step)):
                if how == 'stabs' and self.rng.random() < 0.6 or how == 'sixteenths' and self.rng.random() < 0.25:
                    continue
                for k in keys:
                    t.play(at + first + i * step, length, k, loud + self.rng.normal(0, 6))

    def melody(self, low=False):
        t = self.track('harmony', self.style.melody, 72 if low else 88)
        octave, at = (3 if low else int(self.rng.choice((4, 5)))), 0.0
        rhythms = [self.rng.choice((0.25, 0.5, 0.5, 1, 1, 1.5, 2), int(self.rng.integers(3, 8))) for _ in range(2)]
        degree, phrase = int(self.rng.integers(-2, 6)), 0
        while at < self.bars * self.beats:
            for length in rhythms[phrase % 2]:
                if at >= self.bars * self.beats:
                    break
                chord = self.chords[min(int(at // self.beats), self.bars - 1)]
                degree += int(self.rng.choice((-3, -2, -1, -1, 0, 1, 1, 2, 4)))
                degree = int(np.clip(degree, -4, 10))
                if at % self.beats == 0:                # on the strong beat, a tone of the chord
                    degree = min((chord + d for d in (-7, -5, -3, 0, 2, 4, 7, 9)), key=lambda d: abs(d - degree))
                if self.rng.random() < 0.87:
                    t.play(at, length * self.rng.uniform(0.6, 1.02), self.key(degree, octave), 88 + self.rng.normal(0, 9))
                at += length
            phrase += 1
            if self.rng.random() < 0.3:
                at = np.ceil(at)

    def write(self, half, path):
        events = []
        for t in self.tracks[half]:
            c = t.channel
            events += [(0, bytes((0xC0 | c, t.program)))] + [(0, bytes((0xB0 | c, n, v))) for n, v in ((7, t.volume), (10, t.pan), (91, t.reverb))]
            for at, length, key, velocity in t.notes:
                begin = max(0, round(at * TICKS))
                events += [(begin, bytes((0x90 | c, key, velocity))), (begin + max(20, round(length * TICKS)), bytes((0x80 | c, key, 0)))]
        events.sort(key=lambda e: (e[0], e[1][0] & 0xF0 != 0x80 if e[0] else 0))
        body, now = b'\0\xff\x51\x03' + round(60e6 / self.tempo).to_bytes(3, 'big'), 0
        for at, message in events:
            body += length_of(at - now) + message
            now = at
        body += b'\0\xff\x2f\0'
        Path(path).write_bytes(b'MThd' + struct.pack('>IHHH', 6, 0, 1, TICKS) + b'MTrk' + struct.pack('>I', len(body)) + body)


def length_of(n):
    "MIDI's numbers of variable length"
    out = bytes([n & 127])
    while n := n >> 7:
        out = bytes([128 | n & 127]) + out
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('out', type=Path)
    p.add_argument('count', type=int)
    p.add_argument('--seconds', type=float, default=16)
    p.add_argument('--seed', type=int, default=1)
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for i in range(args.count):
        piece = Piece(np.random.default_rng([args.seed, i]), args.seconds)
        for half, tracks in piece.tracks.items():
            if tracks:
                piece.write(half, args.out / f'{i:04d}-{half}.mid')


if __name__ == '__main__':
    main()
