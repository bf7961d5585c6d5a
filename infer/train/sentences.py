"""Writes utterances as IPA, one JSON object a line {"lang", "ipa"}, from Debian's word lists and fortune files and espeak-ng.

    python3 sentences.py OUT.jsonl COUNT        # the packages of README.md's step 1

Only the order of sounds is used, to make a synthetic voice speak; the texts themselves go no further. A word list knows
every inflection of a language, so words drawn at random hold more sound sequences than running text of the same length.
"""
import collections
import json
import random
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

SHARE = Path('/usr/share')
WORD = r'^[^\W\d_][\w\u0900-\u0963]{1,12}(?=[/\s]|$)'      # the range: Devanagari's vowel signs, no letters to Python
KANA = r'[ぁ-んァ-ヶー]{2,7}'
LANGUAGES = {  # voice of espeak-ng: (share of the lines, word list, its encoding, a word there, fortune files)
    'en-us': (0.21, 'dict/american-english', 'utf-8', WORD, '*.u8'),
    'en-gb': (0.05, 'dict/american-english', 'utf-8', WORD, '*.u8'),
    'fr-fr': (0.04, 'dict/french', 'utf-8', WORD, ''),    # few: Kokoro's Japanese voices mangle it (Whisper: CER 0.55)
    'de': (0.07, 'dict/ngerman', 'utf-8', WORD, 'de/*'),
    'es': (0.09, 'dict/spanish', 'utf-8', WORD, 'es/*'),
    'it': (0.05, 'dict/italian', 'utf-8', WORD, 'it/*'),
    'pt-br': (0.05, 'dict/portuguese', 'utf-8', WORD, 'brasil'),
    'pt': (0.02, 'dict/portuguese', 'utf-8', WORD, ''),
    'nl': (0.04, 'dict/dutch', 'utf-8', WORD, ''),
    'sv': (0.03, 'dict/swedish', 'latin-1', WORD, ''),
    'nb': (0.02, 'dict/bokmaal', 'latin-1', WORD, ''),
    'pl': (0.07, 'dict/polish', 'utf-8', WORD, 'pl/*'),
    'cs': (0.08, 'hunspell/cs_CZ.dic', 'utf-8', WORD, 'cs/*'),
    'ru': (0.06, 'hunspell/ru_RU.dic', 'utf-8', WORD, 'ru/*'),
    'tr': (0.03, 'hunspell/tr_TR.dic', 'utf-8', WORD, ''),
    'el': (0.02, 'hunspell/el_GR.dic', 'iso8859-7', WORD, ''),
    'hu': (0.03, 'hunspell/hu_HU.dic', 'utf-8', WORD, ''),
    'hi': (0.02, 'hunspell/hi_IN.dic', 'utf-8', WORD, ''),
    'ja': (0.02, 'edict/edict', 'euc-jp', KANA, ''),
}
SHORT = 0.05                                               # of the lines: a few words, numbers, letters, interjections
INTERJECTIONS = 'ˈɑ ˈO ˈu ˈə ˈɛ mː hˈɑ ˈɑhˈɑ mhˈm ˈʌʔə ˈup ˈups wˈW jˈɛ nˈA hˈI hˈA bˈu ʃː pst ˈf ˈɔf ˈA ʦˈk bʁː hˈɑhˈɑhˈɑ hˈihˈi jˈupi'.split()

KNOWN = set(' ,.!?;…ˈˌːʰʲ\u0303ᵊᵝʣʤʥʦʧʨAIOQWYabcdefhijklmnopqrstuvwxyzɐɑɒæβɔɕçɖðəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʊʋʌɣɤχʎʒʔᵻ')
LIGATURES = {'t^ʃ': 'ʧ', 'd^ʒ': 'ʤ', 't^s': 'ʦ', 'd^z': 'ʣ', 't^ɕ': 'ʨ', 'd^ʑ': 'ʥ',
             'a^ɪ': 'I', 'a^ʊ': 'W', 'e^ɪ': 'A', 'o^ʊ': 'O', 'ə^ʊ': 'Q', 'ɔ^ɪ': 'Y', 'r̝̊': 'rʃ', 'r̝': 'rʒ', 'r.': 'ɽ', 'c\u0327': 'ç'}
