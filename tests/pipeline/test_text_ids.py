"""Ids that are texts give what the same data gives with numbers, from the file to the answer."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from flask.testing import FlaskClient

from movierec_engine import pipeline
from movierec_engine.api.app import create_app
from movierec_engine.cli.study_tables import elicitation_table
from movierec_engine.config import Settings, load_settings
from movierec_engine.data.nouns import called
from movierec_engine.data.ratings import Ratings
from movierec_engine.evaluation.report import EvaluationReport, load_rankings
from movierec_engine.pipeline import data_checks, model_checks
from movierec_engine.pipeline.elicitation import measure_elicitation
from movierec_engine.store import Artifact, ArtifactStore, kinds

Name = Callable[[int], str]
USERS, MOVIES = range(1, 81), range(100, 140)
OF_VERSION = ("version", "measured_version", "request_id", "fingerprint", "chosen_by")


def in_order(number: int) -> str:
    """Names in the numbers' order."""
    return f"B{number:04d}X"


def shuffled(number: int) -> str:
    """Names in another order, that hold what paths, queries and CSV files write otherwise."""
    return f"{hashlib.sha256(str(number).encode()).hexdigest()[:5]} :,/%\\ü{number:04d}"


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


class Line:
    """Everything that is made of the ratings of two camps, for movies and users of these names."""

    def __init__(self, folder: Path, user: Name, movie: Name, *settings: str) -> None:
        self.user, self.movie = user, movie
        folder.mkdir()
        rng = np.random.default_rng(7)
        pairs = [
            (person, film)
            for person in USERS
            for film in rng.permutation([one for one in MOVIES if one % 2 == person % 2 or rng.random() < 0.15])[:14]
        ]
        times = 10**9 + rng.permutation(len(pairs))
        rows = [(user(u), movie(m), rng.integers(1, 11) / 2, t) for (u, m), t in zip(pairs, times, strict=True)]
        write(folder / "ratings.csv", ("user", "item", "rating", "timestamp"), rows)
        titles = [(movie(one), f"Film {one} ({1950 + one})", "Drama|War" if one % 3 else "War") for one in MOVIES]
        titles.append((movie(900), "Never seen (1990)", "Drama"))
        write(folder / "movies.csv", ("movieId", "title", "genres"), titles)
        self.settings: Settings = load_settings([
            "data=custom", "data.name=camps", f"data.ratings_file={folder / 'ratings.csv'}",
            f"data.movies_file={folder / 'movies.csv'}", "data.split=global_time", "model=ease",
            f"paths.artifacts={folder / 'store'}", *settings,
        ])  # fmt: skip
        self.store = ArtifactStore(folder / "store")
        self.made: dict[str, Artifact] = pipeline.run(self.store, self.settings)
        self.back = {name(one): one for name, ids in ((user, USERS), (movie, [*MOVIES, 900])) for one in ids}
        self.client: FlaskClient = create_app(self.store.root).test_client()

    def numbers(self, value: Any) -> Any:
        """An answer with the numbers that its ids stand for, scores rounded, and without what tells of a version."""
        if isinstance(value, dict):
            return {name: self.numbers(part) for name, part in value.items() if name not in OF_VERSION}
        if isinstance(value, list):
            return [self.numbers(one) for one in value]
        if isinstance(value, float):
            return round(value, 3) + 0.0
        return self.back.get(value, value) if isinstance(value, str) else value

    def ask(self, path: str, *ids: int, name: Name | None = None, **body: Any) -> Any:
        """The answer about movies or users of a path such as /api/movie/{}, or to a body."""
        named = [quote((name or self.movie)(one), safe="") for one in ids]
        address = path.format(*named)
        answer = self.client.post(address, json=body) if body else self.client.get(address)
        assert answer.status_code == 200, answer.get_json()
        return self.numbers(answer.get_json())

    @cached_property
    def trained_on_after_feedback(self) -> list[tuple[int, int]]:
        """Who has rated what once user 5 has rated the first movie of their list, and user 6 was erased."""
        path = "/api/recommend?user_id={}"
        best = self.ask(path, 5, name=self.user)["recommendations"][0]["movie_id"]
        rating = {"user_id": self.user(5), "movie_id": self.movie(best), "kind": "rating", "rating": 5}
        assert self.client.post("/api/feedback", json=rating).status_code == 200
        assert best not in [one["movie_id"] for one in self.ask(path, 5, name=self.user)["recommendations"]]
        erased = self.client.delete(f"/api/users/{quote(self.user(6), safe='')}").get_json()
        assert self.numbers(erased) == {"user_id": 6, "status": "erased", "erasure": 1}
        assert self.ask(path, 6, name=self.user)["source"] == "popularity"
        again = pipeline.ingest_ratings(self.store, self.settings.data)
        assert (again.facts["feedback"]["taken_in"], again.facts["feedback"]["erased_users"]) == (1, 1)
        rows = self.numbers(Ratings.load(again.folder).table.to_pylist())
        pairs = sorted((row["user_id"], row["movie_id"]) for row in rows)
        assert (5, best) in pairs
        return pairs

    @cached_property
    def questions(self) -> list[int]:
        """The movies that new users are asked about."""
        measure_elicitation(self.store, self.made[kinds.TRAINED_MODEL], questions=3)
        return [one["movie_id"] for one in self.ask("/api/interview?top_k=3")["questions"]]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return Line(tmp_path_factory.mktemp("ids") / "numbers", str, str)


