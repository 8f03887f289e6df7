"""The words of a data set on the pages: its nouns, likes in place of ratings, and days of times alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from page_reading import metrics, text
from streamlit.testing.v1 import AppTest

from dashboard import wording
from dashboard.queries import data
from movierec_engine.data.nouns import MOVIES, called
from movierec_engine.store import ArtifactStore, Slot

Open = Callable[..., AppTest]
ARTISTS = ("artist", "artists")
YEAR_2000 = 946_684_800


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    wording.speak_of(MOVIES)


def test_a_page_speaks_in_the_words_of_its_data_set() -> None:
    text = "Rated movies: ratings of a movie"
    assert wording.say(text) == text
    wording.speak_of(ARTISTS)
    assert wording.say(text) == "Rated artists: ratings of an artist"
    wording.speak_of(ARTISTS, likes=True)
    assert wording.say(text) == "Liked artists: likes of an artist"
    assert wording.say("generating") == "generating"


def test_an_article_suits_the_noun() -> None:
    assert called("A movie, a movie and a film", ("item", "items")) == "An item, an item and a film"
    assert called("A movie, a movie and a film", ("book", "books")) == "A book, a book and a film"


@pytest.mark.parametrize(
    ("counts", "config", "likes"),
    [
        ([(1.0, 50)], {}, True),
        ([(1.0, 900), (2.0, 60), (5000.0, 1)], {}, True),
        ([(1.0, 10), (3.0, 30), (5.0, 60)], {}, False),
        ([(5.0, 50)], {"rating_min": 1.0, "rating_max": 5.0}, False),
        ([], {}, False),
    ],
    ids=["all equal", "counts of plays", "a scale", "all at the top of a given scale", "not readable"],
)
def test_likes_are_told_from_ratings(counts: list[tuple[float, int]], config: dict[str, float], likes: bool) -> None:
    assert data.are_likes(counts, config) is likes


@pytest.mark.parametrize(
    ("timestamps", "days"),
    [([0, 0], (None, None)), ([1, 2], (None, None)), ([YEAR_2000, YEAR_2000 + 86_400], ("2000-01-01", "2000-01-02"))],
    ids=["no times", "places in an order", "times"],
)
def test_days_are_of_data_with_times_alone(
    tmp_path: Path, timestamps: list[int], days: tuple[str | None, str | None]
) -> None:
    columns = {"user_id": [1, 1], "movie_id": [1, 2], "timestamp": timestamps, "part": ["train"] * 2}
    pq.write_table(pa.table(columns), tmp_path / data.SPLIT_FILE)
    (span,) = data.part_spans(tmp_path)
    assert (span["first"], span["last"]) == days
    assert bool(data.timeline(tmp_path / data.SPLIT_FILE)[1]) is (days[0] is not None)


def test_the_nouns_of_a_data_set_are_those_of_its_newest_titles(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert data.nouns(tmp_path, "plays") == MOVIES
    for nouns in (["book", "books"], list(ARTISTS)):
        store.publish(Slot("raw_movies", "plays"), lambda folder: None, key="k", fingerprint="", facts={"nouns": nouns})
    assert data.nouns(tmp_path, "plays") == ARTISTS


def test_pages_of_likes_without_times_know_no_rating_and_no_day(visit: Open, damaged: ArtifactStore) -> None:
    for path in (*damaged.root.glob("raw_ratings/*/*/ratings.parquet"), *damaged.root.glob("splits/*/*/split.parquet")):
        table = pq.read_table(path)
        for name, value in (("rating", 1.0), ("timestamp", 0)):
            place = table.column_names.index(name)
            table = table.set_column(place, name, pa.array([value] * len(table), table.schema.field(name).type))
        pq.write_table(table, path)

    page = visit(damaged, "data")
    said = text(page)
    assert {"Likes", "Users", "Movies"} <= set(metrics(page))
    assert "Every row is a like: these data have no ratings." in said
    assert "These likes carry no times, so that there is no timeline." in said
    assert "1970" not in said
    (parts,) = (one.value for one in page.dataframe if "Part" in one.value)
    assert list(parts.columns) == ["Part", "Rows", "Share", "Users", "Movies"]
    explored = text(visit(damaged, "explore", user="1"))
    assert "The test part is left out." in explored
    assert "Newest first" not in explored
