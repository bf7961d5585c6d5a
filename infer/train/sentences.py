"""Writes sentences as IPA, one JSON object a line {"lang", "ipa"}, from Debian's fortune files and espeak-ng.

    python3 sentences.py OUT.jsonl COUNT        # needs apt: fortunes fortunes-{de,es,it,cs,pl,ru,eo} espeak-ng

Only the order of sounds is used, to make a synthetic voice speak; the texts themselves go no further.
"""
import json
import random
import re
import subprocess
import sys
from pathlib import Path

FORTUNES = Path('/usr/share/games/fortunes')
LANGUAGES = {'en-us': ['*.u8'], 'de': ['de/*'], 'es': ['es/*'], 'it': ['it/*', 'ital*', 'leggi', 'luttazzi'],
             'cs': ['cs/*', 'cz/*'], 'pl': ['pl/*'], 'ru': ['ru/*'], 'eo': ['eo/*']}
SHARE = {'en-us': 0.45, 'de': 0.13, 'es': 0.13, 'it': 0.08, 'cs': 0.06, 'pl': 0.06, 'ru': 0.05, 'eo': 0.04}


def texts(patterns):
    for pattern in patterns:
        for path in sorted(FORTUNES.glob(pattern)):
            if path.is_dir() or path.suffix == '.dat':
                continue
            text = path.read_text('utf-8', errors='ignore')
            for piece in re.split(r'\n%\n', text):
                piece = re.sub(r'\s+', ' ', re.sub(r'\n\s*(--|- |\[).*', ' ', piece))
                for sentence in re.split(r'(?<=[.!?])\s+', piece):
                    sentence = sentence.strip(' "\'()-*<>')
                    letters = sum(c.isalpha() or c in " ,.!?'" for c in sentence)
                    if 30 < len(sentence) < 140 and letters > 0.97 * len(sentence):
                        yield sentence


def speak(lang, sentences):
    done = subprocess.run(['espeak-ng', '-q', '--ipa', '-v', lang], input='\n\n'.join(sentences), capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        line = re.sub(r'\([a-z-]+\)', '', line).strip()
        if 30 < len(line) < 150:
            yield line


def main(out, count):
    rng, lines = random.Random(1), []
    for lang, patterns in LANGUAGES.items():
        found = sorted(set(texts(patterns)))
        rng.shuffle(found)
        want = int(int(count) * SHARE[lang])
        spoken = list(speak(lang, found[:2 * want]))[:want]
        print(lang, len(found), 'sentences,', len(spoken), 'used')
        lines += [{'lang': lang, 'ipa': ipa} for ipa in spoken]
    rng.shuffle(lines)
    Path(out).write_text(''.join(json.dumps(x, ensure_ascii=False) + '\n' for x in lines))


if __name__ == '__main__':
    main(*sys.argv[1:3])