@pytest.fixture(scope="module", params=[in_order, shuffled])
def texts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Line:
    return Line(
        tmp_path_factory.mktemp("ids") / "texts",
        lambda user: f"u{request.param(user)}",
        request.param,
        "data.item_noun=book",
    )


def test_every_check_of_the_line_passes(texts: Line) -> None:
    checks = {
        kinds.RAW_RATINGS: [data_checks.ratings_are_valid],
        kinds.RAW_MOVIES: [data_checks.movies_are_valid],
        kinds.INTERACTIONS: [data_checks.interactions_are_valid],
        kinds.EVALUATION_REPORT: [model_checks.report_adds_up, model_checks.nothing_seen_is_recommended],
        kinds.FAISS_INDEX: [model_checks.serving_parity, model_checks.nothing_rated_is_served],
    }
    findings = [check(texts.store, texts.made[kind]) for kind, of_kind in checks.items() for check in of_kind]
    assert [one.sentence for one in findings if not one.passed] == []


def test_the_metrics_are_those_of_the_numbers(numbers: Line, texts: Line) -> None:
    ours, theirs = (EvaluationReport.load(one.made[kinds.EVALUATION_REPORT].folder) for one in (texts, numbers))
    by_index = (
        ("novelty", "ild", "serendipity", "coverage", "gini") if texts.movie is shuffled else ()
    )  # ties, or an SVD
    names = [name for name in theirs.metrics if not name.startswith(by_index)] if by_index else [*theirs.metrics]
    assert {name: ours.metrics[name] for name in names} == pytest.approx(
        {name: theirs.metrics[name] for name in names}, abs=1e-6
    )
    rankings = load_rankings(
        texts.made[kinds.EVALUATION_REPORT].folder, pipeline.load_split(texts.made[kinds.SPLITS]).test_heldout()
    )
    assert len(rankings.users) == ours.counts["users_evaluated"]


@pytest.mark.parametrize(
    "asked",
    [
        lambda line: line.ask("/api/recommend?user_id={}&explain=true", 3, name=line.user),
        lambda line: line.ask("/api/users/{}", 3, name=line.user),
        lambda line: line.ask("/api/similar/{}?top_k=5", 102),
        lambda line: line.ask("/api/movie/{}", 900),
        lambda line: line.ask("/api/search?q=film+102"),
        lambda line: line.ask("/api/recommend", user_id=line.user(3), exclude=[line.movie(104)], cold_items=0.3),
        lambda line: line.ask("/api/recommend", history=[{"movie_id": line.movie(n), "rating": 5} for n in MOVIES[:6]]),
        lambda line: line.ask("/api/batch-recommend", user_ids=[line.user(one) for one in USERS[9:18]], top_k=3),
    ],
    ids=["user", "page", "similar", "cold", "search", "narrowed", "history", "batch"],
)  # fmt: skip
def test_the_answers_are_those_of_the_numbers(numbers: Line, texts: Line, asked: Callable[[Line], Any]) -> None:
    assert asked(texts) == asked(numbers)


