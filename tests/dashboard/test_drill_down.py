"""From a bar or a segment to the users in it, and to a user's lists; undone by one click."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from page_reading import text
from streamlit.testing.v1 import AppTest

from dashboard.plots import compare
from dashboard.queries.segment_users import users_in
from movierec_engine.store import ArtifactStore

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two reports over three users and four movies: 10 has 6 train ratings of 10, 20 has 3, 30 has 1, 40 none."""
    root = tmp_path_factory.mktemp("files")
    movies = {
        "movie_id": [10, 20, 30, 40],
        "year": [1994, 1999, 2001, None],
        "genres": [["War"], ["War"], ["Noir"], []],
    }
    pq.write_table(pa.table(movies), root / "movies.parquet")
    train = [10] * 6 + [20] * 3 + [30]
    split = {"movie_id": [*train, 40], "part": ["train"] * 10 + ["test"]}
    pq.write_table(pa.table(split), root / "split.parquet")
    relevant = {"user_id": [1, 1, 2, 3, 3], "movie_id": [10, 20, 20, 30, 40]}
    for name, rank in (("a", [1, 2, 9, 1, 11]), ("b", [11, 12, 1, 2, 3])):
        (root / name).mkdir()
        pq.write_table(pa.table({**relevant, "rank": rank}), root / name / "relevant.parquet")
        users = {"user_id": [1, 2, 3], "test_items": [2, 1, 2], "train_items": [3, 20, 99]}
        pq.write_table(pa.table(users), root / name / "users.parquet")
    return root


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (("genre", "War"), [(1, 2, 2, 0), (2, 1, 1, 1)]),
        (("genre", "Noir"), [(3, 1, 1, 1)]),
        (("decade", "1990s"), [(1, 2, 2, 0), (2, 1, 1, 1)]),
        (("popularity", "head"), [(1, 1, 1, 0)]),
        (("popularity", "mid"), [(1, 1, 1, 0), (2, 1, 1, 1)]),
        (("popularity", "tail"), [(3, 2, 1, 2)]),
        (("activity", "cold"), [(1, 2, 2, 0)]),
        (("activity", "moderate"), [(3, 2, 1, 2), (2, 1, 1, 1)]),
        (("activity", "rich"), []),
    ],
)
def test_a_segments_users_come_with_each_models_hits_the_most_different_first(
    files: Path, segment: tuple[str, str], expected: list[tuple[int, ...]]
) -> None:
    """Rows: the user, the test items in the segment, hits among ten of a and of b."""
    folders = {"a": files / "a", "b": files / "b"}
    found = users_in(folders, files / "split.parquet", files / "movies.parquet", segment, 10, 5)
    assert found is not None
    users, rows = found
    assert users == len(expected)
    assert [(row["user_id"], row["items"], row["hits"]["a"], row["hits"]["b"]) for row in rows] == expected


def test_a_segment_whose_files_are_gone_has_no_users_to_tell(files: Path) -> None:
    folders = {"a": files / "a", "b": files / "gone"}
    assert users_in(folders, files / "split.parquet", files / "movies.parquet", ("genre", "War"), 10, 5) is None


def test_the_users_of_a_bar_are_those_that_it_counts() -> None:
    rng = np.random.default_rng(0)
    difference = np.concatenate([np.round(rng.normal(size=500), 2), [0.0, 0.0, np.nan, 9.0, -9.0]])
    rows = compare.difference_rows(difference, ("a", "b"))
    assert [compare.in_bar(difference, place).sum() for place in range(len(rows))] == [row["users"] for row in rows]
    assert compare.in_bar(difference, len(rows) - 1)[-2] and compare.in_bar(difference, 0)[-1]


def test_a_segment_of_the_address_shows_its_users_and_one_click_undoes_it(visit: Open, known: ArtifactStore) -> None:
    """Users 1 and 2 have one movie of the train part, of which there are two: both are in the head. 10 is head."""
    app = visit(known, "segments", segment="activity:cold")
    assert "**Activity cold: 3 users**" in text(app)
    shown = next(one.value for one in app.dataframe if "Test items" in one.value)
    assert shown[["User", "Test items", "ease", "popularity"]].to_numpy().tolist() == [
        *([1, 1, 1, 1], [2, 1, 1, 1], [3, 1, 0, 0]),
    ]
    app.button(key="all segments").click().run()
    assert not app.exception
    assert "**Activity cold" not in text(app)
    assert app.selectbox(key="segment").value == ""


def test_a_bar_of_the_address_shows_its_users(visit: Open, known: ArtifactStore) -> None:
    """Of users 1 to 3 ease is better by 0.6 for 1, and worse by 0.1 for 3."""
    app = visit(known, "compare", a="ease", b="popularity")
    bars = [one for one in app.selectbox(key="difference").options if one]
    assert len(bars) == 3, "none, and the two that have users"
    app.selectbox(key="difference").select_index(2).run()
    assert not app.exception
    (shown,) = (one.value for one in app.dataframe if list(one.value.get("User", [])) == [1])
    assert shown["Difference"].tolist() == [0.6]
