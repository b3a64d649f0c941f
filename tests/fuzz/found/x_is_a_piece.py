"""x that is itself a piece (the output of a chunk or an unbind, as where a network is measured behind a split), and a
stream that starts behind a weight: the 2 blocks are found with x.clone(), none with x. Where the join is x and x is a
Select, Slice, Chunk, ... no nearer stream is looked for."""

import torch
from torch import nn

import skipglass as sg

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
start, f, W = nn.Linear(6, 6), nn.Linear(12, 6), nn.Linear(6, 6)


def blocks(x):
    v, s = start(x), torch.tanh(x)
    for _ in range(2):  # a flow that is refined
        s = torch.tanh(f(torch.cat([s, v], -1)))
        v = v + W(s)
    return [b.side for b in sg.paths.outline(v.pow(2).sum(), x).blocks]


pair = torch.randn(2, 3, 6, requires_grad=True).tanh()
copied, piece = blocks(pair[1].clone()), blocks(pair.unbind(0)[1])
print(copied, piece)
assert copied == piece
