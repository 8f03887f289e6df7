"""Dropout whose mask is cheap on a CPU, where PyTorch's own takes longer to draw than the layers around it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_LEVELS = 2**16


class Draws(NamedTuple):
    """The random source of dropout masks for some rows of a batch; several workers draw what one worker would.

    generator: that all workers have in the same state. own: int64 [n], places of a worker's rows among those of all;
    None for all of them. whole: how many rows all workers have.
    """

    generator: torch.Generator
    own: Tensor | None
    whole: int


def dropout(values: Tensor, share: float, training: bool, draws: Draws | None = None) -> Tensor:
    """Values with a share of them at 0 and the others scaled up by 1 / (1 - share); in training alone.

    On a CPU one 64-bit draw decides about four values, so that the share is a multiple of 2^-16: a draw of torch's own
    generator, or by `draws`, for values [n, d]. On other devices it is always torch's own.
    """
    if not (training and share):
        return values
    if values.device.type != "cpu":
        return functional.dropout(values, share, training)
    return values * mask(values.shape, share, draws)


def mask(shape: Sequence[int], share: float, draws: Draws | None = None) -> Tensor:
    """0 for a share of the places and 1 / (1 - share) for the others, float32 of a shape, on the CPU; see `dropout`."""
    whole = shape if draws is None else (draws.whole, *shape[1:])
    count = math.prod(whole)
    generator = None if draws is None else draws.generator
    drawn = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    of_values = drawn.view(torch.int16)[:count].view(whole)
    if draws is not None and draws.own is not None:
        of_values = of_values.index_select(0, draws.own)
    dropped = round(share * _LEVELS) - _LEVELS // 2
    kept = torch.ge(of_values, dropped, out=torch.empty(shape))  # as floats at once, not from bools
    return kept.div_(1 - share)
