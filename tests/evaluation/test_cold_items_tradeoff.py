"""What new movies cost, and how well cold items are ranked, on worlds where it can be worked out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.cli.study_tables import cold_items_table
from movierec_engine.config import load_settings
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.split import Split
from movierec_engine.errors import EmptyDataError, MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.cold_items import cold_folds, found, placed, without_items
from movierec_engine.evaluation.cold_items_tradeoff import SHARES, share_tradeoffs
from movierec_engine.models import Popularity, load_model
from movierec_engine.pipeline.cold_items import examples, measure_cold_items, share_rows
from movierec_engine.recommending.cold_items import ColdItems, mix
from movierec_engine.reporting.html.cold_items import cold_items as section_of
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import interactions_of

N_USERS, N_ITEMS, N_NEW = 20, 60, 12
USERS, ITEMS = IdMap(np.arange(N_USERS)), IdMap(np.arange(N_ITEMS))


class Fixed(Popularity):
    """Returns the scores that it is given, float32 [n_users, n_items]."""

    def __init__(self, heldout: HeldOut, scores: np.ndarray) -> None:
        super().__init__()
        self.users, self.items, self.history = USERS, ITEMS, heldout.catalogue.train
        self.fixed = scores.astype(np.float32)

    def score_users(self, users: np.ndarray) -> np.ndarray:
        return self.fixed[users].copy()


@pytest.fixture(scope="module")
def heldout() -> HeldOut:
    """Each item is of one of four genres; the last two items have no train interactions."""
    rng = np.random.default_rng(1)
    pairs = np.argwhere(rng.random((N_USERS, N_ITEMS)) < 0.3)
    held = (rng.random(len(pairs)) < 0.3) | (pairs[:, 1] >= N_ITEMS - 2)
    train = interactions_of(pairs[~held], USERS, ITEMS).matrix()
    genres = np.eye(4, dtype=np.float32)[rng.integers(0, 4, N_ITEMS)]
    catalogue = Catalogue(train, genres, tuple("abcd"), np.full(N_ITEMS, 1990, dtype=np.int32))
    return HeldOut(interactions_of(pairs[held], USERS, ITEMS), train, "train", catalogue)


@pytest.fixture(scope="module")
def model(heldout: HeldOut) -> Fixed:
    return Fixed(heldout, np.random.default_rng(2).random((N_USERS, N_ITEMS)))


def cold_items(n_items: int = N_ITEMS) -> ColdItems:
    """Each stands on one item: new movie i on item 2 i."""
    neighbours = np.arange(0, 2 * N_NEW, 2, dtype=np.int32)[:, None]
    nearest = np.full((n_items, 1), -1, dtype=np.int32)
    weights = np.ones((N_NEW, 1), dtype=np.float32)
    return ColdItems(None, neighbours, weights, nearest, nearest.astype(np.float32), 0)


@pytest.mark.parametrize("block", [7, 512])
def test_tradeoffs_are_those_of_the_mixed_lists(
    heldout: HeldOut, model: Fixed, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With users in blocks, too."""
    monkeypatch.setattr("movierec_engine.evaluation.cold_items_tradeoff._BLOCK", block)
    measured = share_tradeoffs(model, heldout, cold_items())
    relevant = heldout.interactions.matrix().toarray() > 0
    for share, one in zip(SHARES, measured.tradeoffs, strict=True):
        values, seen, new_ones, places = [], set(), 0, 0
        for user in np.flatnonzero(relevant.any(axis=1)):
            able = np.flatnonzero(heldout.seen[[user]].toarray()[0] == 0)
            own = able[np.argsort(-model.fixed[user, able])]
            best = np.argsort(-model.fixed[user, : 2 * N_NEW : 2])
            shown = mix(own.tolist(), [f"new {row}" for row in best], share, 10)
            gain = sum(
                1 / np.log2(rank + 1)
                for rank, movie in enumerate(shown, start=1)
                if not isinstance(movie, str) and relevant[user, movie]
            )
            ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(10, relevant[user].sum()) + 1))
            values.append(gain / ideal)
            seen |= {movie for movie in shown if isinstance(movie, str)}
            new_ones += sum(isinstance(movie, str) for movie in shown)
            places += len(shown)
        assert one.ndcg == pytest.approx(np.mean(values))
        assert (one.share, one.shown) == (share, len(seen))
        assert one.new_share == pytest.approx(new_ones / places)
        assert one.low <= one.ndcg <= one.high
        assert one.difference == pytest.approx(one.ndcg - measured.tradeoffs[0].ndcg)
    assert (measured.times > 0).sum() == measured.tradeoffs[-1].shown


