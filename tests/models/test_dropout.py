import pytest
import torch

from movierec_engine.models.dropout import dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_is_dropped_and_the_mean_stays(share: float) -> None:
    torch.manual_seed(0)
    result = dropout(torch.ones(1000, 1001), share, training=True)
    assert (result == 0).float().mean().item() == pytest.approx(share, abs=0.002)
    assert torch.unique(result).tolist() == pytest.approx([0, 1 / (1 - share)])
    assert result.mean().item() == pytest.approx(1, abs=0.01)
    for place in range(4):
        assert (result.flatten()[place::4] == 0).float().mean().item() == pytest.approx(share, abs=0.004)


def test_neighbouring_values_are_dropped_independently() -> None:
    torch.manual_seed(0)
    gone = dropout(torch.ones(10**6), 0.3, training=True) == 0
    for distance in (1, 2, 3, 4):
        both = (gone[:-distance] & gone[distance:]).float().mean().item()
        assert both == pytest.approx(0.09, abs=0.002)


def test_the_gradient_passes_where_the_value_did() -> None:
    values = torch.full((7, 3), 2.0, requires_grad=True)
    result = dropout(values, 0.5, training=True)
    result.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, result.detach() / 2)


def test_nothing_is_dropped_outside_training_and_the_seed_decides_within() -> None:
    values = torch.ones(100)
    assert dropout(values, 0.5, training=False) is values
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(dropout(values, 0.5, training=True))
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
