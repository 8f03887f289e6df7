"""Pictures of movies come from a column of the metadata, and from the hosts that a setting names alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.data.config import ColumnNames, DataConfig
from movierec_engine.data.nouns import MOVIES
from movierec_engine.data.ratings import Movies
from movierec_engine.data.readers import read_movies
from movierec_engine.errors import ConfigError
from movierec_engine.serving.catalogue import MovieCatalogue
from movierec_engine.serving.pictures import PicturesConfig
from movierec_engine.store import ArtifactStore
from worlds import Publish, small_index

BASE, HOST = "https://image.example.org/w342", "https://img.example.org:8443"
SET = PicturesConfig(column="poster_path", base=BASE, hosts=(HOST,))


@pytest.mark.parametrize(
    "value, address",
    [
        ("/abc.jpg", f"{BASE}/abc.jpg"),
        ("abc.jpg", f"{BASE}/abc.jpg"),
        (f"{HOST}/x.png?size=2", f"{HOST}/x.png?size=2"),
        ("https://image.example.org/other.jpg", "https://image.example.org/other.jpg"),
        ("https://evil.example.org/x.jpg", None),
        ("http://image.example.org/x.jpg", None),
        ("https://image.example.org@evil.org/x.jpg", None),
        ("//evil.org/x.jpg", f"{BASE}/evil.org/x.jpg"),
        ("javascript:alert(1)", f"{BASE}/javascript:alert(1)"),
        ("a b.jpg", None),
        ('"><script>', None),
        ("https://[bad/x.jpg", None),
        ("", None),
        (None, None),
        (7, None),
        ("x" * 3000, None),
    ],
)
def test_an_address_is_of_a_host_that_is_named_or_there_is_none(value: object, address: str | None) -> None:
    assert SET.address(value) == address


def test_without_a_column_no_host_may_be_asked() -> None:
    assert SET.origins == ("https://image.example.org", HOST)
    assert PicturesConfig(base=BASE).origins == ()
    assert PicturesConfig(column="x").address("abc.jpg") is None


@pytest.mark.parametrize(
    "wrong",
    [{"base": "image.example.org/x"}, {"base": "https://a b/"}, {"hosts": ("https://x.org/path",)}, {"hosts": ("*",)}],
)
def test_settings_that_name_no_host_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"serving.pictures.{next(iter(wrong))}"):
        PicturesConfig(column="x", **wrong)


def test_further_columns_of_a_file_of_titles_are_kept_and_their_numbers_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user,item,rating\n1,10,5\n1,20,4\n", encoding="utf-8")
    rows = (
        "item,title,poster_path,budget,score,series\n20,B (1999),,7,1.5,Ring\n10,A,/a.jpg,,2,Ring\n20,B again,/b,8,9,\n"
    )
    (tmp_path / "movies.csv").write_text(rows, encoding="utf-8")
    config = DataConfig(
        layout="custom", ratings_file=str(tmp_path / "ratings.csv"), movies_file=str(tmp_path / "movies.csv"),
        columns=ColumnNames(),
    )  # fmt: skip
    movies = read_movies(config)
    assert movies.metadata is not None
    assert movies.metadata.to_pydict() == {
        "poster_path": ["/a.jpg", None], "budget": [None, 7], "score": [2.0, 1.5], "series": ["Ring", "Ring"]
    }  # fmt: skip
    movies.save(tmp_path)
    assert pq.read_schema(tmp_path / "movies.parquet").names[4:] == ["poster_path", "budget", "score", "series"]
    assert Movies.load(tmp_path).table.equals(movies.table)


def test_a_movie_has_its_picture_and_its_series_by_the_metadata() -> None:
    index = small_index()
    rows = {"poster_path": [None, "/20.jpg", "", None, "//x y"], "series": ["a", "b", "a", None, "b"]}
    movies = index.movies
    for name, values in rows.items():
        movies = movies.append_column(name, pa.array(values))
    lineage: Any = SimpleNamespace(movies=movies, placed=None, nouns=MOVIES)
    catalogue = MovieCatalogue(index, lineage, None, SET)
    assert [one.get("picture") for one in catalogue.movies] == [None, f"{BASE}/20.jpg", None, None, None]
    assert catalogue.series.of.tolist() == [0, 1, 0, -1, 1]


def test_pages_have_the_picture_and_their_policy_its_host(store: ArtifactStore, publish: Publish) -> None:
    publish()
    app = create_app(store.root, ServingConfig(pictures=SET))
    app.extensions["movierec"]["reloader"].current().catalogue.movies[0]["picture"] = f"{BASE}/ten.jpg"
    client = app.test_client()
    assert client.get("/api/movie/10").get_json()["movie"]["picture"] == f"{BASE}/ten.jpg"
    page = client.get("/movies/10", headers={"Accept": "text/html"})
    assert f'data-picture="{BASE}/ten.jpg"' in page.text
    assert f"img-src 'self' data: https://image.example.org {HOST};" in page.headers["Content-Security-Policy"]
    plain = create_app(store.root).test_client().get("/movies/10", headers={"Accept": "text/html"})
    assert "img-src 'self' data:;" in plain.headers["Content-Security-Policy"] and "data-picture" not in plain.text
