"""Tell what a custom autograd function does to the signal, so that it is counted for what it is.

Of a function of the user's own the graph shows only its name: it counts as a nonlinearity, and every measurement warns
of it. What it is registered as stands in the table of operations beside PyTorch's own.
"""

import torch

from skipglass import check
from skipglass.errors import InputError
from skipglass.graph.operations import REGISTERED, TABLE, Operation, own_name

__all__ = ["ROLES", "register"]

ROLES = {
    "sum": Operation("linear", merges="sum"),
    "add_norm": Operation("linear", merges="sum"),
    "identity": Operation("linear"),
    "linear": Operation("linear"),
    "weight": Operation("weight"),
    "norm": Operation("norm"),
    "nonlinear": Operation("nonlinear"),
}
"""What a function may be registered as → what the table of operations then says of it.

A normalisation keeps a signal as plain as a sum does: whichever of its outputs is read, a fused addition and norm is
a sum of its operands.
"""


def register(function: type[torch.autograd.Function] | str, role: str | None) -> None:
    """Say what a custom autograd function is: a sum, a norm, a weight, ….

    It holds for every measurement of this process from now on; to say it again replaces what was said before.

    Parameters
    ----------
    function
        The class; or, for one that is written in C++ or by ``torch.library``, its name as warnings print it.
    role
        What it is to the signals that enter it: the tensors that depend on x.

        - "sum": it adds them, as a fused bias-dropout-add does. Two signals, one of which crosses a weight, so make a
          residual block.
        - "add_norm": it adds them and normalises, and gives the norm, the sum, or both (``out, residual_out``).
        - "identity": each output is the operand of the same number, among its tensors.
        - "linear": any other linear map without weights, as a permutation of tokens.
        - "weight": it contracts the one signal with a weight, as a quantised matrix product does.
        - "norm": it normalises one signal.
        - "nonlinear": it is a nonlinearity without weights.

        None forgets what was said.

    Raises
    ------
    InputError
        If the function is no subclass of ``torch.autograd.Function``, or there is no such role.

    Examples
    --------
    >>> class Scaled(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, a, b):
    ...         return a + b / 2
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         return grad, grad / 2
    >>> register(Scaled, "sum")
    >>> import skipglass as sg
    >>> x, f = torch.ones(2, 3, requires_grad=True), torch.nn.Linear(3, 3)
    >>> sg.paths.census(Scaled.apply(x, f(x).tanh()).sum(), x)
    {0: 1, 1: 1}
    """
    of_python = isinstance(function, type) and issubclass(function, torch.autograd.Function)
    if not of_python and not (isinstance(function, str) and function):
        raise InputError(f"register needs a subclass of torch.autograd.Function, or its name, not {function!r}")
    if role is not None:
        check.choice("role", role, ROLES)
    TABLE.pop(REGISTERED.pop(function, ""), None)
    if role is None:
        return
    # a name of its own: functions that nothing was said of may be called the same
    name = f"{own_name(function)} as {role}"
    while name in TABLE:
        name += "'"
    entry = ROLES[role]
    if role == "identity":
        entry = Operation(entry.role, parts=lambda output: (name, {output}))
    REGISTERED[function], TABLE[name] = name, entry
