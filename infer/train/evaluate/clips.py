"""Gathers the clips that the voices are judged on, with what is said in them where that is written down. None of their speakers is trained on.

    python3 clips.py LIBRISPEECH OUT [--kept 15] [--packages FOLDER]

OUT/clips.jsonl lists what is to be converted: clean speech, the same under each of conditions.ALL, and clean speech with a stranger's
recording for a target. Sources: the speakers that real.py keeps out of LIBRISPEECH (train-clean-100, FLAC files and SPEAKERS.TXT);
Asterisk's prompts, Fish Fillets' Czech dialogue and a rock album out of Debian packages, fetched unless --packages has them unpacked.
"""
import argparse
import json
import re
import subprocess
from pathlib import Path

import av
import numpy as np
import soundfile as sf

import audio as A
import conditions

PACKAGES = ('asterisk-core-sounds-en-g722', 'asterisk-core-sounds-es-g722', 'asterisk-core-sounds-fr-g722', 'fillets-ng-data-cs',
            'fillets-ng-data', 'fretsonfire-songs-sectoid')
SECONDS = 8                          # of a clip, at most; one whose words are written down is not cut

# Prompts and lines of 6 to 10 s. In Fish Fillets the small fish is a woman and the large one a man.
PROMPTS = {'en': ('en_US_f_Allison', ['vm-instructions']), 'es': ('es_MX_f_Allison', ['agent-alreadyon', 'dir-instr', 'vm-forward']),
           'fr': ('fr_CA_f_June', ['tt-allbusy', 'vm-opts', 'vm-intro'])}
DIALOGUE = {'F': ['cabin2/cs/ka2-m-patrne', 'labyrinth/cs/bl-m-funkce'],
            'M': ['cabin1/cs/k1-v-citis', 'emulator/cs/zx-v-pamet', 'stairs/cs/sch-v-setkani']}

# Whom to sound like from one recording: strangers with enough to say, none the speaker of the clip. The first part is given to the
# program, the rest measures how like it became.
STRANGERS = ['8312', '8324', '8465', '8468', '8609', '8419', '8770', '8838']
OTHERS = {'june': ['fr_CA_f_June/queue-periodic-announce', 'fr_CA_f_June/vm-instructions', 'fr_CA_f_June/vm-forwardoptions'],
          'allison': ['es_MX_f_Allison/vm-opts', 'es_MX_f_Allison/vm-instructions', 'es_MX_f_Allison/vm-forward-multiple'],
          'small-fish': ['wc/cs/wc-m-sochar', 'windoze/cs/win-m-vga', 'reactor/cs/rea-m-cojavim'],
          'large-fish': ['dump/cs/sm-v-podivej', 'cannons/cs/del-v-dve', 'warcraft/cs/war-v-blizzard']}


def packages(into, names=PACKAGES):
    "Debian packages, unpacked and not installed -> their share folder"
    for name in names:
        if not (into / 'usr/share/doc' / name).is_dir():
            into.mkdir(parents=True, exist_ok=True)
            subprocess.run(['apt-get', '-qq', 'download', name], cwd=into, check=True)
            subprocess.run(['dpkg-deb', '-x', next(into.glob(f'{name}_*.deb')), into], check=True)
    return into / 'usr/share'


def decode(path):
    "Any file -> mono at A.RATE"
    if path.suffix == '.g722':
        with av.open(str(path), format='g722') as file:
            return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)]).astype(np.float32) / 32768
    return A.read(path)[0]


