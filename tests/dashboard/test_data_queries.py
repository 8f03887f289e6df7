"""What the page Data shows, worked out by hand on small files."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard.queries import data
from dashboard.queries.data import Each
from movierec_engine.evaluation.drift import save_counts
from movierec_engine.store import Artifact, ArtifactStore, Slot

DAY = 86_400
START = 946_684_800
"""2000-01-01."""


def ratings_file(folder: Path, ratings: list[float], timestamps: list[int] | None = None) -> Path:
    n = len(ratings)
    columns = {
        "user_id": [place % 3 for place in range(n)],
        "movie_id": [place % 2 for place in range(n)],
        "rating": ratings,
        "timestamp": timestamps or [0] * n,
    }
    pq.write_table(pa.table(columns), folder / data.RATINGS_FILE)
    return folder


def test_each_rating_is_counted_and_many_different_ones_are_put_into_twenty_bins(tmp_path: Path) -> None:
    assert data.rating_counts(ratings_file(tmp_path, [4.5, 3, 4.5, 1])) == [(1, 1), (3, 1), (4.5, 2)]
    forty = [float(value) for value in range(40)]
    assert data.rating_counts(ratings_file(tmp_path, forty)) == [(value, 1) for value in forty]
    bins = data.rating_counts(ratings_file(tmp_path, [float(value) for value in range(100, -1, -1)]))
    assert [start for start, _ in bins] == [5.0 * bin for bin in range(20)]
    assert [count for _, count in bins] == [5] * 19 + [6], "the highest rating is in the last bin"


def test_ratings_of_each_user_and_movie_are_counted(tmp_path: Path) -> None:
    folder = ratings_file(tmp_path, [1, 2, 3, 4, 5])
    for column, expected in (("user_id", {0: 2, 1: 2, 2: 1}), ("movie_id", {0: 3, 1: 2})):
        found = data.ratings_of_each(folder, column)
        assert found is not None
        assert dict(zip(found.ids.tolist(), found.ratings.tolist(), strict=True)) == expected
    assert data.ratings_of_each(tmp_path / "nowhere", "user_id") is None


def test_what_was_counted_with_a_version_is_not_counted_again(tmp_path: Path) -> None:
    folder = ratings_file(tmp_path, [1, 2, 3, 4, 4])
    save_counts(folder)
    (folder / data.RATINGS_FILE).unlink()
    assert data.rating_counts(folder) == [(1, 1), (2, 1), (3, 1), (4, 2)]
    found = data.ratings_of_each(folder, "user_id")
    assert found is not None
    assert (found.ids.tolist(), found.ratings.tolist()) == ([0, 1, 2], [2, 2, 1])


def test_a_long_tail_says_what_share_of_the_ratings_the_most_active_have() -> None:
    """Ratings 8, 4, 2, 1, 1 of 16: the first of five has half of them, the first two three quarters."""
    tail, bins = data.long_tail(Each(np.arange(5), np.array([1, 8, 2, 1, 4])), "users")
    assert (tail.of, tail.n, tail.smallest, tail.median, tail.largest) == ("users", 5, 1, 2, 8)
    assert tail.share == (0, 0.2, 0.4, 0.6, 0.8, 1)
    assert tail.ratings == (0, 8 / 16, 12 / 16, 14 / 16, 15 / 16, 1)
    assert [tail.first(share) for share in (0.2, 0.4, 0.41, 1)] == [0.5, 0.75, 14 / 16, 1]
    assert bins == [
        {"from": 1, "to": 1, "count": 2},
        {"from": 2, "to": 3, "count": 1},
        {"from": 4, "to": 7, "count": 1},
        {"from": 8, "to": 15, "count": 1},
    ]
    assert data.long_tail(Each(np.arange(2), np.array([4, 9])), "users")[1][0]["from"] == 4, "no empty bins before"
    many, _ = data.long_tail(Each(np.arange(150), np.ones(150, dtype=int)), "users")
    assert (len(many.share), many.share[1]) == (101, 2 / 150), "a hundredth, rounded up"


@pytest.mark.parametrize(
    ("days", "step"),
    [(9, "hour"), (11, "day"), (240, "day"), (241, "week"), (1680, "week"), (1700, "month"), (80_000, "year")],
)
def test_a_timeline_has_the_finest_step_of_which_there_are_at_most_240(tmp_path: Path, days: int, step: str) -> None:
    folder = ratings_file(tmp_path, [1, 1, 1], [START, START + DAY, START + days * DAY])
    found, rows = data.timeline(folder / data.RATINGS_FILE)
    assert found == step
    assert sum(row["ratings"] for row in rows) == 3
    assert rows[0]["start"].startswith("2000-01-01T00:00" if step != "week" else "1999-12-27T00:00")
    assert [row["start"] for row in rows] == sorted(row["start"] for row in rows)


def test_a_timeline_tells_parts_apart_and_is_empty_where_there_is_no_time(tmp_path: Path) -> None:
    table = {"timestamp": [START, START + 10, START + 2 * DAY], "part": ["train", "train", "test"]}
    pq.write_table(pa.table(table), tmp_path / "split.parquet")
    _, rows = data.timeline(tmp_path / "split.parquet")
    assert [(row["start"], row["part"], row["ratings"]) for row in rows] == [
        ("2000-01-01T00:00", "train", 2),
        ("2000-01-03T00:00", "test", 1),
    ]
    _, rows = data.timeline(ratings_file(tmp_path, [1, 1], [-1, 1200 * DAY]) / data.RATINGS_FILE)
    assert rows[0]["start"] == "1969-12-29T00:00", "before the epoch, too, weeks begin before their days"
    assert data.timeline(ratings_file(tmp_path, [1, 2]) / data.RATINGS_FILE) == ("", [])
    assert data.timeline(tmp_path / "nowhere.parquet") == ("", [])


def test_the_spans_of_the_parts_stand_in_their_order(tmp_path: Path) -> None:
    columns = {
        "user_id": [1, 2, 2, 1],
        "movie_id": [5, 5, 6, 6],
        "timestamp": [START + DAY * day for day in (0, 3, 1, 9)],
        "part": ["train", "validation", "train", "test"],
    }
    pq.write_table(pa.table(columns), tmp_path / data.SPLIT_FILE)
    found = data.part_spans(tmp_path)
    assert [(row["part"], row["rows"], row["users"], row["movies"], row["first"], row["last"]) for row in found] == [
        ("train", 2, 2, 2, "2000-01-01", "2000-01-02"),
        ("validation", 1, 1, 1, "2000-01-04", "2000-01-04"),
        ("test", 1, 1, 1, "2000-01-10", "2000-01-10"),
    ]


def test_arrivals_are_who_is_new_and_who_is_gone() -> None:
    old, new = (Each(np.array(ids), np.ones(len(ids))) for ids in ([1, 2, 3], [5, 3, 4, 2, 6]))
    assert data.arrivals(old, new, "users") == {"new users": 3, "gone users": 1}


def test_a_data_sets_line_is_of_the_newest_that_was_made_from_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path)

    def made(kind: str, **parents: Artifact) -> Artifact:
        return store.publish(Slot(kind, "small"), lambda folder: None, key="k", fingerprint="", parents=parents)

    first, second = made("raw_ratings"), made("raw_ratings")
    assert data.versions(tmp_path, "raw_ratings", "small") == [second, first]
    assert data.lines_of(tmp_path, first) == [data.DataLineage(first, None, None)]
    old, new = made("interactions", raw_ratings=first), made("interactions", raw_ratings=first)
    other = made("interactions", raw_ratings=second)
    assert data.lines_of(tmp_path, first) == [data.DataLineage(first, new, None)]
    splits = made("splits", interactions=old)
    made("splits", interactions=other)
    assert data.lines_of(tmp_path, first) == [data.DataLineage(first, old, splits)]
    store.publish(Slot("raw_ratings", "large"), lambda folder: None, key="k", fingerprint="")
    assert data.data_sets(tmp_path) == ["large", "small"], "that of the newest version first"
    third = made("raw_ratings")
    assert data.data_sets(tmp_path) == ["small", "large"]
    with monkeypatch.context() as patch:
        patch.setattr(data, "PER_SLOT", 1)
        assert data.versions(tmp_path, "raw_ratings", "small") == [third]
    (third.folder / "manifest.json").unlink()
    (second.folder / "manifest.json").write_text("half")
    assert data.versions(tmp_path, "raw_ratings", "small") == [first]
