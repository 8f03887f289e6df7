from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.backtest_windows import rolling_origin
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import Split, future_share
from movierec_engine.errors import ConfigError, EmptyDataError


def at(times: list[int]) -> Interactions:
    """Interaction k is of user k % 3 with item k, at times[k]; public ids are 10 + user and 100 + item."""
    rows = np.arange(len(times))
    return Interactions(
        user=(rows % 3).astype(np.int32),
        item=rows.astype(np.int32),
        rating=(1 + rows % 5).astype(np.float32),
        timestamp=np.array(times, dtype=np.int64),
        users=IdMap(np.arange(10, 13)),
        items=IdMap(np.arange(100, 100 + len(times))),
    )


def rows(part: Interactions) -> list[int]:
    return sorted(part.item.tolist())


def test_each_window_trains_on_everything_before_it_and_tests_on_itself_alone() -> None:
    first, second = rolling_origin(at(list(range(20))), windows=2, first_train_share=0.5, val_ratio=0.2)
    assert [rows(part) for part in first.parts()] == [list(range(8)), [8, 9], list(range(10, 15))]
    assert [rows(part) for part in second.parts()] == [list(range(12)), [12, 13, 14], list(range(15, 20))]
    assert first.boundaries == {"validation_from": 8, "test_from": 10, "test_until": 15}
    assert second.boundaries == {"validation_from": 12, "test_from": 15, "test_until": 20}
    assert first.strategy == "rolling_origin"
    (rounded,) = rolling_origin(at(list(range(20))), windows=1, first_train_share=0.5, val_ratio=0.16)
    assert rows(rounded.validation) == [8, 9], "1.6 of 10"


def test_the_interactions_of_one_second_belong_together_to_the_later_part() -> None:
    times = [0, 1, 2, 3, 3, 4, 4, 4, 5, 6]  # cuts at places 4, 7 and 10, validation at 2 and 4 from the newest
    first, second = rolling_origin(at(times), windows=2, first_train_share=0.4, val_ratio=0.34)
    assert [rows(part) for part in first.parts()] == [[0, 1], [2], [3, 4]]
    assert [rows(part) for part in second.parts()] == [[0, 1, 2], [3, 4], [5, 6, 7, 8, 9]]


def test_the_order_of_the_rows_does_not_matter() -> None:
    times = [5, 0, 9, 3, 7, 1, 8, 2, 6, 4]
    (window,) = rolling_origin(at(times), windows=1, first_train_share=0.8, val_ratio=0.25)
    assert [sorted(times[row] for row in rows(part)) for part in window.parts()] == [list(range(6)), [6, 7], [8, 9]]


@given(
    st.lists(st.integers(-5, 60), min_size=1, max_size=60),
    st.integers(1, 6),
    st.sampled_from([0.05, 0.3, 0.5, 0.9]),
    st.sampled_from([0.01, 0.1, 0.5]),
)
def test_windows_follow_one_another_and_never_look_ahead(
    times: list[int], windows: int, first_train_share: float, val_ratio: float
) -> None:
    interactions = at(times)
    try:
        splits = rolling_origin(interactions, windows, first_train_share, val_ratio)
    except EmptyDataError:
        return
    assert len(splits) == windows
    for window in splits:
        validation_from, test_from, test_until = window.boundaries.values()
        train, validation, test = (set(rows(part)) for part in window.parts())
        assert train == {row for row, time in enumerate(times) if time < validation_from}
        assert validation == {row for row, time in enumerate(times) if validation_from <= time < test_from}
        assert test == {row for row, time in enumerate(times) if test_from <= time < test_until}
        assert train
        assert test
        assert future_share(window) == 0
        assert window.train.items is interactions.items
    for earlier, later in pairwise(splits):
        assert earlier.boundaries["test_until"] == later.boundaries["test_from"]
    first = splits[0]
    tested = [row for window in splits for row in rows(window.test)]
    assert sorted(rows(first.train) + rows(first.validation) + tested) == list(range(len(times)))


@given(st.integers(2, 8), st.integers(1, 12), st.integers(1, 30))
def test_windows_are_of_equal_size_where_no_two_interactions_share_a_second(
    windows: int, size: int, before: int
) -> None:
    n = before + windows * size
    splits = rolling_origin(at(list(range(n))), windows, before / n, 0.1)
    assert [len(window.test) for window in splits] == [size] * windows


@pytest.mark.parametrize(
    ("times", "windows", "share", "missing"),
    [
        ([7] * 10, 2, 0.5, "window 1 of 2 has no (train|test)"),
        (list(range(10)), 9, 0.5, "window . of 9 has no test"),
        ([0] * 6 + [1, 2, 3, 4], 2, 0.3, "window 1 of 2 has no train"),
        ([0, 1, 2, 3, 4, 4, 4, 4, 4, 4], 3, 0.4, "window 1 of 3 has no test"),
        ([0, 1], 1, 0.01, "window 1 of 1 has no train"),
        ([], 1, 0.5, "no interactions"),
    ],
    ids=["one second", "too many windows", "a tie at the start", "a tie at the end", "a share of nothing", "no data"],
)
def test_a_window_without_train_or_test_is_refused_by_its_number(
    times: list[int], windows: int, share: float, missing: str
) -> None:
    with pytest.raises(EmptyDataError, match=missing):
        rolling_origin(at(times), windows, share, 0.1)


def test_a_validation_share_that_swallows_train_is_refused() -> None:
    with pytest.raises(EmptyDataError, match="no train"):
        rolling_origin(at([0, 1, 2, 3]), 1, 0.5, 0.9)


@pytest.mark.parametrize(
    ("windows", "share", "val_ratio"), [(0, 0.5, 0.1), (2, 0, 0.1), (2, 1, 0.1), (2, 0.5, 0), (2, 0.5, float("nan"))]
)
def test_settings_out_of_range_are_refused(windows: int, share: float, val_ratio: float) -> None:
    with pytest.raises(ConfigError, match="backtest windows"):
        rolling_origin(at(list(range(10))), windows, share, val_ratio)


@pytest.mark.parametrize("val_ratio", [0.2, 0.01], ids=["with validation", "without validation"])
def test_a_saved_window_comes_back(tmp_path: Path, val_ratio: float) -> None:
    for number, window in enumerate(rolling_origin(at(list(range(20))), 2, 0.5, val_ratio)):
        folder = tmp_path / str(number)
        folder.mkdir()
        window.save(folder)
        loaded = Split.load(folder, window.strategy, window.boundaries)
        assert (loaded.strategy, loaded.boundaries) == ("rolling_origin", window.boundaries)
        for part, original in zip(loaded.parts(), window.parts(), strict=True):
            assert part.to_table().equals(original.to_table())
            assert (part.users, part.items) == (original.users, original.items)
