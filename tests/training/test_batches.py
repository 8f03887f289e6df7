import numpy as np
import pytest
import torch
from test_trainer import TRAIN

from movierec_engine.training.batches import batches, pieces


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("whole_users", [False, True])
def test_batches_hold_every_interaction_once_and_users_together_if_asked(size: int, whole_users: bool) -> None:
    taken = [
        np.stack([users.numpy(), items.numpy()], axis=1)
        for users, items in batches(TRAIN, size, np.random.default_rng(0), whole_users)
    ]
    assert sorted(map(tuple, np.concatenate(taken))) == sorted(zip(TRAIN.user, TRAIN.item, strict=True))
    if whole_users:
        seen = [set(batch[:, 0]) for batch in taken]
        assert sum(map(len, seen)) == len(set.union(*seen)), "no user is split over two batches"
        sizes = np.array([len(batch) for batch in taken])
        starts = np.cumsum(sizes) - sizes
        before_last = sizes - [int((batch[:, 0] == batch[-1, 0]).sum()) for batch in taken]
        parts = starts // size
        assert (np.diff(parts) > 0).all(), "a user who starts in the same part of the data shares its batch"
        assert ((starts + before_last) // size == parts).all(), "and nobody else does"
    else:
        assert [len(batch) for batch in taken[:-1]] == [size] * (-(-len(TRAIN) // size) - 1)


@pytest.mark.parametrize("whole_users", [False, True])
def test_each_seed_and_each_pass_has_its_own_order_of_batches(whole_users: bool) -> None:
    rng = np.random.default_rng(0)
    passes = [next(batches(TRAIN, 10_000, one, whole_users)) for one in (rng, rng, np.random.default_rng(1))]
    again = next(batches(TRAIN, 10_000, np.random.default_rng(0), whole_users))
    assert all(torch.equal(one, other) for one, other in zip(passes[0], again, strict=True))
    for users, _ in passes:
        assert not torch.equal(users, torch.sort(users).values)
    assert not any(torch.equal(passes[0][0], users) for users, _ in passes[1:])


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("whole_users", [False, True])
def test_pieces_hold_a_batch_in_its_order_and_no_more_rows_than_allowed(rows: int, whole_users: bool) -> None:
    for batch in batches(TRAIN, 60, np.random.default_rng(0), whole_users):
        parts = pieces(batch, rows, whole_users)
        assert torch.equal(torch.cat([users for users, _ in parts]), batch[0])
        assert torch.equal(torch.cat([items for _, items in parts]), batch[1])
        counts = [len(users.unique()) if whole_users else len(users) for users, _ in parts]
        assert all(count == rows for count in counts[:-1])
        assert 1 <= counts[-1] <= rows
        if whole_users:
            assert sum(counts) == len(batch[0].unique()), "no user is in two pieces"
