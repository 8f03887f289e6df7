"""Dropout whose mask is cheap on a CPU, where PyTorch's own takes longer to draw than the layers around it."""

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 2**16


def dropout(values: Tensor, share: float, training: bool) -> Tensor:
    """Values with a share of them at 0 and the others scaled up by 1 / (1 - share); in training alone.

    On a CPU one 64-bit draw of torch's generator decides about four values, so that the share is a multiple of 2^-16.
    """
    if not (training and share):
        return values
    if values.device.type != "cpu":
        return functional.dropout(values, share, training)
    draws = torch.empty((values.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    dropped = round(share * _LEVELS) - _LEVELS // 2
    draws_of_values = draws.view(torch.int16)[: values.numel()].view(values.shape)
    kept = torch.ge(draws_of_values, dropped, out=torch.empty(values.shape))  # as floats at once, not from bools
    return values * kept.div_(1 - share)
