"""Writes the live separator as a pack: one ONNX file that runs a hop, with its contract in the metadata.

    python3 export.py sieve.pt OUT.onnx [LEAK]      # LEAK of the mixture is let through, 0.2 unless told
    python3 export.py --untrained OUT.onnx          # of chance, to try programs with

Matrices lie in seven bits, which a core reads and multiplies in half the time; the other weights in half precision, which is what
training rounded them to. The file is held against PyTorch before it is kept.
"""
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

sys.path.insert(0, str(Path(__file__).parent.parent))
import export as pack  # noqa: E402  (the voice's)
from model import BINS, HEARD, HOP, LATE, RATE, SIZE, Sieve, Step  # noqa: E402

SOURCES = ['LibriSpeech train-clean-100 (236 speakers, one utterance each), CC BY 4.0: speech, and singing made of it with WORLD (BSD)',
           'music composed by infer/train/separate/compose.py, played by FluidSynth with the FluidR3 GM sound font, MIT',
           'noises synthesised while training', 'Whisper base, MIT: teacher of words; not part of the pack']
MORE = 'Kokoro-82M, Apache-2.0: synthesised speech'   # where the training had it

FAR = -30                                       # dB of the largest value of a mask that rounding may cost, on noise


def contract(step, name, more):
    return {'format': 1, 'kind': 'separator', 'name': name, 'sample_rate_in': RATE, 'sample_rate_out': RATE, 'hop_in': HOP, 'hop_out': HOP,
            'lookahead_ms': 1000 * LATE / RATE, 'state': step.first_state().numel(), 'spectrum': {'size': SIZE, 'synthesised': HEARD, 'bins': BINS, 'scale': 1 / 16},
            'licence': 'Apache-2.0', 'made_by': 'infer/train/separate', 'sources': [*SOURCES, MORE] if more else SOURCES}


def trace(step):
    """-> a GraphProto, constants folded, matrices rounded. To seven bits: eight times eight overflow in the sums of processors that have
    AVX2 and no VNNI."""
    with tempfile.TemporaryDirectory() as d:
        torch.onnx.export(step, (torch.randn(1, 2, BINS), step.first_state()), f'{d}/traced.onnx', input_names=['spectrum', 'state'],
                          output_names=['mask', 'state_out'], opset_version=pack.OPSET, dynamo=False)
        options = ort.SessionOptions()
        options.graph_optimization_level, options.optimized_model_filepath = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC, f'{d}/folded.onnx'
        ort.InferenceSession(f'{d}/traced.onnx', options, providers=['CPUExecutionProvider'])
        quantize_dynamic(f'{d}/folded.onnx', f'{d}/rounded.onnx', op_types_to_quantize=['MatMul'], per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        return pack.clean(onnx.load(f'{d}/rounded.onnx').graph, 'separator')


def compare(step, model, hops=300):
    "-> how far ONNX Runtime is from PyTorch after so many hops, dB of the largest value of a mask"
    session = ort.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    want, got, far, loudest = step.first_state(), step.first_state().numpy(), 0.0, 1e-9
    with torch.no_grad():
        for _ in range(hops):
            spectrum = torch.randn(1, 2, BINS) * 0.02
            mask, want = step(spectrum, want)
            again, got = session.run(None, {'spectrum': spectrum.numpy(), 'state': got})
            far, loudest = max(far, float(np.abs(again - mask.numpy()).max())), max(loudest, float(mask.abs().max()))
    return 20 * math.log10(far / loudest + 1e-12)


def main(weights, out, leak=0.2):
    if weights == '--untrained':
        torch.manual_seed(5)
        kept = {}
        sieve = Sieve(16, 4, [1, 2])
    else:
        kept = torch.load(weights, map_location='cpu')
        sieve = Sieve(**kept['shape'])
        sieve.load_state_dict(kept['sieve'])
    with torch.no_grad():
        for p in sieve.parameters():
            p.copy_(p.half().float())
    step = Step(sieve.eval(), float(leak))
    model = onnx.helper.make_model(trace(step), opset_imports=[onnx.helper.make_opsetid('', pack.OPSET)], ir_version=8, producer_name='autovoiced', producer_version='2')
    onnx.helper.set_model_props(model, {'autovoiced': json.dumps(contract(step, Path(out).stem, kept.get('more')))})
    onnx.checker.check_model(model, full_check=True)
    difference = compare(step, model)
    onnx.save(model, out)
    print(f'{out}: {model.ByteSize() / 1e6:.2f} MB, {len(model.graph.node)} nodes, {sum(p.numel() for p in sieve.parameters())} weights, '
          f'state {step.first_state().numel()}; largest difference to PyTorch {difference:.0f} dB')
    return difference > FAR


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:4]))
