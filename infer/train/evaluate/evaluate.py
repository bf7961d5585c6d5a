"""Converts the clips of clips.py with a system and measures what came out: one line of JSON a conversion in OUT/results/NAME.jsonl.

    python3 evaluate.py CLIPS OUT [--systems voice first world] [--binary bin/autovoiced] [--model PACK.onnx] [--limit N]

Every voice that the binary has takes its turn, so that each is heard in each language and from both sexes alike. --model: another
pack in place of the bundled one, its voices' recordings in references/ beside it. The baselines are first, the program as it was
with its first voice (built from git), and world, WORLD with the first voice's targets. Conversions are made again when the program,
the clip or the wish has changed; measurements are remembered by the sound's content (OUT/memory).
"""
import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile as sf

import audio as A
import world
from conditions import KEEPS_PITCH
from measures import Measures

FIRST = '97e6765'                    # the last commit with the first voice
SHIFTS = (-24, -12, 12, 24)          # semitones; downwards from a child-like woman, upwards from a low man: CREPE hears 50 to 1000 Hz
ROOT = Path(__file__).resolve().parents[3]


def digest(*parts):
    h = hashlib.sha256()
    for p in parts:
        h.update(p.read_bytes() if isinstance(p, Path) else repr(p).encode())
    return h.hexdigest()[:32]


class Program:
    "A build of autovoiced, with its built-in settings, and the voices that are to be judged."
    weathers = True

    def __init__(self, binary, out):
        self.binary = binary.resolve()
        self.cwd = tempfile.mkdtemp()                           # no config.yaml here
        listed = json.loads(self.call('voices', '--json'))
        self.voices = {v['name']: {'sex': '', 'median_hz': 0, **v} for v in listed if v['reference']}
        self.call('voices', '--references', out / 'references')
        self.references = {name: [out / 'references' / f'{name}.wav'] for name in self.voices}
        known = self.call('convert', '--help')
        self.strangers = '--reference' in known
        # The voice is what is judged, so nothing is kept beside it. The first program knew neither songs nor results.
        self.alone = ['--separation', 'none', '--results', '', '--samples'] if '--separation' in known else ['--format']
        self.identity = digest(self.binary)

    def call(self, *arguments):
        done = subprocess.run([self.binary, *map(str, arguments)], cwd=self.cwd, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr or done.stdout).strip().replace(f'{ROOT}/', ''))
        return done.stdout

    def convert(self, job, source, made):
        wish = ['--reference', job['given']] if 'given' in job else ['--voice', job['voice']]
        wish += [f'--pitch={job["semitones"]}'] if 'semitones' in job else []
        said = self.call('convert', source, '-o', made, '--quiet', *wish, *self.alone, 's24')
        return {'rtf': float(re.search(r'RTF ([0-9.]+)', said)[1])}

    def key(self, job):
        return (self.identity, job.get('voice'), job.get('semitones'), job['given'].read_bytes() if 'given' in job else '')


class World:
    "The baseline in place of a program; it takes the voices and references of one."
    strangers, weathers = False, False                          # clean clips to built-in voices are enough for scale

    def __init__(self, program):
        self.voices, self.references = program.voices, program.references

    def convert(self, job, source, made):
        sf.write(made, world.convert(source, self.references[job['voice']][0]), A.RATE, subtype='PCM_24')
        return {}

    def key(self, job):
        return (Path(world.__file__).read_bytes(), self.references[job['voice']][0].read_bytes())