class Gathering:
    def __init__(self, out, libri, kept, share):
        self.out, self.clips, self.sounds = out, [], {}
        self.asterisk, self.fish = share / 'asterisk/sounds', share / 'games/fillets-ng'
        self.files = sorted(libri.glob('*.flac'), key=lambda f: int(f.name.split('-')[0]))
        self.people = sorted({f.name.split('-')[0] for f in self.files}, key=int)
        self.kept = self.people[-kept:]
        self.sexes = dict(re.findall(r'^(\d+)\s*\|\s*([FM])', (libri / 'SPEAKERS.TXT').read_text(), re.M))
        (out / 'references').mkdir(parents=True, exist_ok=True)

    def utterance(self, person):
        return decode(next(f for f in self.files if f.name.startswith(person + '-')))

    def other(self, name):
        return decode(self.asterisk / f'{name}.g722' if '_' in name.split('/')[0] else self.fish / 'sound' / f'{name}.ogg')

    def written(self, name):
        "What an actor was given to say: dialogId(\"line\", …) and below it dialogStr(\"words\")."
        level, lang, line = name.split('/')
        script = (self.fish / 'script' / level / f'dialogs_{lang}.lua').read_text()
        return re.search(rf'dialogId\("{line}".*\n+dialogStr\("(.*)"\)', script)[1]

    def add(self, sound, clip, condition='clean', **more):
        name = clip if condition == 'clean' else f'{clip}-{condition}'
        file = self.out / f'{name}.flac'
        sf.write(file, sound, A.RATE, subtype='PCM_16')
        self.clips.append({'id': name, 'clip': clip, 'file': file.name, 'condition': condition, **more})

    def clean(self):
        for person in self.kept:
            self.keep(self.utterance(person), f'en-{person}', lang='en', sex=self.sexes[person], speaker=person)
        for lang, (folder, names) in PROMPTS.items():
            for name in names:
                self.keep(self.other(f'{folder}/{name}'), f'{lang}-{name}', lang=lang, sex='F', speaker=folder.split('_')[-1].lower())
        for sex, names in DIALOGUE.items():
            for name in names:
                self.keep(self.other(name), f'cs-{name.split("/")[-1]}', lang='cs', sex=sex, speaker='small-fish' if sex == 'F' else 'large-fish',
                          text=self.written(name))

    def keep(self, sound, clip, **more):
        self.sounds[clip] = sound if 'text' in more else sound[:SECONDS * A.RATE]
        self.add(self.sounds[clip], clip, **more)

    def conditions(self, share):
        "Each condition meets one English woman or man, one other language and one man, a different three each time."
        background = {'babble': [self.utterance(p) for p in self.people[:12]],
                      'music': [decode(f) for f in sorted((share / 'games/fretsonfire').rglob('song.ogg'))]}
        base = list(self.clips)
        groups = [[c for c in base if c['lang'] == 'en' and c['sex'] == 'F'], [c for c in base if c['lang'] == 'en' and c['sex'] == 'M'],
                  [c for c in base if c['lang'] != 'en']]
        for i, name in enumerate(conditions.ALL):
            for k, group in enumerate(groups):
                c = group[(2 * i + k) % len(group)]
                made = conditions.apply(name, c['clip'], self.sounds[c['clip']], background)
                self.add(made, c['clip'], name, **{k: v for k, v in c.items() if k in ('lang', 'sex', 'speaker', 'text')})

    def strangers(self):
        given = {}
        for person in STRANGERS:
            whole = self.utterance(person)
            given[person] = (whole[:len(whole) * 2 // 3], whole[len(whole) * 2 // 3:], self.sexes[person])
        for name, lines in OTHERS.items():
            *heard, rest = map(self.other, lines)
            given[name] = np.concatenate(heard), rest, 'M' if name == 'large-fish' else 'F'
        base = [c for c in self.clips if c['condition'] == 'clean']
        for i, (name, (first, rest, sex)) in enumerate(given.items()):
            for part, sound in (('given', first), ('measured', rest)):
                sf.write(self.out / 'references' / f'{name}-{part}.flac', sound, A.RATE, subtype='PCM_16')
            c = next(c for c in base[(5 * i) % len(base):] + base if c['speaker'] != name and (c['sex'] == sex) == (i % 2 == 0)
                     and not any(x.get('target') and x['clip'] == c['clip'] for x in self.clips))
            self.clips.append({**c, 'id': f'{c["id"]}-as-{name}', 'target': name, 'target_sex': sex})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('librispeech', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--kept', type=int, default=15, help="as real.py's")
    p.add_argument('--packages', type=Path, help='folder that the packages are, or will be, unpacked in')
    args = p.parse_args()
    out = args.out.resolve()
    share = packages((args.packages or out / 'packages').resolve())
    gathering = Gathering(out, args.librispeech, args.kept, share)
    gathering.clean()
    gathering.conditions(share)
    gathering.strangers()
    (out / 'clips.jsonl').write_text(''.join(json.dumps(c) + '\n' for c in gathering.clips))
    count = lambda test: sum(map(bool, map(test, gathering.clips)))
    print(f'{count(lambda c: c["condition"] == "clean" and "target" not in c)} clean clips, {count(lambda c: c["condition"] != "clean")} '
          f'under {len(conditions.ALL)} conditions, {count(lambda c: "target" in c)} for strangers as targets')


if __name__ == '__main__':
    main()
