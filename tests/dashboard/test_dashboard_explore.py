"""The page Explore: lists, reasons, dials, similar movies and the map, over a store whose scores are known."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from page_reading import text, titles
from scipy import sparse
from streamlit.testing.v1 import AppTest

from dashboard.plots import explore as plots
from dashboard.queries import indices, movie_map, report_lists
from dashboard.queries.indices import SearchableIndex
from movierec_engine.api.app import create_app
from movierec_engine.data.id_map import IdMap
from movierec_engine.feedback import log_file
from movierec_engine.recommending.dials import Dials
from movierec_engine.store import ArtifactStore, Slot

Open = Callable[..., AppTest]
OFF = Dials()


@pytest.fixture(scope="module")
def ease(known: ArtifactStore) -> SearchableIndex:
    versions = indices.index_versions(known.root)
    assert [(one.model, one.served) for one in versions] == [("ease", True), ("popularity", False)]
    version = versions[0]
    assert version.served
    assert version.data == "tiny"
    return indices.load(known.root, known.root / "/".join(version.id.split("/")))


def test_a_users_lists_come_with_scores_reasons_and_hits(visit: Open, known: ArtifactStore) -> None:
    """User 2 has watched 10: ease adds 0.5 to 20, 0.3 to 30 and 0.1 to 40; 20 is in the test part."""
    app = visit(known, "explore", user="2", explored="ease")
    said = text(app)
    assert "**ease** · served now" in said
    assert "1. **Twenty (1991)** :green[✓] :gray[0.5000]" in said
    assert "because you liked Ten (1990)" in said
    assert "3. **Forty** :gray[0.1000]" in said
    assert "1 of 3 are in the user's test part" in said
    assert list(app.dataframe[0].value["Movie"]) == ["Ten (1990)"]
    assert "ease recommends Twenty (1991) most of all because of Ten (1990)" in titles(app)


def test_the_page_begins_with_a_user_who_has_a_hit(visit: Open, damaged: ArtifactStore) -> None:
    """Of users 1 and 2, who have a movie each, 2 is the typical one; in the report user 1 alone has a hit."""
    relevant = damaged.require(Slot("evaluation_report", "tiny", "ease", "cpu")).folder / "relevant.parquet"
    pq.write_table(pa.table({"user_id": [1, 2], "movie_id": [20, 30], "rank": [2, 99]}), relevant)
    app = visit(damaged, "explore", explored="ease")
    assert app.text_input(key="user").value == "1"


@pytest.mark.slow
def test_models_of_one_set_up_alone_stand_beside_each_other(visit: Open, damaged: ArtifactStore) -> None:
    """A newer ease of another split; what is served stays first, and its split's models are all that can be chosen."""
    ease = damaged.require(Slot("faiss_index", "tiny", "ease", "cpu"))
    files = [path for path in ease.folder.iterdir() if path.name != "manifest.json"]
    other = damaged.publish(
        *(ease.slot, lambda folder: [shutil.copy(path, folder) for path in files]),
        key="n",
        fingerprint="0" * 12,
        parents={"trained_model": damaged.resolve(ease.parents["trained_model"])},
    )
    app = visit(damaged, "explore")
    assert len(app.selectbox(key="group").options) == 2
    assert app.multiselect(key="explored").options == ["ease", "popularity"]
    app = visit(damaged, "explore", group=f"tiny/full/{other.fingerprint}")
    assert app.multiselect(key="explored").options == ["ease"]


def test_a_measured_list_can_hit_the_test_part_and_a_served_one_leaves_out_all_that_is_rated(
    ease: SearchableIndex,
) -> None:
    """User 1 has rated 10 and 20, of which 20 may be in the test part."""
    assert [one.movie_id for one in indices.for_user(ease, 1, 10, OFF, known=[10]).movies] == [20, 30, 40]
    assert [one.movie_id for one in indices.for_user(ease, 1, 10, OFF).movies] == [30, 40]