def plan(clips, folder, system, shifts):
    "Who speaks what as whom. Voices take turns within each language and sex."
    jobs, turns = [], Counter()
    names = sorted(system.voices)

    def turn(clip):
        group = (clip['condition'] == 'clean', clip['lang'], clip['sex'])
        voice = min(names, key=lambda v: (turns[group, v], turns[v], names.index(v)))
        turns[group, voice] += 1
        turns[voice] += 1
        return voice
    for clip in clips:
        if 'target' not in clip and (system.weathers or clip['condition'] == 'clean'):
            voice = turn(clip)
            jobs.append({**clip, 'kind': 'voice', 'voice': voice, 'target_sex': system.voices[voice]['sex']})
        elif 'target' in clip and system.strangers:
            part = lambda which: folder / 'references' / f'{clip["target"]}-{which}.flac'
            jobs.append({**clip, 'kind': 'stranger', 'given': part('given'), 'measured': part('measured')})
    for i, semitones in enumerate(shifts):
        where = ('child', 'F') if semitones < 0 else ('low', 'M')
        clip = next(c for c in clips if (c['condition'], c['sex']) == where)
        jobs.append({**clip, 'id': f'{clip["clip"]}-shift{semitones:+d}', 'condition': f'shift{semitones:+d}', 'kind': 'shift', 'semitones': semitones,
                     'voice': names[i % len(names)], 'target_sex': system.voices[names[i % len(names)]]['sex']})
    return jobs


def convert(system, job, source, made):
    "Converts unless it was done before -> what the system said of it"
    note, key = made.with_suffix('.json'), digest(source, system.key(job))
    if made.exists() and note.exists():
        before = json.loads(note.read_text())
        if before['key'] == key:
            return before['said']
    said = system.convert(job, source, made)
    note.write_text(json.dumps({'key': key, 'said': said}))
    return said


def one(system, measures, clips, folder, job):
    "One conversion, made and measured -> its line"
    given, clean, made = clips / job['file'], clips / f'{job["clip"]}.flac', folder / f'{job["id"]}.wav'
    line = {k: v for k, v in job.items() if k not in ('given', 'measured', 'speaker', 'text')}
    try:
        line.update(convert(system, job, given, made))
        target = [job['measured']] if 'measured' in job else system.references[job['voice']]
        line.update(measures.compare(given, made, target, job['lang'], sung=clean if job['condition'] in KEEPS_PITCH else given, spoken=clean, text=job.get('text')))
        if 'given' in job:
            heard = measures.speaker(job['given'])
            line['sim_given'] = round(float(heard @ measures.speaker(made)), 4)
            line['sim_parts'] = round(float(heard @ measures.speaker(job['measured'])), 4)
    except RuntimeError as error:
        line['error'] = str(error)
    return line


def silence(program, folder):
    "dBFS of the loudest sample that each voice makes of three seconds of digital silence"
    quiet, made, found = folder / 'silence.wav', folder / 'silence-out.wav', {}
    sf.write(quiet, np.zeros(3 * A.RATE), A.RATE, subtype='PCM_16')
    for name in program.voices:
        program.call('convert', quiet, '-o', made, '--voice', name, '--quiet', *program.alone, 'f32')
        found[name] = round(float(20 * np.log10(np.abs(A.read(made, None)[0]).max() + 1e-10)), 1)
    return found


def evaluate(name, system, args, measures, shifts=()):
    folder = args.out / 'converted' / name
    folder.mkdir(parents=True, exist_ok=True)
    listed = [json.loads(line) for line in (args.clips / 'clips.jsonl').read_text().splitlines()]
    jobs = plan(listed, args.clips, system, shifts)[:args.limit]
    begun, lines = time.time(), []
    with ThreadPoolExecutor(args.jobs) as pool:
        for line in pool.map(lambda job: one(system, measures, args.clips, folder, job), jobs):
            lines.append(line)
            print(f'{name} {len(lines)}/{len(jobs)} {line["id"]}: ' + (line.get('error') or
                  f'similarity {line["sim"]:.2f} moved {line["moved"]:.2f} CER {line["cer"]:.2f} OVRL {line["ovrl"]:.2f}'), file=sys.stderr)
    (args.out / 'results' / f'{name}.jsonl').write_text(''.join(json.dumps(line, ensure_ascii=False) + '\n' for line in lines))
    failed = [line for line in lines if 'error' in line]
    if shifts and not system.strangers:
        print(f'{name}: this build has no convert --reference, so no stranger was a target', file=sys.stderr)
    print(f'{name}: {len(lines) - len(failed)} conversions measured, {len(failed)} failed, {time.time() - begun:.0f} s', file=sys.stderr)
    return folder


