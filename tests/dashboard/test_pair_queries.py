"""Two models over the same users: differences, tests and overlap, from files written by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard.queries import pairs, parquet, segments
from movierec_engine.data.id_map import IdMap
from movierec_engine.evaluation.comparison import compare_all_pairs
from movierec_engine.store import ArtifactStore, Slot


def report(
    folder: Path, users: Sequence[int], lists: Sequence[tuple[int, int, int]] = (), **metrics: list[float]
) -> Path:
    folder.mkdir()
    named = {name.replace("_at_", "@"): values for name, values in metrics.items()}
    pq.write_table(
        pa.table({"user_id": list(users), "train_items": [9] * len(users), **named}), folder / "users.parquet"
    )
    columns = zip(*lists, strict=True) if lists else ([], [], [])
    table = dict(zip(("user_id", "rank", "movie_id"), map(list, columns), strict=True))
    pq.write_table(pa.table(table), folder / "lists.parquet")
    return folder


def test_users_are_paired_by_id_whatever_the_order_of_the_files(tmp_path: Path) -> None:
    a = report(tmp_path / "a", [3, 1, 2, 8], ndcg_at_10=[0.3, 0.1, 0.2, 0.8], recall_at_10=[1.0] * 4)
    b = report(tmp_path / "b", [1, 2, 9, 3], ndcg_at_10=[0.4, 0.5, 0.9, 0.6])
    found = pairs.paired_users(a, b, ["ndcg@10", "recall@10"])
    assert found is not None
    assert found.user_id.tolist() == [1, 2, 3]
    assert (found.users, found.sampled) == (3, False)
    assert {name: values.tolist() for name, values in found.a.items()} == {"ndcg@10": [0.1, 0.2, 0.3]}
    assert found.b["ndcg@10"].tolist() == [0.4, 0.5, 0.6]
    assert found.train_items is not None and found.train_items.tolist() == [9, 9, 9]
    assert pairs.paired_users(a, b, ["recall@10"]) is None
    assert pairs.paired_users(a, tmp_path / "nowhere", ["ndcg@10"]) is None


def test_a_pair_has_the_p_value_of_the_board_by_every_metric(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = {name: {m: rng.random(40).tolist() for m in ("ndcg_at_10", "recall_at_10")} for name in "abc"}
    folders = {name: report(tmp_path / name, range(40), **own) for name, own in values.items()}
    found = pairs.head_to_head(pairs.values_of(folders, ["ndcg@10", "recall@10", "auc"]), ("a", "c"))
    assert list(found) == ["ndcg@10", "recall@10"], "what cannot be compared is left out"
    for metric in found:
        own = {name: np.array(one[metric.replace("@", "_at_")]) for name, one in values.items()}
        board = compare_all_pairs(own)
        assert len(board) == 3
        assert found[metric] == next(one for one in board if {one.better, one.worse} == {"a", "c"})


def test_of_a_metric_of_which_less_is_better_the_lower_one_is_better(tmp_path: Path) -> None:
    low, high = [0.001 * user for user in range(30)], [0.1 + 0.001 * user for user in range(30)]
    folders = {name: report(tmp_path / name, range(30), disliked_at_10=own) for name, own in (("a", high), ("b", low))}
    (verdict,) = pairs.all_pairs(folders, "disliked@10")
    assert (verdict.better, verdict.worse, verdict.significant) == ("b", "a", True)


def test_overlap_is_of_the_first_places_alone(tmp_path: Path) -> None:
    """User 1 shares 1 of 2 places, of three movies in either list; user 2 shares both; user 3 is in one report."""
    a = report(tmp_path / "a", [1, 2, 3], [(1, 1, 10), (1, 2, 20), (1, 3, 30), (2, 1, 10), (2, 2, 20), (3, 1, 7)])
    b = report(tmp_path / "b", [1, 2], [(1, 1, 30), (1, 2, 20), (1, 3, 10), (2, 1, 20), (2, 2, 10)])
    found = pairs.overlap(a, b, 2)
    assert found is not None
    assert found.users == 3
    assert sorted(found.jaccard.tolist()) == pytest.approx([0, 1 / 3, 1])
    assert sorted(found.shared.tolist()) == [0, 0.5, 1]
    assert pairs.overlap(a, tmp_path / "nowhere", 2) is None


def test_a_list_is_shown_with_titles_and_hits(tmp_path: Path) -> None:
    folder = report(tmp_path / "a", [1, 2], [(1, 2, 20), (1, 1, 10), (1, 3, 30), (2, 1, 40)])
    pq.write_table(pa.table({"user_id": [1, 2], "movie_id": [20, 10]}), folder / "relevant.parquet")
    pq.write_table(pa.table({"movie_id": [10, 30], "title": ["Ten, The", "Thirty"]}), tmp_path / "movies.parquet")
    rows = [{"rank": 1, "movie_id": 10, "title": "The Ten", "hit": False}]
    rows += [{"rank": 2, "movie_id": 20, "title": "Movie 20", "hit": True}]
    assert pairs.list_of(folder, tmp_path / "movies.parquet", 1, 2) == rows
    assert [row["title"] for row in pairs.list_of(folder, None, 1, 2)] == ["Movie 10", "Movie 20"]
    assert pairs.list_of(folder, None, 9, 2) == []


@pytest.mark.parametrize(("users", "share"), [(0, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_of_more_users_than_are_looked_at_one_in_so_many_is(users: int, share: int) -> None:
    assert parquet.one_in(users, 10) == share


def test_a_sample_is_the_same_users_in_every_file() -> None:
    assert parquet.sampled("user_id", 1) == "true" != parquet.sampled("user_id", 2)
    assert np.isnan(parquet.arrays("SELECT NULL::DOUBLE AS x UNION ALL SELECT 1.0")["x"]).sum() == 1  # type: ignore[index]
    query = "SELECT list(i ORDER BY i) FROM (SELECT unnest(range(3000)) AS i) WHERE " + parquet.sampled("i", 3)
    (((first,),), ((second,),)) = parquet.query(query), parquet.query(query)
    assert first == second
    assert 800 < len(first) < 1200
    assert parquet.query("SELECT * FROM parquet_file('/nowhere')") is None


def test_segments_stand_in_the_files_order_and_curves_are_of_test_alone(known: ArtifactStore) -> None:
    folder = known.require(Slot("evaluation_report", "tiny", "ease", "cpu")).folder
    found = segments.segment_rows({"ease": folder}, "ndcg@2")
    assert [row["kind"] for row in found] == ["activity", "popularity", "genre", "decade"]
    (curve,) = segments.fold_in_curves(known.root, "tiny")
    assert [row["value"] for row in curve.rows] == [0.1, 0.12, 0.16, 0.18, 0.2], "those of validation are .3 more"


def test_exposure_is_the_lorenz_curve_of_the_first_places(tmp_path: Path) -> None:
    """Places 1, 1 and 2 of a catalogue of 4: Gini (2 sum i x_i - (n + 1) sum x) / (n sum x) = (26 - 20) / 16."""
    folder = report(tmp_path / "a", [1], [(1, 1, 10), (2, 1, 10), (3, 1, 20), (4, 1, 30), (4, 2, 40)])
    listed = segments.listed_movies(folder, 1)
    assert listed is not None
    found = segments.exposure(listed, 4)
    assert (found.items, found.shown, found.gini) == (4, 3, pytest.approx(6 / 16))
    assert found.catalogue.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.places.tolist() == [0, 0, 0.25, 0.5, 1]
    assert segments.exposure(listed, None).items == 3
    assert segments.listed_movies(tmp_path / "nowhere", 1) is None


def test_tiers_are_those_in_which_the_train_rows_of_more_popular_movies_end(tmp_path: Path) -> None:
    """Ten train rows: 10 has 5, 20 has 3 and 30 has 2; before them 0, .5 and .8 of the rows, and 40 has none."""
    movies = [10] * 5 + [20] * 3 + [30] * 2 + [40] * 9
    parts = ["train"] * 10 + ["test"] * 9
    pq.write_table(pa.table({"movie_id": movies, "part": parts}), tmp_path / "split.parquet")
    lists = [(1, 1, 10), (2, 1, 20), (3, 1, 30), (4, 1, 40), (5, 1, 10), (5, 2, 40)]
    listed = segments.listed_movies(report(tmp_path / "a", [1], lists), 1)
    train = segments.popularity(tmp_path / "split.parquet")
    assert listed is not None
    assert train is not None
    found = {row["segment"]: row["value"] for row in segments.tier_shares(listed, train)}
    assert sum(found.values()) == pytest.approx(1)
    bounds = segments.POPULARITY_UP_TO
    before = {10: 0.0, 20: 0.5, 30: 0.8, 40: 1.0}
    expected = dict.fromkeys(bounds, 0.0)
    for movie in (10, 20, 30, 40, 10):
        name = next((name for name, bound in bounds.items() if before[movie] < bound), list(bounds)[-1])
        expected[name] += 1 / 5
    assert found == pytest.approx(expected)
    texts = segments.TrainOrder(IdMap(np.array(["10"])), np.zeros(1))
    assert segments.tier_shares(listed, texts) == [], "the movies of another kind of ids"
    assert segments.popularity(tmp_path / "nowhere") is None
