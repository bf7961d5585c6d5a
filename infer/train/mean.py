"""The mean of a voice and of what a training that went on from it has made: more of what the two agree on than either has.

    python3 mean.py FIRST.onnx SECOND.pt OUT.pt [--share 0.5]      # share: of the second
"""
import argparse

import torch

from pack import load


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('first')
    p.add_argument('second')
    p.add_argument('out')
    p.add_argument('--share', type=float, default=0.5)
    args = p.parse_args()
    before, after = load(args.first)[0].state_dict(), torch.load(args.second, map_location='cpu', weights_only=False)
    after['voice'] = {k: v if k.startswith('teacher.') else torch.lerp(before[k], v.float(), args.share).half() for k, v in after['voice'].items()}
    torch.save(after, args.out)


if __name__ == '__main__':
    main()