@pytest.mark.parametrize(("ids", "warned"), [(["0", "1"], True), (["i0", "i1"], True), (["i0", "i1", "i2"], False)])
def test_a_file_of_other_titles_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ids: list[str], warned: bool
) -> None:
    write(tmp_path / "r.csv", ("user", "item"), [(user, f"i{item}") for user in range(9) for item in range(5)])
    write(tmp_path / "t.csv", ("item", "title"), [(one, f"Title {one}") for one in ids])
    files = [f"data.ratings_file={tmp_path / 'r.csv'}", f"data.movies_file={tmp_path / 't.csv'}"]
    pipeline.prepare(ArtifactStore(tmp_path / "store"), load_settings([*files, "data.name=x", "device=cpu"]).data)
    said = [one.getMessage() for one in caplog.records if "items have a title" in one.getMessage()]
    assert bool(said) == warned
    assert all(line.startswith(f"{tmp_path / 't.csv'}: {2 * ids[0].startswith('i')} of 5 items") for line in said)


def test_rows_of_a_given_test_that_train_does_not_know_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "train.csv", ("user", "item"), [(user, f"i{item}") for user in range(9) for item in range(5)])
    write(tmp_path / "test.csv", ("user", "item"), [(0, "i7"), (1, "i8"), (99, "i8"), (98, "i1")])
    files = [f"data.{part}_file={tmp_path / part}.csv" for part in ("train", "test")]
    settings = load_settings([*files, "data.name=x", "data.item_noun=book", "data.val_ratio=0", "device=cpu"])
    pipeline.prepare(ArtifactStore(tmp_path / "store"), settings.data)
    said = [one.getMessage() for one in caplog.records if "does not have" in one.getMessage()]
    assert said == [
        "x: of 4 rows in test 2 are of users and 3 of items that train does not have; such users get popular books, "
        "and such items are hardly found"
    ]


def test_what_is_not_there_is_called_a_book(texts: Line) -> None:
    error = texts.client.get("/api/movie/nothing").get_json()["error"]
    assert error["message"] == "there is no book nothing; GET /api/search finds books by title"


def test_a_history_in_a_query_string_has_backslashes_before_its_own_commas_and_colons(texts: Line) -> None:
    def written(number: int) -> str:
        return "".join(f"\\{sign}" if sign in ",:\\" else sign for sign in texts.movie(number))

    history = quote(f"{written(100)}:4.5,{written(102)}")
    posted = [{"movie_id": texts.movie(100), "rating": 4.5}, texts.movie(102)]
    assert texts.ask(f"/api/recommend?history={history}") == texts.ask("/api/recommend", history=posted)


def test_what_people_say_is_kept_by_their_ids_and_erased(numbers: Line, texts: Line) -> None:
    assert texts.trained_on_after_feedback == numbers.trained_on_after_feedback


def test_the_movies_to_ask_about_are_those_of_the_numbers(numbers: Line, texts: Line) -> None:
    """Who is asked is drawn by the place of an id, so that shuffled ids draw others."""
    assert len(numbers.questions) == len(texts.questions) == 3
    assert texts.questions == numbers.questions or texts.movie is shuffled


def test_an_id_of_the_other_kind_is_refused_with_an_example(numbers: Line, texts: Line) -> None:
    assert numbers.client.post("/api/recommend", json={"user_id": "3"}).status_code == 200
    for line, wrong, kind in (
        (numbers, "three", "a whole number"),
        (texts, 3, "a text of 1 to 256 characters, such as"),
    ):
        refused = line.client.post("/api/recommend", json={"user_id": wrong})
        assert refused.status_code == 400
        assert kind in refused.get_json()["error"]["message"]


def test_a_catalogue_of_books_says_so_on_its_pages_in_its_errors_and_tables(numbers: Line, texts: Line) -> None:
    home = texts.client.get("/", headers={"Accept": "text/html"}).text
    assert "Rate a few books" in home
    assert 'data-nouns="books"' in home
    assert "ovies</" not in home
    assert texts.client.get("/api/movie/none").get_json()["error"]["message"].startswith("there is no book none")
    assert "Rate a few movies" in numbers.client.get("/", headers={"Accept": "text/html"}).text
    table = elicitation_table(measure_elicitation(texts.store, texts.made[kinds.TRAINED_MODEL], questions=1))
    assert "book" in [column.header for column in table.columns]
    assert called("Movies like this movie: movie_id=7", ("mouse", "mice")) == "Mice like this mouse: movie_id=7"