def test_share_0_has_the_evaluators_own_numbers(heldout: HeldOut) -> None:
    tied = Fixed(heldout, np.random.default_rng(3).integers(0, 3, (N_USERS, N_ITEMS)))
    (first, *_) = share_tradeoffs(tied, heldout, cold_items()).tradeoffs
    assert first.ndcg == Evaluator([10]).evaluate(tied, heldout).metrics["ndcg@10"]
    assert (first.new_share, first.shown, first.difference_low, first.difference_high) == (0, 0, 0, 0)


def test_items_without_train_interactions_are_counted_in_the_lists(heldout: HeldOut, model: Fixed) -> None:
    favoured = model.fixed.copy()
    favoured[:, -2:] = 2  # on top of every list
    measured = share_tradeoffs(Fixed(heldout, favoured), heldout, cold_items())
    assert measured.untrained_items == 2
    assert measured.untrained_share == pytest.approx(0.2)


def test_cold_items_of_another_catalogue_are_refused(heldout: HeldOut, model: Fixed) -> None:
    with pytest.raises(MovierecError, match="place them again"):
        share_tradeoffs(model, heldout, cold_items(N_ITEMS - 1))


def test_cold_items_are_all_items_that_somebody_has_each_in_one_fold(heldout: HeldOut) -> None:
    train = interactions_of(np.argwhere(heldout.catalogue.train.toarray() > 0), USERS, ITEMS)
    folds = cold_folds(train, 7, seed=1)
    assert np.sort(np.concatenate(folds)).tolist() == list(range(N_ITEMS - 2))
    assert {len(fold) for fold in folds} == {8, 9}
    with pytest.raises(EmptyDataError, match="give fewer folds"):
        cold_folds(train, 59, seed=1)
    with pytest.raises(MovierecError, match="give at least 2"):
        cold_folds(train, 1, seed=1)


def test_a_model_trained_without_items_knows_nothing_of_them(heldout: HeldOut) -> None:
    train = interactions_of(np.argwhere(heldout.catalogue.train.toarray() > 0), USERS, ITEMS)
    parts = Split(train, heldout.interactions, heldout.interactions, "random")
    items = np.array([3, 4])
    without = without_items(parts, items)
    assert not np.isin(without.train.item, items).any()
    assert not np.isin(without.validation.item, items).any()
    assert len(without.train) == len(train) - np.isin(train.item, items).sum()


def test_auc_and_ndcg_are_of_the_cold_items_that_the_user_does_not_have(
    heldout: HeldOut, model: Fixed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("movierec_engine.evaluation.cold_items._BLOCK", 7)
    parts = [np.arange(0, 20), np.arange(20, 50)]
    measured = found(
        ((items, lambda users, items=items: model.fixed[np.ix_(users, items)]) for items in parts), heldout
    )
    relevant, seen = heldout.interactions.matrix().toarray() > 0, heldout.seen.toarray() > 0
    for user, auc, ndcg in zip(measured.users, measured.auc, measured.ndcg, strict=True):
        right, pairs, gains = 0, 0, []
        for items in parts:
            able = items[~seen[user, items]]
            ranked = able[np.argsort(-model.fixed[user, able])]
            hits = relevant[user, ranked]
            right += sum((~hits[place:]).sum() for place in np.flatnonzero(hits))
            pairs += hits.sum() * (~hits).sum()
            if hits.any():
                discount = 1 / np.log2(np.arange(2, 12))
                gains.append((hits[:10] * discount).sum() / discount[: min(10, hits.sum())].sum())
        assert auc == pytest.approx(right / pairs)
        assert ndcg == pytest.approx(np.mean(gains))


def test_cold_items_are_scored_by_the_others_alone(heldout: HeldOut) -> None:
    """Users score an item by its genre, but cold items by -1000: no place is made of those."""
    cold = np.arange(0, 30)
    by_genre = np.tile(heldout.catalogue.genres @ np.array([1, 2, 3, 4]), (N_USERS, 1)).astype(np.float32)
    told = by_genre.copy()
    told[:, cold] = -1000
    scores = placed(lambda users: told[users], cold, heldout.catalogue)(np.arange(3))
    assert scores == pytest.approx(by_genre[:3][:, cold], rel=1e-5)


@pytest.fixture
def trained(small_data: list[str], movielens_folder: Path, tmp_path: Path) -> Callable[..., Artifact]:
    """Trains on movies in camps, of which even ones are comedies, with three new ones beside them."""
    titles = [f'{100 + movie},"Film {movie} ({1950 + movie})",{("Comedy", "War")[movie % 2]}' for movie in range(40)]
    titles += ["900,New comedy (1960),Comedy", "901,New war (1981),War", "902,Nothing known,(no genres listed)"]
    (movielens_folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *titles]) + "\n", encoding="utf-8")

    def train(*overrides: str) -> Artifact:
        store = ArtifactStore(tmp_path / "store")
        settings = load_settings([*small_data, "model=ease", *overrides])
        made = pipeline.prepare(store, settings.data)
        return pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])

    return train


