"""Sequences from histories with places, and the windows that training takes of them."""

import numpy as np
import pytest
from scipy import sparse

from movierec_engine.data.sequences import Sequences, bucket_of_time, grouped_by_length, told_times

HISTORIES = sparse.csr_matrix(np.array([[3, 0, 1, 2], [0, 0, 0, 0], [0, 9, 0, 4.5], [7, 0, 0, 0]], dtype=np.float32))


def of_lengths(*lengths: int) -> Sequences:
    """Items 100 u + place."""
    items = [100 * user + place for user, length in enumerate(lengths) for place in range(length)]
    return Sequences(np.array(items, dtype=np.int64), np.concatenate([[0], np.cumsum(lengths)]))


def test_a_sequence_is_the_items_of_a_row_by_their_places_of_which_only_the_order_counts() -> None:
    sequences = Sequences.of(HISTORIES)
    assert sequences.items.tolist() == [2, 3, 0, 3, 1, 0]
    assert sequences.starts.tolist() == [0, 3, 3, 5, 6]


def test_the_newest_items_are_the_ends_of_the_sequences() -> None:
    newest = of_lengths(3, 0, 2, 5).newest(2)
    assert newest.items.tolist() == [1, 2, 200, 201, 303, 304]
    assert newest.lengths.tolist() == [2, 0, 2, 2]


@pytest.mark.parametrize("length", [1, 3, 10, 100])
def test_windows_have_every_item_but_the_first_of_a_user_once_as_the_next_one(length: int) -> None:
    sequences = of_lengths(1, 7, 0, 2, 10, 24, 11)
    begins, lengths = sequences.windows(length, np.random.default_rng(0))
    nexts = np.concatenate([np.arange(begin, begin + n) + 1 for begin, n in zip(begins, lengths, strict=True)])
    assert sorted(sequences.items[nexts]) == [item for item in sequences.items if item % 100]
    assert lengths.min() >= 1 and lengths.max() <= length
    assert (sequences.items[begins] // 100 == sequences.items[begins + lengths] // 100).all(), "of one user"


def test_a_short_sequence_is_one_window_and_a_long_one_is_cut_elsewhere_each_time() -> None:
    sequences, rng = of_lengths(5, 100), np.random.default_rng(0)
    found = [sequences.windows(10, rng) for _ in range(20)]
    assert all((begins[0], lengths[0]) == (0, 4) for begins, lengths in found)
    assert len({int(lengths[1]) for _, lengths in found}) > 5


def test_sequences_of_a_group_are_of_similar_lengths_and_every_one_is_in_a_group() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 300)
    groups = grouped_by_length(lengths)
    assert sorted(np.concatenate(groups)) == list(range(300))
    for group in groups:
        assert lengths[group[0]] == lengths[group].max()
        assert lengths[group].min() >= 0.7 * lengths[group[0]]
    assert grouped_by_length(np.empty(0, dtype=np.int64)) == []


def test_sequences_keep_the_seconds_of_their_items() -> None:
    histories = sparse.csr_matrix(([8e8 + 0.5, 7e8, 8e8 + 0.25], [0, 1, 3], [0, 3]), (1, 4))
    sequences = Sequences.of(histories, timed=True)
    assert (sequences.items.tolist(), sequences.seconds.tolist()) == ([1, 3, 0], [7 * 10**8, 8 * 10**8, 8 * 10**8])
    assert sequences.newest(2).seconds.tolist() == [8 * 10**8] * 2
    assert not len(Sequences.of(histories).newest(2).seconds)


def test_buckets_of_time_double() -> None:
    seconds = np.array([0, 1, 2, 3, 6, 7, 2**20 - 2, 2**20 - 1, 2**31, 2**50])
    assert bucket_of_time(seconds).tolist() == [0, 1, 1, 2, 2, 3, 19, 20, 31, 31]


@pytest.mark.parametrize(
    ("seconds", "after", "whole"),
    [
        ([0, 0, 0], 0.0, [0, 0, 0]),
        ([0, 5, 0, 9, 7], 0.0, [5, 5, 5, 9, 9]),
        ([0, 5, 30], 20.5, [20, 20, 30]),
        ([], 3.0, []),
    ],
)
def test_what_is_told_in_an_order_goes_on_from_the_history(seconds: list[int], after: float, whole: list[int]) -> None:
    entries = told_times(seconds, after)
    assert np.floor(entries).tolist() == whole
    assert (np.diff([after, *entries]) > 0).all()
