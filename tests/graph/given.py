"""A network in which a test may let anything happen: what the tests of failures and of bad input run on."""

from torch import nn

__all__ = ["Net"]


class Net(nn.Module):
    """A block behind a batch norm, with something of the user's in between."""

    def __init__(self, how=None):
        super().__init__()
        self.how, self.enter, self.norm, self.leave = how, nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)
        self.f = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))

    def forward(self, x):
        h = self.norm(self.enter(x))
        h = h if self.how is None else self.how(self, h)
        return self.leave(h + self.f(h))
