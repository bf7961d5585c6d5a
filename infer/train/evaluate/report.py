"""Writes the report of an evaluation: tables, pictures and the measurements themselves.

    python3 report.py BUILD DOCS          # BUILD: evaluate.py's OUT; writes DOCS/voice.md, voice.jsonl and voice-*.png
"""
import io
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib
import numpy as np

import audio as A
from conditions import ALL as CONDITIONS

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402
from PIL import Image  # noqa: E402

SYSTEMS = {'voice': 'this voice', 'first': 'first voice', 'world': 'WORLD'}
COLOURS = {'voice': '#0b6e99', 'first': '#e09f3e', 'world': '#8d99ae'}
LANGUAGES = {'en': 'English', 'es': 'Spanish', 'fr': 'French', 'cs': 'Czech'}
SEXES = {'F': 'women', 'M': 'men', 'female': 'female', 'male': 'male', '': 'unknown'}


@dataclass
class Measure:
    key: str
    name: str
    bar: float
    stretch: float
    digits: int = 2
    most: bool = False               # the bar is an upper one

    def missed(self, value, bar=None):
        bar = self.bar if bar is None else bar
        return value > bar if self.most else value < bar

    def text(self, value):
        return f'{value:.{self.digits}f}'

    def bars(self):
        sign = '≤' if self.most else '≥'
        return f'{sign} {self.bar:g} | {self.stretch:g}'


SIM = Measure('sim', 'similarity to target', 0.80, 0.90)
MEASURES = [SIM, Measure('moved', 'moved', 0.55, 0.75), Measure('cer_added', 'CER − CER of source', 0.06, 0.02, 3, True),
            Measure('f0_error', 'f0 error, cents', 20, 10, 1, True), Measure('f0_corr', 'log-f0 correlation', 0.95, 0.98, 3),
            Measure('voicing', 'voicing agreement', 0.90, 0.94, 3), Measure('ovrl', 'DNSMOS OVRL', 3.0, 3.2)]
STRANGER = Measure('sim', 'similarity to zero-shot target', 0.75, 0.87)


def interval(values, seed=1, draws=2000):
    "-> mean and the bootstrap's 95 % interval"
    values = np.asarray(values, float)
    means = np.random.default_rng(seed).choice(values, (draws, len(values))).mean(1)
    return values.mean(), *np.percentile(means, (2.5, 97.5))


def values(lines, key):
    return [line[key] for line in lines if line.get(key) is not None]


def cell(lines, m, bar=True):
    v = values(lines, m.key)
    if not v:
        return '·'
    mean, low, high = interval(v)
    text = m.text(mean)
    text = f'**{text}**' if bar and m.missed(mean) else text
    return f'{text} ({m.text(low)} to {m.text(high)})' if len(v) > 1 else text