NEAREST = str.maketrans('ʑʐʏʉɵɫɬɭɦħɱʀʍʕɺʱɧɶg', 'ʒʒyuølllhhmʁwʔɾʰʃœɡ', '^"\u0308\u031e\u032a')  # what Kokoro does not know -> what it does
AMERICAN = {'ɜː': 'ɜɹ', 'ɚɹ': 'əɹ', 'ɚ': 'əɹ', 'ː': ''}                # Kokoro's English has no length marks


def sentences(pattern):
    paths = sorted((SHARE / 'games/fortunes').glob(pattern)) if pattern else []
    for path in (p for p in paths if p.is_file() and p.suffix != '.dat'):
        for piece in re.split(r'\n%\n', path.read_text('utf-8', errors='ignore')):
            piece = re.sub(r'\s+', ' ', re.sub(r'\n\s*(--|- |\[).*', ' ', piece))
            for sentence in re.split(r'(?<=[.!?])\s+', piece):
                sentence = sentence.strip(' "\'()-*<>')
                if 30 < len(sentence) < 140 and sum(c.isalpha() or c in " ,.!?'" for c in sentence) > 0.97 * len(sentence):
                    yield sentence


def brief(rng, known, letters):
    return rng.choice([' '.join(rng.sample(known, rng.randint(1, 4))), str(rng.randrange(10 ** rng.randint(1, 5))),
                       ' '.join(rng.sample(letters, rng.randint(1, 4)))])


def speak(voice, texts, heard):
    "-> one clause in Kokoro's alphabet after another; heard counts the characters before it drops what is not in it"
    done = subprocess.run(['espeak-ng', '-q', '--ipa', '--tie=^', '-v', voice], input='\n\n'.join(texts), capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        line = unicodedata.normalize('NFD', re.sub(r'\([^)]*\)|-', '', line).strip())
        for old, new in {**LIGATURES, **(AMERICAN if voice == 'en-us' else {})}.items():
            line = line.replace(old, new)
        line = re.sub('(.)\u0329', r'ᵊ\1', line).translate(NEAREST)
        heard.update(line)
        line = ''.join(c for c in line if c in KNOWN)
        if 0 < len(line) < 148:
            yield line


def utterances(rng, clauses):
    "Joins neighbouring clauses to lines of 20 to 150 characters, with marks that make pauses and melody."
    line = next(clauses, '')
    for clause in clauses:
        if len(line) + len(clause) < 148 and (len(line) < 20 or rng.random() < 0.4):
            line += rng.choice([', ', ', ', '; ', '. ', '! ', '? ', '… ']) + clause
            continue
        if len(line) >= 20:
            yield line + rng.choice('...!?…')
        line = clause


def draw(rng, known, found, count):
    "Half sentences, where there are any, the rest words at random"
    some = rng.sample(found, min(count // 2, len(found)))
    some += [' '.join(rng.sample(known, rng.randint(6, 14)))[:110].rsplit(' ', 1)[0] for _ in range(count - len(some))]
    return rng.sample(some, count)


def main(out, count):
    rng, lines = random.Random(1), []
    for voice, (share, path, encoding, pattern, fortunes) in LANGUAGES.items():
        known = sorted(set(re.findall(pattern, (SHARE / path).read_bytes().decode(encoding, 'ignore'), re.M)))
        found, heard = sorted(set(sentences(fortunes))), collections.Counter()
        letters = sorted({c for word in rng.sample(known, 2000) for c in word.lower() if c.isalpha()})
        want, few = round(int(count) * share), round(int(count) * share * SHORT)
        shorts = list(speak(voice, [brief(rng, known, letters) for _ in range(6 * few)], heard))
        shorts = rng.sample(shorts + INTERJECTIONS * 2, len(shorts))
        spoken = list(utterances(rng, iter(shorts)))[:few]
        spoken += list(utterances(rng, speak(voice, draw(rng, known, found, 2 * want), heard)))[:want - len(spoken)]
        lost = {c: n for c, n in heard.items() if c not in KNOWN}
        print(f'{voice}: {len(known)} words, {len(found)} sentences, {len(spoken)} lines; not in the alphabet: {sum(lost.values()) / heard.total():.2%} {lost}')
        lines += [{'lang': voice, 'ipa': ipa} for ipa in spoken]
    rng.shuffle(lines)
    Path(out).write_text(''.join(json.dumps(x, ensure_ascii=False) + '\n' for x in lines))


if __name__ == '__main__':
    main(*sys.argv[1:3])