def test_a_movie_says_who_gets_it(visit: Open, known: ArtifactStore) -> None:
    """20 stands second in the list of user 1, who watched it in the test part, and first in that of user 2."""
    report = known.require(Slot("evaluation_report", "tiny", "ease", "cpu")).folder
    users = [{"user_id": 2, "rank": 1, "hit": False}, {"user_id": 1, "rank": 2, "hit": True}]
    assert report_lists.users_shown(report, 20, 2, 5) == (2, 1, users)
    assert report_lists.users_shown(report, 20, 1, 5) == (1, 0, users[:1])
    assert report_lists.users_shown(report, 99, 2, 5) == (0, 0, [])
    assert report_lists.users_hit(report, 2) == {1, 2}
    said = text(visit(known, "explore", movie="20", explored="ease"))
    assert "**ease** shows Twenty (1991) in 2 lists of 10; 1 user has it in the test part" in said


def test_places_of_a_movie_in_several_lists_are_joined() -> None:
    rows = [
        {"model": model, "rank": rank, "movie_id": movie, "title": str(movie), "in_test": False, "score": 1.0}
        for model, movies in (("ease", (10, 20)), ("als", (20, 30)))
        for rank, movie in enumerate(movies, start=1)
    ]
    assert [(row["movie_id"], row["shared"]) for row in plots.place_rows(rows)] == [
        *((10, False), (20, True)),
        *((20, True), (30, False)),
    ]


def test_what_a_user_has_seen_is_not_recommended(ease: SearchableIndex) -> None:
    answer = indices.for_user(ease, 1, 10, OFF)
    assert [one.movie_id for one in answer.movies] == [30, 40]
    assert indices.for_user(ease, 3, 2, OFF).source == "popularity"
    assert [ease.trained_with(user) for user in (1, 3, 4)] == [True, False, False]


@pytest.mark.parametrize("user_id", [1, 2, 3, 4])
def test_the_page_and_the_api_give_everybody_the_same_list(
    damaged: ArtifactStore, ease: SearchableIndex, user_id: int
) -> None:
    log_file(damaged.root, "tiny").unlink()
    for dials in (OFF, Dials(genre_balance=0.7)):
        page = indices.for_user(ease, user_id, 3, dials)
        query = f"user_id={user_id}&top_k=3&genre_balance={dials.genre_balance}&explain=true"
        answer = create_app(damaged.root).test_client().get(f"/api/recommend?{query}").json
        assert page.source == answer["source"]
        listed = [(movie["movie_id"], movie["score"]) for movie in answer["recommendations"]]
        assert [(one.movie_id, pytest.approx(one.score, abs=1e-6)) for one in page.movies] == listed
        for movie in answer["recommendations"]:
            reason = indices.why(ease, user_id, movie["movie_id"], {**ease.rated_by(user_id)})
            shown = [one["contribution"] for one in movie["why"]["contributions"]]
            assert [amount for _, amount in reason.contributions] == pytest.approx(shown, abs=1e-6)


def test_somebody_outside_of_the_training_is_folded_in(
    visit: Open, known: ArtifactStore, ease: SearchableIndex
) -> None:
    """30 adds 0.6 to 40 and 0.1 to 20; 10, which is disliked, takes half of its 0.1 and of its 0.5."""
    assert indices.for_user(ease, 4, 10, OFF).source == "fold-in"
    said = text(visit(known, "explore", user="4", explored="ease"))
    assert "1. **Forty** :gray[0.5500]" in said
    assert "because you liked Thirty (1992)" in said
    assert "Folded in: the model was not trained with this person" in said
    assert "All that is known of them." in said


def test_a_new_user_is_built_from_movies(visit: Open, known: ArtifactStore) -> None:
    """30 adds 0.6 to 40, 0.1 to 20 and nothing to 10."""
    app = visit(known, "explore", who="history", explored="ease")
    assert "Nothing is known yet" in text(app)
    app.text_input(key="find").set_value("thirti").run()
    app.button(key="add 30").click().run()
    assert not app.exception
    assert app.query_params["told"] == "30:5"
    assert "1. **Forty** :gray[0.6000]  \n:small[because you liked Thirty (1992)]" in text(app)
    app.query_params["told"] = "30"
    app.run()
    assert app.multiselect(key="their movies").options == ["Thirty (1992)"], "told without a rating"
    assert "1. **Forty** :gray[0.6000]" in text(app)
    app.multiselect(key="their movies").unselect(30).run()
    assert "told" not in app.query_params
    assert "Nothing is known yet" in text(app)


def test_an_unknown_user_is_a_warning(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "explore", user="99")
    assert "There is no user 99 in this data set; 3 users have ids from 1 to 3" in text(app)


