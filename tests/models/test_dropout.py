import pytest
import torch

from movierec_engine.models.dropout import Draws, dropout


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


def test_workers_draw_for_their_rows_what_one_draws_for_all() -> None:
    def draws(own: list[int] | None) -> Draws:
        return Draws(torch.Generator().manual_seed(4), None if own is None else torch.tensor(own, dtype=torch.int64), 9)

    values = torch.rand(9, 7) + 1
    whole = dropout(values, 0.4, training=True, draws=draws(None))
    assert 0.2 < (whole == 0).float().mean() < 0.6
    for own in ([0, 3, 8], [5], []):
        assert torch.equal(dropout(values[own], 0.4, training=True, draws=draws(own)), whole[own])
    torch.manual_seed(1)
    before = torch.get_rng_state()
    dropout(values, 0.4, training=True, draws=draws(None))
    assert torch.equal(torch.get_rng_state(), before), "torch's own generator is left alone"
