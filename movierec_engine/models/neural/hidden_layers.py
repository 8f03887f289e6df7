"""The hidden layers of an MLP over pairs of a user and an item, on a CPU: in blocks that its cache holds.

    x_1 = relu(a_u + b_i),    x_l = relu(W_l x_{l-1} + b_l),    y = <h, x_L>

with dropout after each relu. Both passes go over all layers for some users at a time, and keep nothing but the x_l:
where x is above 0 its unit was active and not left out, so that neither what is before relu nor a mask is needed.
Autograd takes twice as long for it, in passes over arrays that come from memory each time.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from movierec_engine.models.dropout import mask

_BLOCK_FLOATS = 2**18
"""Floats of a block's first hidden layer, 1 MB: a processor's cache holds that and what is made of it."""


def hidden_layers(
    user_part: Tensor,
    item_part: Tensor,
    columns: Tensor | None,
    layers: Sequence[tuple[Tensor, Tensor]],
    output: Tensor,
    left_out: float,
) -> Tensor:
    """The scores y, float32 [b, m], with gradients.

    user_part, item_part: float32 [b, h] and [k, h], a and b. columns: int64 [b, m], the rows of b that each user is
    paired with; None for all. layers: W_l and b_l from the second on. output: float32 [last], h. left_out: dropout's
    share.
    """
    parameters = [parameter for layer in layers for parameter in layer]
    return _HiddenLayers.apply(user_part, item_part, columns, left_out, output, *parameters)  # type: ignore[no-untyped-call, no-any-return]


class _HiddenLayers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        user_part: Tensor,
        item_part: Tensor,
        columns: Tensor | None,
        left_out: float,
        output: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        weights, biases = parameters[::2], parameters[1::2]
        n, m = len(user_part), len(item_part) if columns is None else columns.shape[1]
        widths = (user_part.shape[1], *(len(bias) for bias in biases))
        kept = [user_part.new_empty(n, m, width) for width in widths]
        scores = user_part.new_empty(n, m)
        for block in _blocks(n, m * widths[0]):
            hidden, users = kept[0][block], user_part[block, None]
            if columns is None:
                torch.add(users, item_part, out=hidden)
            else:
                torch.index_select(item_part, 0, columns[block].flatten(), out=hidden.view(-1, widths[0]))
                hidden.add_(users)
            below = _active(hidden.view(-1, widths[0]), left_out)
            for weight, bias, layer in zip(weights, biases, kept[1:], strict=True):
                hidden = torch.addmm(bias, below, weight.T, out=layer[block].view(-1, len(bias)))
                below = _active(hidden, left_out)
            torch.mv(below, output, out=scores[block].view(-1))
        ctx.save_for_backward(columns, output, *weights, *kept)
        ctx.n_items, ctx.scale = len(item_part), 1 / (1 - left_out)
        return scores

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        columns, output, *rest = ctx.saved_tensors
        weights, kept = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        n, m, width = kept[0].shape
        slopes = above[0].contiguous()
        of_users, of_items = slopes.new_empty(n, width), slopes.new_zeros(ctx.n_items, width)
        of_output = torch.zeros_like(output)
        of_weights = [torch.zeros_like(weight) for weight in weights]
        of_biases = [slopes.new_zeros(len(weight)) for weight in weights]
        scaled = [weight * ctx.scale for weight in weights]
        scaled_output = output * ctx.scale
        for block in _blocks(n, m * width):
            hidden = [layer[block].view(-1, layer.shape[2]) for layer in kept]
            slope = slopes[block].view(-1)
            of_output.addmv_(hidden[-1].T, slope)
            slope = _where_active(slope[:, None] * scaled_output, hidden[-1])
            for layer in reversed(range(len(weights))):
                of_weights[layer].addmm_(slope.T, hidden[layer])
                of_biases[layer].add_(slope.sum(dim=0))
                slope = _where_active(slope @ scaled[layer], hidden[layer])
            by_user = slope.view(-1, m, width)
            torch.sum(by_user, dim=1, out=of_users[block])
            if columns is None:
                of_items.add_(by_user.sum(dim=0))
            else:
                of_items.index_add_(0, columns[block].flatten(), slope)
        of_parameters = [one for layer in zip(of_weights, of_biases, strict=True) for one in layer]
        return of_users, of_items, None, None, of_output, *of_parameters


def _blocks(n: int, floats: int) -> list[slice]:
    """The users in blocks; floats: of each one's first hidden layer."""
    size = max(1, _BLOCK_FLOATS // floats)
    return [slice(start, start + size) for start in range(0, n, size)]


def _active(values: Tensor, left_out: float) -> Tensor:
    """Relu and dropout, in place."""
    values.relu_()
    return values.mul_(mask(values.shape, left_out)) if left_out else values


def _where_active(slope: Tensor, hidden: Tensor) -> Tensor:
    """A slope where a hidden layer is above 0, and 0 elsewhere."""
    return torch.ops.aten.threshold_backward(slope, hidden, 0)  # type: ignore[no-any-return]