def table(head, rows):
    return '\n'.join(['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)] + ['| ' + ' | '.join(map(str, r)) + ' |' for r in rows])


def grouped(lines, title, key, names=None):
    "Means by what key gives, in the order of names"
    groups = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    order = [n for n in (names or sorted(groups)) if n in groups]
    rows = [[(names or {}).get(g, g) if isinstance(names, dict) else g, len(groups[g]), *(cell(groups[g], m) for m in MEASURES)] for g in order]
    return table([title, 'clips', *(m.name for m in MEASURES)], rows)


class Report:
    def __init__(self, build):
        self.lines = {}
        for system in SYSTEMS:
            path = build / 'results' / f'{system}.jsonl'
            if path.exists():
                self.lines[system] = [json.loads(line) for line in path.read_text().splitlines()]
        self.facts = json.loads((build / 'results/voice.facts.json').read_text())
        self.build = build

    def pick(self, system, kind='voice', condition=None):
        return [line for line in self.lines.get(system, []) if line['kind'] == kind and 'error' not in line
                and (condition is None or line['condition'] == condition)]

    # ---- tables

    def bars(self):
        rows, missed = [], []

        def add(name, m, found, others=('·', '·')):
            if not found:
                rows.append([name, m.bars(), 'not measured', '', *others])
                missed.append(f'{name}: not measured')
                return
            mean, low, high = interval(found) if len(found) > 1 else (found[0],) * 3
            verdict = 'missed' if m.missed(mean) else 'bar' if m.missed(mean, m.stretch) else 'stretch'
            if verdict == 'missed' and not m.missed(float(m.text(mean))):
                m = replace(m, digits=m.digits + 2)             # a near miss should look like one
            if verdict == 'missed':
                missed.append(f'{name}: {m.text(mean)}, wanted {"≤" if m.most else "≥"} {m.bar:g}')
            spread = f' ({m.text(low)} to {m.text(high)})' if len(found) > 1 else ''
            rows.append([name, m.bars(), m.text(mean) + spread, 'missed' if verdict == 'missed' else f'{verdict} met', *others])
        clean = {s: self.pick(s, condition='clean') for s in SYSTEMS}
        for m in MEASURES:
            name = 'similarity to built-in target' if m is SIM else m.name
            add(name, m, values(clean['voice'], m.key), [cell(clean[s], m, bar=False) for s in ('first', 'world')])
            if m is SIM:
                add(STRANGER.name, STRANGER, values(self.pick('voice', 'stranger'), 'sim'))
        add('algorithmic latency, ms', Measure('', '', 30, 20, 1, True), [self.facts['bench']['algorithmic_latency_ms']])
        add('CPU per second of audio, one core, s', Measure('', '', 0.20, 0.10, 3, True), [self.facts['bench']['voice_rtf_one_core']])
        add('model files, MB', Measure('', '', 20, 8, 1, True), [sum(self.facts['files_mb'].values())])
        head = ['Measure', 'Bar', 'Stretch', 'Found', 'Verdict', 'First voice', 'WORLD']
        return table(head, rows), missed

    def strangers(self):
        lines = self.pick('voice', 'stranger')
        if not lines:
            return 'This build takes no recording as a target (`convert --reference`), so nothing was measured.'
        rows = [[f'{line["clip"]} → {line["target"]}', f'{line["sex"]} → {line["target_sex"]}', *(STRANGER.text(line[k]) for k in ('sim', 'sim_given', 'sim_parts')),
                 *(m.text(line[m.key]) if line.get(m.key) is not None else '·' for m in MEASURES[1:])] for line in lines]
        mean = ['**mean**', '', *(cell(lines, Measure(k, '', 0, 0), False) for k in ('sim', 'sim_given', 'sim_parts')), *(cell(lines, m, False) for m in MEASURES[1:])]
        return table(['clip → target', 'sex', 'similarity', 'to the part given', "target's own parts", *(m.name for m in MEASURES[1:])], rows + [mean])

    def shifts(self):
        rows = [[line['clip'], f'{line["semitones"]:+d}', f'{line["shift"] / 100:+.2f}' if 'shift' in line else 'no pitch found',
                 *(m.text(line[m.key]) if line.get(m.key) is not None else '·' for m in MEASURES[2:])] for line in self.pick('voice', 'shift')]
        return table(['clip', 'semitones asked', 'found', *(m.name for m in MEASURES[2:])], rows)

    def signal(self):
        rows = []
        for system, name in SYSTEMS.items():
            lines = self.pick(system)
            if lines:
                gaps = np.array(values(lines, 'gap'))
                gain = np.array(values(lines, 'lufs')) - np.array(values(lines, 'lufs_source'))
                rows.append([name, len(lines), f'{np.mean(gaps > 20):.0%}', f'{gaps.max()}', f'{np.mean(np.abs(values(lines, "lag"))):.1f} · {np.abs(values(lines, "lag")).max()}',
                             f'{gain.mean():+.1f} ({gain.min():+.1f} to {gain.max():+.1f})', sum(values(lines, 'clipped')), sum(not line['finite'] for line in lines)])
        return table(['System', 'clips', 'with a hole over 20 ms', 'longest hole, ms', 'lag, ms: mean · most', 'loudness change, LU', 'samples clipped', 'not finite'], rows)

    def failures(self, count=8):
        "The worst, by whatever is worst about them: how far beyond the bar, in widths of the bar"
        def fault(line):
            faults = {'words': line.get('cer_added', 0) / 0.06, 'identity': (STRANGER.bar if line['kind'] == 'stranger' else SIM.bar) - line['sim'],
                      'hole': line['gap'] / 100, 'pitch': (0.95 - line.get('f0_corr', 0.95)) / 0.05}
            faults['identity'] *= 10
            return max(faults.items(), key=lambda f: f[1])
        lines = [line for line in self.lines['voice'] if 'error' not in line]
        worst = sorted(lines, key=lambda line: -fault(line)[1])[:count]
        rows = [[line['id'], line.get('voice') or line['target'], fault(line)[0], *(m.text(line[m.key]) if line.get(m.key) is not None else '·' for m in MEASURES[:5]), line['gap'],
                 line['said'], line['heard']] for line in worst if fault(line)[1] > 1]
        text = table(['clip', 'target', 'worst in', *(m.name for m in MEASURES[:5]), 'hole, ms', 'said', 'heard'], rows)
        broken = [f'- {line["id"]}: {line["error"]}' for line in self.lines['voice'] if 'error' in line]
        return text + ('\n\nNot converted at all:\n\n' + '\n'.join(broken) if broken else '')

    # ---- pictures

    def overview(self):
        figure, axes = plt.subplots(1, len(MEASURES), figsize=(14, 2.8))
        for axis, m in zip(axes, MEASURES):
            for i, system in enumerate(SYSTEMS):
                v = values(self.pick(system, condition='clean'), m.key)
                if v:
                    mean, low, high = interval(v)
                    axis.bar(i, mean, color=COLOURS[system], width=0.7)
                    axis.errorbar(i, mean, [[mean - low], [high - mean]], color='black', capsize=3, lw=1)
            axis.axhline(m.bar, color='#b00020', ls='--', lw=1)
            axis.set_title(m.name, fontsize=9)
            axis.set_xticks(range(len(SYSTEMS)), list(SYSTEMS.values()), rotation=35, ha='right', fontsize=8)
            axis.tick_params(axis='y', labelsize=8)
        return figure

    def weather(self):
        names = ['clean', *CONDITIONS]
        shown = [m for m in MEASURES if m.key in ('sim', 'cer_added', 'voicing', 'ovrl')]
        figure, axes = plt.subplots(len(shown), 1, figsize=(11, 7), sharex=True)
        for axis, m in zip(axes, shown):
            for k, system in enumerate(('voice', 'first')):
                for i, name in enumerate(names):
                    v = values(self.pick(system, condition=name), m.key)
                    if v:
                        axis.bar(i + (k - 0.5) * 0.38, np.mean(v), 0.36, color=COLOURS[system], label=SYSTEMS[system] if i == 0 else None)
                        axis.plot(np.full(len(v), i + (k - 0.5) * 0.38), v, '.', color='black', ms=3)
            axis.axhline(m.bar, color='#b00020', ls='--', lw=1)
            axis.set_ylabel(m.name, fontsize=8)
            axis.tick_params(labelsize=8)
        axes[0].legend(fontsize=8, ncol=2, loc='lower left')
        axes[-1].set_xticks(range(len(names)), names, fontsize=9)
        return figure

    def pairs(self):
        "Before and after: a woman to a male voice, a man to a female one, speech in noise, and the worst clip of all"
        lines = [line for line in self.pick('voice') if line['condition'] != 'whisper']
        cross = lambda sex, to: next((x for x in lines if x['condition'] == 'clean' and x['sex'] == sex and x['target_sex'] == to), None)
        chosen = [cross('F', 'male'), cross('M', 'female'), next((x for x in lines if x['condition'] == 'noise'), None),
                  max(lines, key=lambda x: x.get('cer_added') or 0)]
        chosen = [x for x in chosen if x]
        figure, axes = plt.subplots(2, len(chosen), figsize=(15, 5.4), sharey=True, squeeze=False)
        for column, line in zip(axes.T, chosen):
            source = self.build / 'clips' / line['file']
            made = self.build / 'converted/voice' / f'{line["id"]}.wav'
            active = A.levels(A.read(source, 24000)[0], 2400, 2400)
            start = 2400 * int(np.convolve(active > active.max() - 30, np.ones(30), 'valid').argmax())
            for axis, path, word in zip(column, (source, made), (line['id'], f'as {line["voice"]}')):
                audio = A.read(path, 24000)[0][start:start + 3 * 24000]
                axis.specgram(audio + 1e-6, NFFT=768, noverlap=576, Fs=24000, cmap='magma', vmin=-120, vmax=-30)
                axis.set_ylim(0, 10000)
                axis.set_title(word, fontsize=9)
                axis.tick_params(labelsize=7)
        return figure

    # ---- the page

    def voices(self):
        table_rows = []
        for v in sorted(self.facts['voices'], key=lambda v: v['median_hz']):
            lines = [line for line in self.pick('voice', condition='clean') if line['voice'] == v['name']]
            near = {k: x for k, x in self.facts['likeness'][v['name']].items() if k != v['name']}
            nearest = max(near, key=near.get) if near else ''
            table_rows.append([v['name'], v['sex'], f'{v["median_hz"]:.0f}', f'{nearest} {near[nearest]:.2f}' if near else '', self.facts['silence_dbfs'][v['name']], len(lines), *(cell(lines, m) for m in MEASURES)])
        return table(['voice', 'sex', 'median Hz', 'most like', 'silence, dBFS', 'clips', *(m.name for m in MEASURES)], table_rows)

    def page(self):
        found, missed = self.bars()
        lines, clean = self.pick('voice'), self.pick('voice', condition='clean')
        names = {'clean': 'clean', **{c: c for c in CONDITIONS}}
        return PAGE.format(
            version=self.facts['version'], processor=self.facts['processor'], bars=found, missed='\n'.join(f'- {m}' for m in missed) or 'Nothing.',
            clean=len(clean), conditions=len(lines) - len(clean), strangers=len(self.pick('voice', 'stranger')),
            files=', '.join(f'{k} {v:g} MB' for k, v in self.facts['files_mb'].items()),
            language=grouped(clean, 'language', lambda x: x['lang'], LANGUAGES), sex=grouped(clean, 'speaker → voice', lambda x: f'{SEXES[x["sex"]]} → {SEXES[x["target_sex"]]}'),
            cs_source=f"{np.mean(values([x for x in clean if x['lang'] == 'cs'], 'cer_source')):.0%}",
            condition=grouped(lines, 'condition', lambda x: x['condition'], names),
            before=grouped(self.pick('first'), 'condition', lambda x: x['condition'], names) if self.pick('first') else 'Not measured.',
            voices=self.voices(), zero_shot=self.strangers(), shifts=self.shifts(), signal=self.signal(), failures=self.failures())


PAGE = '''# The voice, measured

Written by `make judge` ({version}); do not edit. Every conversion is made by `autovoiced convert --separation none` with default settings otherwise, and measured by the
project's own judge: [infer/train/evaluate](../../../infer/train/evaluate/README.md) says how. Intervals are bootstrapped over clips (95 %);
**bold** is beyond the bar. [voice.jsonl](voice.jsonl) has every conversion, one a line, with what was said and what Whisper heard.

- {clean} clean clips of speakers never trained on (15 LibriSpeech speakers; English, Spanish and French prompts; Czech actors), the built-in voices in turn.
- {conditions} of them again under nine conditions, made by code with fixed seeds.
- {strangers} to a stranger's voice out of one recording (`--reference`). What they became is compared with another recording of the stranger, not with the one given.

## Against the bars

On the clean clips. First voice and WORLD (pitch ratio, formant warp, mean spectrum) take the same clips to the first voice's targets. CPU as `autovoiced bench` gives it on the machine that wrote this ({processor}): it is higher on a busy one. Model files: {files}.

{bars}

![measures against bars](voice-bars.png)

### What misses

{missed}

## By language

Whisper base listens. In Czech what the actors were given to say is the truth that CER is held against, of which Whisper gets {cs_source} of the letters of the source wrong already; elsewhere, where nothing is
written down, what it makes of the clean source. It sometimes repeats itself without end, which gives one clip a CER above 1.

{language}

## By sex of speaker and voice

{sex}

## By voice

Most like: the other built-in voice whose reference is most alike, to be under 0.75. Silence: the loudest sample made of digital silence, to be under −60.

{voices}

## By condition

Noise, babble and music are 10 dB below the voice; the room has 0.6 s of reverberation 3 dB below it; the microphone passes 300 to 3400 Hz and clips; child and low have pitch and formants times
1.3 and 0.8; whisper has no voicing; shout is bright and overloads by 10 dB. Words are held against the clean clip's, and so is pitch where it is the same. The source's
own CER is taken off; OVRL hears the background that is left, too. Three clips each: read the direction, not the digits.

{condition}

![conditions](voice-conditions.png)

The first voice, for comparison:

{before}

## Zero-shot

`autovoiced convert IN -o OUT --reference RECORDING`. *To the part given* is the similarity to the recording that the program heard, which is easier; *target's own parts* says how like the stranger's two
recordings are: no conversion can be expected above it.

{zero_shot}

## Pitch shifts

`--pitch N`, downwards from a child-like woman, upwards from a low man.

{shifts}

## Level, delay, holes

A hole is where the source speaks and the conversion is all but silent.

{signal}

## Before and after

Three seconds of each, 0 to 10 kHz: above the source, which has nothing over 8 kHz, below the conversion. Last, the clip whose words suffered most.

![before and after](voice-spectrograms.png)

## Failures

The worst of all conversions, whatever the condition.

{failures}
'''


def save(figure, path):
    "As a PNG of 128 colours, which is a third of the size"
    figure.tight_layout()
    raw = io.BytesIO()
    figure.savefig(raw, dpi=80)
    plt.close(figure)
    Image.open(raw).convert('RGB').quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


def main(build, docs):
    build, docs = Path(build), Path(docs)
    docs.mkdir(parents=True, exist_ok=True)
    report = Report(build)
    (docs / 'voice.md').write_text(report.page())
    with open(docs / 'voice.jsonl', 'w') as file:
        for system, lines in report.lines.items():
            for line in lines:
                file.write(json.dumps({'system': system, **{k: v for k, v in line.items() if k not in ('file', 'rtf')}}, ensure_ascii=False) + '\n')
    for name, figure in (('bars', report.overview()), ('conditions', report.weather()), ('spectrograms', report.pairs())):
        save(figure, docs / f'voice-{name}.png')
    print(f'{docs / "voice.md"}: ' + ', '.join(f'{len(v)} of {SYSTEMS[k]}' for k, v in report.lines.items()))


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
