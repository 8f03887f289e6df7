"""The hidden layers of pairs, block by block, against the formula and autograd's gradients of it."""

import pytest
import torch

from movierec_engine.models.dropout import mask
from movierec_engine.models.neural import hidden_layers as module
from movierec_engine.models.neural.hidden_layers import hidden_layers

USERS, ITEMS, WIDTHS = 7, 9, (6, 5, 4)


def inputs() -> list[torch.Tensor]:
    """a, b, the weights and biases of two layers, and h."""
    torch.manual_seed(0)
    shapes = [(USERS, 6), (ITEMS, 6), (5, 6), (5,), (4, 5), (4,), (4,)]
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("left_out", [0.0, 0.4])
@pytest.mark.parametrize("each_with_all", [True, False])
def test_scores_and_gradients_are_those_of_the_formula(
    left_out: float, each_with_all: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = None if each_with_all else torch.randint(0, ITEMS, (USERS, 3))
    m = ITEMS if columns is None else 3
    monkeypatch.setattr(module, "_BLOCK_FLOATS", 2 * m * WIDTHS[0])  # two users a block, and one in the last
    masks: list[torch.Tensor] = []
    monkeypatch.setattr(module, "mask", lambda shape, share: masks.append(mask(shape, share)) or masks[-1])

    a, b, first, first_bias, second, second_bias, h = blocks = inputs()
    layers = [(first, first_bias), (second, second_bias)]
    found = hidden_layers(a, b, columns, layers, h, left_out)
    slopes = torch.randn(USERS, m)
    of_found = torch.autograd.grad((found * slopes).sum(), blocks)

    assert len(masks) == (4 * len(WIDTHS) if left_out else 0)
    wholes = [torch.cat(masks[place::3]).view(USERS, m, -1) if left_out else 1.0 for place in range(3)]
    x = torch.relu(a[:, None] + (b[None] if columns is None else b[columns])) * wholes[0]
    for (weight, bias), whole in zip(layers, wholes[1:], strict=True):
        x = torch.relu(x @ weight.T + bias) * whole
    expected = x @ h
    of_expected = torch.autograd.grad((expected * slopes).sum(), blocks)
    assert torch.allclose(found, expected, atol=1e-5)
    for one, other in zip(of_found, of_expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