def test_cold_items_are_placed_measured_and_published(trained: Callable[..., Artifact], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    older, newer = trained(), trained("model.l2=50")
    made = measure_cold_items(store, newer, folds=2)
    facts = made.facts
    assert (facts["movies"], facts["new"], facts["placed"], facts["unplaceable"]) == (43, 3, 2, 1)
    assert share_rows(made)[0]["ndcg"] == newer.facts["validation_metrics"]["ndcg@10"]
    assert made.fingerprint == newer.fingerprint
    cold = facts["cold_items"]
    assert cold["auc"] > 0.7, "who watches comedies is found by comedies"
    assert cold["popularity"] < 0.65
    new = ColdItems.load(made.folder)
    user = np.flatnonzero(load_model(newer.folder).history[:, 0].toarray())[0]  # has the comedy 100
    scores = load_model(newer.folder).score_users(np.array([user]))[0]
    assert new.movies["movie_id"].to_pylist()[new.best(scores, 1)[0]] == 900
    measure_cold_items(store, older, folds=0)
    assert store.require(Slot("cold_items", "camps", "ease", "cpu")) == made, "only the newest model's are the newest"


def test_the_command_and_the_report_say_what_was_found(trained: Callable[..., Artifact], tmp_path: Path) -> None:
    trained()
    store = ArtifactStore(tmp_path / "store")
    assert section_of(store, "camps") == []
    arguments = ["cold-items", "--artifacts", str(store.root), "--model", "ease", "--folds", "0"]
    result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    assert "…" not in result.output
    printed = " ".join(result.output.split())
    assert "Of 43 movies 3 (7 %) are new to the model; 2 are placed by genres and year, 1 not." in printed
    assert "was not measured" in printed
    made = store.require(Slot("cold_items", "camps", "ease", "cpu"))
    (section,) = section_of(store, "camps")
    prose, figure, shares, _, places = section.blocks
    assert "2 are placed" in prose.text
    assert "ease: with" in figure.title
    assert [row.header.text for row in shares.rows] == ["0", "0.1", "0.2", "0.3"]
    assert [row.cells[2].text for row in shares.rows] == [f"{row['ndcg']:.4f}" for row in share_rows(made)]
    among = dict(places.terms)
    assert among["New comedy (1960)"].startswith("scored by Film 10 (1960), ")
    assert [example.title for example in examples(made)] == list(among)


def test_where_no_movie_is_new_the_report_says_so(small_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    settings = load_settings([*small_data, "model=popularity"])
    made = pipeline.prepare(store, settings.data)
    model = pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])
    published = measure_cold_items(store, model, folds=0)
    assert published.facts["new"] == 0
    assert len({row["ndcg"] for row in share_rows(published)}) == 1, "no share can be given away"
    (section,) = section_of(store, "camps")
    assert section.blocks[-1].text == "No new movie has neighbours in popularity, so there is nothing to show."
    assert len(cold_items_table(published).rows) == len(SHARES)


def test_a_damaged_measurement_is_a_sentence_in_the_report(trained: Callable[..., Artifact], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    made = measure_cold_items(store, trained(), folds=0)
    (made.folder / "shares.parquet").write_bytes(b"")
    (section,) = section_of(store, "camps")
    assert section.blocks[0].text.startswith("New movies cannot be shown:")
    with pytest.raises(MovierecError):
        share_rows(made)
