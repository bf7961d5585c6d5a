"""Several processes that learn as one: `torchrun --nproc-per-node 2 train.py …` starts one for each GPU; alone, all of this does nothing."""
import os

import torch
import torch.distributed as dist

RANK, COUNT = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))


def join():
    "-> this process's device"
    device = torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0))) if torch.cuda.is_available() else torch.device('cpu')
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    if COUNT > 1:
        dist.init_process_group('nccl' if device.type == 'cuda' else 'gloo')
    return device


def mean(tensor):
    "makes it the mean of everybody's"
    if COUNT > 1:
        dist.all_reduce(tensor)
        tensor /= COUNT


def follow(values, device):
    "-> the first process's values, floats"
    if COUNT == 1:
        return values
    told = torch.tensor(values, dtype=torch.float64, device=device)
    dist.broadcast(told, 0)
    return told.tolist()


def leave():
    if COUNT > 1:
        dist.destroy_process_group()