def facts(program, measures, folder, args):
    "What is said of the program as a whole"
    who = {name: measures.speaker(*paths) for name, paths in program.references.items()}
    files = ([args.model] if args.model else packs()) + list((ROOT / 'infer/voices').glob('speaker.onnx'))
    return {'version': program.call('--version').strip(), 'voices': list(program.voices.values()), 'silence_dbfs': silence(program, folder),
            'likeness': {a: {b: round(float(who[a] @ who[b]), 3) for b in who} for a in who},
            'files_mb': {f.name: round(f.stat().st_size / 1e6, 2) for f in files}, 'bench': json.loads(program.call('bench', '--json')),
            'processor': re.search(r'model name\s*: (.*)', Path('/proc/cpuinfo').read_text())[1]}


def packs():
    "The bundled voices' files"
    return [f for f in sorted((ROOT / 'infer/voices').glob('*.onnx')) if f.stem not in ('passthrough', 'speaker')]


def built_with(model, out):
    "The program with another pack, and the recordings in references/ beside it, in place of the bundled one -> its binary"
    old, voices = packs(), ROOT / 'infer/voices'
    replaced = {str(f): '' for f in old} | {str(old[0]): str(model)}
    replaced.update({str(voices / 'references' / f.name): str(f) for f in (model.parent / 'references').glob('*.flac')})
    overlay, binary = out / 'overlay.json', out / 'autovoiced'
    overlay.write_text(json.dumps({'Replace': replaced}))
    subprocess.run(['go', 'build', '-buildvcs=false', '-overlay', overlay, '-o', binary, './daemon/autovoiced'], cwd=ROOT, check=True)
    return binary


def first(out):
    "The program as it was with its first voice, built from git -> its binary, or None where history does not reach that far"
    tree = out / 'first'
    binary = tree / 'bin/autovoiced'
    if not binary.exists():
        tree.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(['git', '-C', ROOT, 'archive', FIRST], capture_output=True)
        if archive.returncode:
            print(f'the first voice is left out: commit {FIRST} is not in this clone', file=sys.stderr)
            return None
        subprocess.run(['tar', '-x', '-C', tree], input=archive.stdout, check=True)
        subprocess.run(['go', 'build', '-buildvcs=false', '-o', binary, './daemon/autovoiced'], cwd=tree, check=True)
    return binary


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('clips', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--systems', nargs='+', choices=('voice', 'first', 'world'), default=['voice'])
    p.add_argument('--binary', type=Path, default=ROOT / 'bin/autovoiced')
    p.add_argument('--model', type=Path)
    p.add_argument('--limit', type=int)
    p.add_argument('--jobs', type=int, default=2, help='conversions at a time')
    args = p.parse_args()
    args.clips, args.out = args.clips.resolve(), args.out.resolve()
    (args.out / 'results').mkdir(parents=True, exist_ok=True)
    measures = Measures(args.out)
    if 'voice' in args.systems:
        program = Program(built_with(args.model.resolve(), args.out) if args.model else args.binary, args.out / 'voice')
        folder = evaluate('voice', program, args, measures, SHIFTS)
        (args.out / 'results/voice.facts.json').write_text(json.dumps(facts(program, measures, folder, args), indent=1))
    if {'first', 'world'} & set(args.systems) and (binary := first(args.out)):
        program = Program(binary, args.out / 'first')
        if 'first' in args.systems:
            evaluate('first', program, args, measures)
        if 'world' in args.systems:
            evaluate('world', World(program), args, measures)


if __name__ == '__main__':
    main()