def test_a_dial_turns_the_list_away_from_the_models_order(
    visit: Open, known: ArtifactStore, ease: SearchableIndex
) -> None:
    """Told the comedy 30: 20 is half a comedy, 10 is none, and of 40 no genre is known."""
    told = {30: 5.0}
    assert [one.movie_id for one in indices.for_history(ease, told, 2, OFF).movies] == [40, 20]
    turned = indices.for_history(ease, told, 2, Dials(genre_balance=1.0)).movies
    assert (turned[0].movie_id, turned[0].score) == (20, pytest.approx(0.1))
    app = visit(known, "explore", who="history", explored="ease", told="30:5", dial_genre_balance="1")
    assert app.slider(key="dial_genre_balance").value == 1.0
    assert "1. **Twenty (1991)** :gray[0.1000]" in text(app)


def test_a_reason_adds_up_to_the_score(ease: SearchableIndex) -> None:
    told: dict[int | str, float | None] = {10: 5.0, 20: 3.0}
    reason = indices.why(ease, None, 40, told)
    assert dict(reason.contributions) == pytest.approx({"Twenty (1991)": 0.4, "Ten (1990)": 0.1})
    assert reason.score == pytest.approx(0.5)
    assert reason.sentence == "because you liked Twenty (1991)"


def test_similar_movies_stand_beside_each_other(visit: Open, known: ArtifactStore, ease: SearchableIndex) -> None:
    assert [(row["movie_id"], row["shared"]) for row in indices.similar(ease, 20, 5)] == [
        (10, ["Drama"]),
        (30, ["Comedy"]),
    ]
    app = visit(known, "explore", movie="20", explored="ease,popularity")
    tables = [table.value for table in app.dataframe]
    assert list(tables[-1]["Movie"]) == ["Ten (1990)", "Thirty (1992)"]


def test_the_map_shows_the_directions_of_largest_variance(ease: SearchableIndex) -> None:
    """Two dimensions of embeddings: nothing is lost, and distances stay."""
    drawn = movie_map.movie_map(ease)
    assert drawn is not None
    assert drawn.explained == pytest.approx(1.0)
    assert drawn.place[drawn.items].mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    units = ease.index.item_facts.unit_embeddings
    for one, other in ((0, 1), (0, 3), (1, 2)):
        assert np.linalg.norm(drawn.place[one] - drawn.place[other]) == pytest.approx(
            np.linalg.norm(units[one] - units[other]), abs=1e-6
        )
    assert np.ptp(drawn.place[:, 0]) > np.ptp(drawn.place[:, 1])


@pytest.mark.parametrize("written", ["", "x", "1:", "1:nan", "-1:5", "1:5,,2:4.5,1:", f"{2**70}:5", "٣:5"])
def test_histories_in_the_url_are_read_as_far_as_they_make_sense(written: str) -> None:
    found = indices.parsed_history(written, texts=False)
    assert indices.parsed_history(indices.written_history(found), texts=False) == found
    assert all(movie >= 0 and (rating is None or 0 <= rating <= 1000) for movie, rating in found.items())


def test_movies_are_found_by_title_or_are_the_most_popular_with_equal_ones_in_the_catalogues_order(
    ease: SearchableIndex,
) -> None:
    assert ease.find("", 3) == [10, 20, 30]
    assert ease.find("", 1) == [10]
    assert ease.find("thirty", 5) == [30]
    assert [ease.item(movie) for movie in (10, 40, 15, 99)] == [0, 3, None, None]
    assert [ease.user(user) for user in (1, 3, 2, 0, 4)] == [0, 2, 1, None, None]
    assert [ease.title(movie) for movie in (20, 40, 99)] == ["Twenty (1991)", "Forty", "Movie 99"]


def test_users_to_begin_with_have_the_fewest_a_typical_number_and_the_most_movies(ease: SearchableIndex) -> None:
    lengths = [0, 4, 1, 2, 3, 1]
    history = sparse.csr_matrix([[1.0] * n + [0.0] * (4 - n) for n in lengths])
    users = IdMap(np.arange(6) * 10)
    other = with_index(ease, users=users, history=history.astype(np.float32), **padded(users))
    assert indices.examples(other) == {"Fewest movies": 20, "Typical": 30, "Most movies": 10}
    assert indices.examples(other, hit={20, 40, 0})["Typical"] == 40, "the nearest to the middle who has a hit"
    nobody = sparse.csr_matrix((6, 4), dtype=np.float32)
    assert indices.examples(with_index(other, history=nobody)) == {}


