"""The interview asks about movies that tell camps apart, not about the one that everybody has."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.split import Split
from movierec_engine.errors import EmptyDataError
from movierec_engine.evaluation.elicitation import (
    choose_questions,
    choosing_panel,
    measuring_panel,
    most_popular,
    quality,
)
from movierec_engine.models import EASE
from movierec_engine.models.classic.popularity import Popularity
from movierec_engine.pipeline.elicitation import measure_elicitation
from movierec_engine.store import ArtifactStore, Slot
from worlds import interactions_of

USERS = 64
EVERYBODYS, ODD_FLAGSHIP, EVEN_FLAGSHIP = 0, 1, 2


def camps() -> Split:
    """Everyone knows item 0; odd users all know 1 and even ones 2; two more of a camp's twelve are held out.

    The held-out items are validation for half of the users, and test for the others.
    """
    train, validation, test = [], [], []
    for user in range(USERS):
        camp = np.arange(ODD_FLAGSHIP if user % 2 else EVEN_FLAGSHIP, 25, 2)
        held_out = {int(camp[1 + (user // 4 + step) % 11]) for step in (0, 1)}
        train += [(user, EVERYBODYS), *((user, int(item)) for item in camp if int(item) not in held_out)]
        (validation if user % 4 < 2 else test).extend((user, item) for item in sorted(held_out))
    users, items = IdMap(np.arange(USERS)), IdMap(np.arange(25) * 3)
    parts = (interactions_of(np.array(pairs), users, items) for pairs in (train, validation, test))
    return Split(*parts, strategy="random")


SPLIT = camps()


def ease(split: Split) -> EASE:
    model = EASE()
    model.fit(Dataset(split.train))
    return model


def noise(seed: int) -> Split:
    """Forty users with twelve of thirty items at random: nine in train, two in validation, one in test."""
    rng = np.random.default_rng(seed)
    parts: tuple[list[tuple[int, int]], ...] = ([], [], [])
    for user in range(40):
        for place, item in enumerate(rng.choice(30, 12, replace=False).tolist()):
            parts[(place >= 9) + (place >= 11)].append((user, item))
    users, items = IdMap(np.arange(40)), IdMap(np.arange(30))
    return Split(*(interactions_of(np.array(pairs), users, items) for pairs in parts), strategy="random")


def test_the_movie_that_everybody_has_is_not_asked_about() -> None:
    """The two flagships tell every camp, and what is left of it are the held-out items alone: nothing is to be gained
    beyond that."""
    model = ease(SPLIT)
    assert most_popular(model, 1).tolist() == [EVERYBODYS]
    chosen = choose_questions(model, SPLIT, n=5)
    assert sorted(chosen.tolist()) == [ODD_FLAGSHIP, EVEN_FLAGSHIP]
    for panel in (choosing_panel(model, SPLIT, 0), measuring_panel(model, SPLIT, 0)):
        assert quality(model, panel, []).mean() < 0.9
        assert quality(model, panel, [EVERYBODYS]).mean() < 0.9
        assert (quality(model, panel, chosen) == 1).all()


def test_each_step_takes_the_movie_that_raises_the_mean_most() -> None:
    """Against trying every movie on everyone, one after the other."""
    split = noise(seed=2)
    model = ease(split)
    panel, expected = choosing_panel(model, split, 4), list[int]()
    for _ in range(3):
        reached = {
            int(item): round(float(quality(model, panel, [*expected, int(item)]).mean()), 9)
            for item in most_popular(model, 12)
            if item not in expected
        }
        best = max(reached, key=lambda item: reached[item])
        if reached[best] <= quality(model, panel, expected).mean():
            break
        expected.append(best)
    assert expected
    assert choose_questions(model, split, n=3, candidates=12, seed=4).tolist() == expected


def test_test_items_have_no_part_in_the_choice() -> None:
    split = noise(seed=2)
    model = ease(split)
    chosen = choose_questions(model, split, seed=1)
    other = replace(split, test=split.test.select(np.array([], dtype=np.int64)))
    assert choose_questions(model, other, seed=1).tolist() == chosen.tolist()
    panel = choosing_panel(model, split, 1)
    assert (panel.relevant != split.validation.matrix()[panel.users]).nnz == 0
    assert (panel.seen != split.train.matrix()[panel.users]).nnz == 0
    assert (panel.histories != split.train.matrix()[panel.users]).nnz == 0


def test_the_choice_is_measured_on_other_users() -> None:
    split = noise(seed=2)
    sample, others = choosing_panel(ease(split), split, 1), measuring_panel(ease(split), split, 1)
    assert not np.isin(sample.users, others.users).any()
    assert len(sample.users) == len(others.users) == 20
    assert (others.relevant != split.test.matrix()[others.users]).nnz == 0
    assert (others.seen != split.known_before_test()[others.users]).nnz == 0
    assert not np.array_equal(choosing_panel(ease(split), split, 2).users, sample.users)


def test_where_whole_users_are_held_out_they_are_asked() -> None:
    """Validation users choose by what is folded in of them, and test users measure the choice."""
    split, kept = noise(seed=2), np.arange(40) < 20
    train, histories = (split.train.select(kept[split.train.user] == first) for first in (True, False))
    validation = split.validation.select((split.validation.user >= 20) & (split.validation.user < 30))
    held_out = Split(train, validation, split.test.select(split.test.user >= 30), "users", fold_in=histories)
    sample, others = choosing_panel(ease(held_out), held_out, 1), measuring_panel(ease(held_out), held_out, 1)
    assert set(sample.users) < set(range(20, 30)) and others.users.tolist() == list(range(30, 40))
    for panel in (sample, others):
        assert (panel.histories != histories.matrix()[panel.users]).nnz == 0
        assert (panel.seen != panel.histories).nnz == 0


def test_who_knows_none_of_the_questions_is_answered_by_popularity() -> None:
    model = ease(SPLIT)
    panel = measuring_panel(model, SPLIT, 0)
    nothing, asked = quality(model, panel, []), quality(model, panel, [ODD_FLAGSHIP])
    even = panel.users % 2 == 0
    assert (asked[even] == nothing[even]).all()
    assert (asked[~even] == 1).all()


def test_a_model_that_answers_everybody_alike_has_nothing_to_ask() -> None:
    model = Popularity()
    model.fit(Dataset(SPLIT.train))
    assert choose_questions(model, SPLIT).tolist() == []


def test_a_split_without_validation_is_refused() -> None:
    split = replace(SPLIT, validation=SPLIT.validation.select(np.array([], dtype=np.int64)))
    with pytest.raises(EmptyDataError, match="validation"):
        choose_questions(ease(split), split)


def test_the_command_publishes_the_questions_and_compares_them(small_data: list[str], tmp_path: Path) -> None:
    store, settings = ArtifactStore(tmp_path / "store"), load_settings([*small_data, "model=ease"])
    made = pipeline.prepare(store, settings.data)
    trained = pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])

    arguments = ["elicitation", "--artifacts", str(store.root), "--questions", "2"]
    result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "160"})

    assert result.exit_code == 0, result.output
    found = store.require(Slot("elicitation", "camps", "ease", "cpu")).verify()
    assert found.parents["trained_model"] == trained.reference
    rows = pq.read_table(found.folder / "questions.parquet").to_pylist()
    assert 1 <= len(rows) <= 2
    for row in rows:
        assert row["title"] in result.output
        assert row["gain"] > 0
        assert 0 < row["known_by"] <= 1
    assert rows[-1]["value"] == pytest.approx(found.facts["validation"]["nothing"] + sum(row["gain"] for row in rows))
    test, compared = found.facts["test"], found.facts["comparison"]
    assert compared["difference"] == pytest.approx(test["chosen"] - test["popular"])
    assert found.facts["users"] + compared["users"] == 60


def test_movies_without_a_title_are_asked_about_by_number(
    small_data: list[str], movielens_folder: Path, tmp_path: Path
) -> None:
    settings = load_settings(
        [*small_data, "data=custom", f"data.ratings_file='{movielens_folder / 'ratings.csv'}'", "model=ease"]
        + [f"data.columns.{name}={column}" for name, column in (("user", "userId"), ("item", "movieId"))]
        + ["data.item_noun=DVD"]
    )
    store = ArtifactStore(tmp_path / "store")
    made = pipeline.prepare(store, settings.data)
    trained = pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])
    questions = pq.read_table(measure_elicitation(store, trained, 2).folder / "questions.parquet").to_pylist()
    assert [row["title"] for row in questions] == [f"DVD {row['movie_id']}" for row in questions]


def test_the_command_says_so_where_there_is_nothing_to_ask(small_data: list[str], tmp_path: Path) -> None:
    store, settings = ArtifactStore(tmp_path / "store"), load_settings([*small_data, "model=popularity"])
    made = pipeline.prepare(store, settings.data)
    pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])

    result = CliRunner().invoke(cli, ["elicitation", "--artifacts", str(store.root), "--model", "popularity"])

    assert result.exit_code == 0, result.output
    assert "No movie is worth asking about" in " ".join(result.output.split())
    found = store.require(Slot("elicitation", "camps", "popularity", "cpu")).verify()
    assert pq.read_table(found.folder / "questions.parquet").num_rows == 0
    assert found.facts["test"]["chosen"] == found.facts["test"]["nothing"]
