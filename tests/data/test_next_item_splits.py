"""The splits that ask what comes next in a history: for each user's newest item, and for the first after one moment."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.config import NEXT, DataConfig
from movierec_engine.data.interactions import positives
from movierec_engine.data.ratings import RATINGS_SCHEMA, Ratings
from movierec_engine.data.split import Split, split, split_label, tied_share, user_counts
from movierec_engine.errors import ConfigError, EmptyDataError
from movierec_engine.evaluation.fingerprint import fingerprint
from worlds import pairs

Rows = dict[tuple[int, int], int]
"""(user, movie) -> time."""
ROWS = st.dictionaries(st.tuples(st.integers(1, 8), st.integers(1, 12)), st.integers(0, 20), min_size=5)
WORLD: Rows = {(1, 1): 10, (1, 2): 20, (1, 3): 70, (1, 4): 75, (1, 5): 90, (1, 6): 95} | {
    (2, 1): 30, (2, 2): 40, (2, 3): 85, (2, 4): 99,
    (3, 1): 72, (3, 2): 74, (3, 3): 88,
    (4, 4): 91, (4, 5): 92,
    (5, 1): 5, (5, 2): 71, (6, 1): 50, (7, 2): 60, (7, 3): 61,
}  # fmt: skip


def parted(rows: Rows, strategy: str, **settings: object) -> Split:
    user, movie = np.array(sorted(rows)).T
    columns = [user, movie, np.full(len(rows), 4.0), np.array([rows[pair] for pair in sorted(rows)])]
    table = pa.table(dict(zip(RATINGS_SCHEMA.names, columns, strict=True))).cast(RATINGS_SCHEMA)
    config = DataConfig(split=strategy, min_user_interactions=1, min_item_interactions=1, **settings)  # type: ignore[arg-type]
    ratings = Ratings(table)
    return split(positives(ratings, config), config, ratings)


@given(ROWS, st.sampled_from(NEXT))
def test_the_parts_are_everything_and_a_history_is_all_that_came_before_its_one_next_item(
    rows: Rows, strategy: str
) -> None:
    try:
        parts = parted(rows, strategy)
    except (ConfigError, EmptyDataError):
        return
    named = {name: pairs(part) for name, part in parts.named().items()}
    assert set().union(*named.values()) == set(rows) and sum(map(len, named.values())) == len(rows)
    since = parts.boundaries
    moments = (since["validation_from"], since["test_from"]) if since else (None, None)
    for moment, heldout in zip(moments, (parts.validation_heldout(), parts.test_heldout()), strict=True):
        wanted, known = pairs(heldout.interactions), pairs(heldout.fold_in)
        assert len({user for user, _ in wanted}) == len(wanted), "one item is asked of each user"
        for user, movie in wanted:
            own = {other for one, other in known if one == user}
            before = {other for one, other in rows if one == user and rows[one, other] < rows[user, movie]}
            assert own and movie not in own
            assert all(rows[user, other] <= rows[user, movie] for other in own)
            if moment is None:
                assert before <= own, "nothing that came before is withheld"
            else:
                assert own == before == {other for one, other in rows if one == user and rows[one, other] < moment}
        assert (heldout.seen != heldout.histories("ones")).nnz == 0
        assert {user for user, _ in known} == {user for user, _ in wanted}


def test_the_newest_is_test_the_one_before_it_validation_and_nobody_is_asked_without_a_history() -> None:
    parts = parted(WORLD, "next_item")
    assert pairs(parts.test) == {(1, 6), (2, 4), (3, 3), (4, 5), (5, 2), (7, 3)}
    assert pairs(parts.validation) == {(1, 5), (2, 3), (3, 2)}
    assert (6, 1) in pairs(parts.train), "a user with one interaction is trained on alone"
    assert pairs(parts.validation_heldout().fold_in) == {(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (3, 1)}
    assert pairs(parts.test_heldout().fold_in) == set(WORLD) - pairs(parts.test) - {(6, 1)}
    assert parts.fold_in is None and parts.later is None and not parts.boundaries


def test_the_first_after_one_moment_is_asked_and_what_is_after_it_is_in_no_part() -> None:
    parts = parted(WORLD, "next_item_after", train_ratio=0.42, val_ratio=0.27)
    assert parts.boundaries == {"validation_from": 70, "test_from": 85}
    assert pairs(parts.train) == {(1, 1), (1, 2), (2, 1), (2, 2), (5, 1), (6, 1), (7, 2), (7, 3)}
    assert pairs(parts.validation) == {(1, 3), (5, 2)}
    assert pairs(parts.fold_in) == {(1, 4), (3, 1), (3, 2)}, "known at test, though not by training"
    assert pairs(parts.test) == {(1, 5), (2, 3), (3, 3)}
    assert pairs(parts.later) == {(1, 6), (2, 4), (4, 4), (4, 5)}, "user 4 has no history"
    assert pairs(parts.test_heldout().fold_in) == {(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (3, 1), (3, 2)}
    assert parts.test_heldout().activity[parts.test.users.index(pa.array([1, 2, 3]))].tolist() == [4, 2, 2]
    assert len(parts.everything()) == len(WORLD) and len(parts.before_test()) == 13
    assert parts.known_before_test().nnz == 13


def test_equal_times_are_in_one_order_that_neither_seed_nor_file_decides() -> None:
    rows = {(user, movie): int(movie > 1) for user in range(1, 201) for movie in range(1, 6)}
    one, other = (parted(rows, "next_item", split_seed=seed) for seed in (1, 2))
    assert pairs(one.test) == pairs(other.test) and fingerprint(one) == fingerprint(other)
    tested = [sum(movie == wanted for _, movie in pairs(one.test)) for wanted in range(1, 6)]
    assert tested[0] == 0 and min(tested[1:]) > 30, f"each of four equal ones is the newest of about 50, not {tested}"
    assert tied_share(one) == 1
    places = one.test_heldout().histories("places")
    newest = one.validation.matrix()
    assert all(places[[user]].indices[places[[user]].data.argmax()] in newest[[user]].indices for user in range(200))


def test_the_order_is_in_the_fingerprint_and_so_is_the_question() -> None:
    parts = parted(WORLD, "next_item")
    older = replace(parts.train, timestamp=parts.train.timestamp - 1)
    swapped = replace(parts.train, timestamp=parts.train.timestamp[::-1].copy())
    prints = {fingerprint(one) for one in (parts, replace(parts, train=older), replace(parts, train=swapped))}
    assert len(prints) == 3
    same_parts = replace(parts, strategy="leave_one_out")
    assert fingerprint(same_parts) not in prints, "a set model's question, of the same parts"
    assert fingerprint(parts) == fingerprint(
        replace(parts, train=parts.train.select(np.arange(len(parts.train))[::-1]))
    )


def test_only_the_one_by_each_users_own_newest_is_called_leaky() -> None:
    assert split_label("next_item") == "next_item (leaky)"
    assert split_label("next_item_after") == "next_item_after (one moment for all)"


def test_models_are_trained_on_the_people_who_are_asked_and_who_are_counted_as_any() -> None:
    for strategy in NEXT:
        parts = parted(WORLD, strategy, train_ratio=0.42, val_ratio=0.27)
        assert not parts.test_heldout().new_people and parts.test_heldout().asks_for_next
        assert user_counts(parts) == {}


@pytest.mark.parametrize("strategy", NEXT)
def test_a_saved_split_is_the_same(strategy: str, tmp_path: Path) -> None:
    parts = parted(WORLD, strategy, train_ratio=0.42, val_ratio=0.27)
    parts.save(tmp_path)
    loaded = Split.load(tmp_path, strategy, parts.boundaries)
    assert fingerprint(loaded) == fingerprint(parts)
    assert {name: pairs(part) for name, part in loaded.named().items()} == {
        name: pairs(part) for name, part in parts.named().items()
    }


def refused(make: Callable[[], object], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        make()


def test_what_has_no_next_item_is_refused_in_one_sentence() -> None:
    timeless = {(user, movie): 0 for user in range(1, 4) for movie in range(1, 6)}
    for strategy in NEXT:
        sentence = rf"data\.split={strategy} goes by time, but .* are all of one time; set data\.columns\.timestamp"
        refused(lambda strategy=strategy: parted(timeless, strategy), ConfigError, sentence)  # type: ignore[misc]
        presplit = rf"^data\.split={strategy} divides the histories itself.*data\.ratings_file"
        refused(lambda strategy=strategy: DataConfig(split=strategy, train_file="t.csv"), ConfigError, presplit)  # type: ignore[misc]
    single = {(user, user): user for user in range(1, 9)}
    refused(lambda: parted(single, "next_item"), EmptyDataError, "next_item split of 8 interactions leaves test empty")
    apart = {(user, movie): user for user in range(1, 9) for movie in (1, 2)}
    refused(
        lambda: parted(apart, "next_item_after"),
        EmptyDataError,
        r"^no user has an interaction both before and after the moment at which test begins; lower data\.train_ratio",
    )