def with_index(found: SearchableIndex, **changes: Any) -> SearchableIndex:
    return replace(found, served=replace(found.served, index=replace(found.index, **changes)))


def padded(users: IdMap) -> dict[str, object]:
    """What an index knows of each user, for so many of them."""
    n = len(users)
    return {
        "queries": sparse.csr_matrix((n, 4), dtype=np.float32),
        "explanation_inputs": sparse.csr_matrix((n, 0), dtype=np.float32),
        "personal": np.ones(n, dtype=bool),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:5,318:4.5", {1: 5.0, 318: 4.5}),
        ("7", {7: None}),
        ("7:,x:3,8:x,9:-1,10:1001,-3:2,11:0,12:1000", {7: None, 11: 0.0, 12: 1000.0}),
        (f"{2**63 - 1}:1,{2**63}:1", {2**63 - 1: 1.0}),
        ("", {}),
        (",".join(f"{movie}:1" for movie in range(60)), dict.fromkeys(range(50), 1.0)),
    ],
)
def test_a_history_is_read_from_the_address_without_what_is_none(text: str, expected: dict[int, float | None]) -> None:
    assert indices.parsed_history(text, texts=False) == expected
    assert indices.parsed_history(indices.written_history(expected), texts=False) == expected


def test_a_movie_told_without_a_rating_is_a_like_whatever_the_scale(ease: SearchableIndex) -> None:
    """Where likes begin at 7, 5 of 10 is a dislike. 30 adds 0.6 to 40."""
    of_ten = with_index(ease, facts=replace(ease.index.facts, liked_from=7.0))
    told, liked = indices.parsed_history("30", texts=False), {30: 10.0}
    assert indices.for_history(of_ten, told, 2, OFF) == indices.for_history(of_ten, liked, 2, OFF)
    assert indices.for_history(of_ten, told, 2, OFF).movies[0].movie_id == 40
    assert indices.for_history(of_ten, {30: 5.0}, 2, OFF).movies[0].movie_id != 40
    assert indices.why(of_ten, None, 40, told).sentence == "because you watched Thirty (1992)"


def test_movies_in_every_list_are_those_of_all(ease: SearchableIndex) -> None:
    first, second = indices.for_user(ease, 1, 10, OFF), indices.for_user(ease, 2, 2, OFF)
    assert [one.rank for one in first.movies] == [1, 2]
    assert indices.in_every([first, second]) == {30}
    assert indices.in_every([first]) == {30, 40}
    assert indices.in_every([]) == set()


def test_the_map_has_the_directions_of_most_variance(ease: SearchableIndex) -> None:
    """Against numpy's singular values of the centred unit vectors; a movie without an embedding has no place."""
    rng = np.random.default_rng(2)
    embeddings = rng.normal(size=(60, 5)).astype(np.float32) * [3, 2, 1, 1, 1]
    embeddings[7] = 0
    popularity = rng.permutation(60).astype(np.float32)
    facts = replace(ease.index.item_facts, embeddings=embeddings.astype(np.float32))
    other = SimpleNamespace(index=SimpleNamespace(item_facts=facts, popularity=popularity))
    found = movie_map.movie_map(other)  # type: ignore[arg-type]
    assert found is not None
    known = np.flatnonzero(embeddings.any(axis=1))
    assert found.items.tolist() == known.tolist()
    assert found.highlighted([6, 7, 8]) == [6, 8]
    units = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    centred = units - units[known].mean(axis=0)
    _, singular, axes = np.linalg.svd(centred[known], full_matrices=False)
    signs = np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(axis=1)])
    assert np.allclose(found.place[known], (centred @ (axes[:2] * signs[:, None]).T)[known], atol=1e-4)
    assert found.explained == pytest.approx((singular[:2] ** 2).sum() / (singular**2).sum(), rel=1e-4)


def test_the_map_draws_the_most_popular_movies_alone(ease: SearchableIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movie_map, "MOST", 3)
    found = movie_map.movie_map(ease)
    assert found is not None
    assert found.items.tolist() == [0, 1, 2]
    assert len(found.place) == 4, "the others have their places"
    monkeypatch.setattr(movie_map, "MOST", 2)
    assert movie_map.movie_map(ease) is None, "two movies span no plane"
