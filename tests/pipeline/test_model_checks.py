"""Checks of a model's artifacts, after something between training and serving went wrong."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from camps import camps_settings, write_camps

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.evaluation.report import LISTS_FILE, REPORT_FILE, USERS_FILE
from movierec_engine.pipeline import model_checks
from movierec_engine.store import Artifact, ArtifactStore, Slot, kinds

Made = dict[str, Artifact]
MODEL = (kinds.TRAINED_MODEL, kinds.EVALUATION_REPORT, kinds.FAISS_INDEX)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of ease on the camps, from the data to the index; nobody changes it."""
    home = tmp_path_factory.mktemp("line")
    write_camps(home / "movies")
    settings = camps_settings(home / "movies", home / "checkpoints")
    pipeline.run(ArtifactStore(home / "store"), load_settings([*settings, "model=ease"]))
    return home


@pytest.fixture
def store(line: Path, tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(Path(shutil.copytree(line / "store", tmp_path / "store", symlinks=True)))


@pytest.fixture
def made(store: ArtifactStore) -> Made:
    """The newest of each kind."""
    return {
        kind: store.require(next(iter(store.slots(kind)))) for kind in (*kinds.DATA, *MODEL)
    }  # fmt: skip


def with_history(store: ArtifactStore, *losses: float | None, **facts: object) -> Artifact:
    rows = [{"epoch": number, "loss": loss, "seconds": 0.1} for number, loss in enumerate(losses, start=1)]
    return store.publish(
        Slot("trained_model", "camps", "gmf", "cpu"),
        lambda folder: pq.write_table(pa.Table.from_pylist(rows), folder / "history.parquet"),
        key="key",
        fingerprint="print",
        facts={"validation_metrics": {"ndcg@10": 0.2}, **facts},
    )


def rewritten(artifact: Artifact, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a table of an artifact in place, as a fault in the step that writes it would."""
    path = artifact.folder / name
    pq.write_table(change(pq.read_table(path)), path)


def test_all_checks_pass_on_what_the_line_makes(store: ArtifactStore, made: Made) -> None:
    found = [
        model_checks.loss_is_finite(store, made["trained_model"]),
        model_checks.loss_falls(store, made["trained_model"]),
        model_checks.reaches_popularity(store, made["trained_model"]),
        model_checks.report_adds_up(store, made["evaluation_report"]),
        model_checks.nothing_seen_is_recommended(store, made["evaluation_report"]),
        model_checks.index_finds_the_best(store, made["faiss_index"]),
        model_checks.serving_parity(store, made["faiss_index"]),
    ]
    assert [one.sentence for one in found if not one.passed] == []
    assert found[-1].numbers == {"users": 60, "different": 0}


def test_a_loss_that_is_no_number_is_found(store: ArtifactStore) -> None:
    assert model_checks.loss_is_finite(store, with_history(store, 2.0, 1.0)).passed
    assert not model_checks.loss_is_finite(store, with_history(store, 2.0, math.nan)).passed
    assert not model_checks.loss_is_finite(store, with_history(store, 2.0, None)).passed
    broken = {"validation_metrics": {"ndcg@10": math.inf}}
    assert not model_checks.loss_is_finite(store, with_history(store, 2.0, 1.0, **broken)).passed


@pytest.mark.parametrize(("losses", "falls"), [((2, 1, 1.5), True), ((1, 1, 1), False), ((1, 2), False), ((1,), True)])
def test_a_loss_falls_if_it_was_ever_below_the_first(
    store: ArtifactStore, losses: tuple[float, ...], falls: bool
) -> None:
    assert model_checks.loss_falls(store, with_history(store, *losses)).passed is falls


def test_a_model_below_popularity_is_told_what_to_do_and_a_warning_in_training_says_the_same(
    store: ArtifactStore, made: Made, line: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A penalty of 1e30 leaves als no vectors, whose ties count against it."""
    settings = camps_settings(line / "movies", line / "checkpoints")
    data = made["splits"], made["interaction_graph"]
    floor = pipeline.train_model(store, load_settings([*settings, "model=popularity"]), *data)
    als = ["model=als", "model.l2=1e30", "model.popularity_weight=0"]
    hopeless = pipeline.train_model(store, load_settings([*settings, *als]), *data)
    metric = "ndcg@10"
    for one in (made["trained_model"], floor, hopeless):
        assert one.facts["popularity"] == {metric: floor.facts["validation_metrics"][metric]}
    found = model_checks.reaches_popularity(store, hopeless)
    assert not found.passed
    assert found.sentence.startswith("als is worse than popularity on validation (ndcg@10 0.")
    assert found.sentence.endswith("find better settings with `movierec tune als --minutes 10`")
    assert [record.getMessage() for record in caplog.records if "popularity" in record.getMessage()] == [found.sentence]
    assert model_checks.reaches_popularity(store, floor).passed
    assert model_checks.reaches_popularity(store, with_history(store, 1.0)).passed, "nothing is known of one of before"


def test_a_mean_that_is_not_its_users_is_found(store: ArtifactStore, made: Made) -> None:
    report = made["evaluation_report"].folder / REPORT_FILE
    report.write_text(report.read_text().replace('"ndcg@10": 0.', '"ndcg@10": 0.9', 1))
    found = model_checks.report_adds_up(store, made["evaluation_report"])
    assert not found.passed
    assert "ndcg@10 not the mean of the users'" in found.sentence


def test_a_user_who_is_counted_twice_is_found(store: ArtifactStore, made: Made) -> None:
    rewritten(made["evaluation_report"], USERS_FILE, lambda users: pa.concat_tables([users, users.slice(0, 1)]))
    assert model_checks.report_adds_up(store, made["evaluation_report"]).numbers["twice"] == 1


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_recommended_movie_that_its_user_has_before_test_is_found(
    store: ArtifactStore, made: Made, part: str
) -> None:
    known = getattr(pipeline.load_split(made["splits"]), part)
    user, movie = int(known.users.ids[known.user[0]]), int(known.items.ids[known.item[0]])

    def leaking(lists: pa.Table) -> pa.Table:
        first = pc.and_(pc.equal(lists["user_id"], user), pc.equal(lists["rank"], 1))
        movies = pc.if_else(first, movie, lists["movie_id"])
        return lists.set_column(lists.schema.get_field_index("movie_id"), "movie_id", movies)

    rewritten(made["evaluation_report"], LISTS_FILE, leaking)
    found = model_checks.nothing_seen_is_recommended(store, made["evaluation_report"])
    assert not found.passed
    assert found.numbers["seen"] == 1


def test_an_index_that_misses_two_in_a_hundred_is_found(store: ArtifactStore, made: Made) -> None:
    index = made["faiss_index"]
    poor = replace(index, facts={**index.facts, "recall": 0.98})
    assert not model_checks.index_finds_the_best(store, poor).passed
    assert model_checks.index_finds_the_best(store, replace(index, facts={**index.facts, "recall": 0.99})).passed


def test_parity_names_a_user_who_gets_another_list(store: ArtifactStore, made: Made) -> None:
    def swapped(lists: pa.Table) -> pa.Table:
        rows = list(range(len(lists)))
        rank = lists["rank"].to_pylist()
        rows[0], rows[-1] = rows[-1], rows[0]  # the first user's best movie and the last one's last change places
        movies = lists["movie_id"].take(rows)
        assert rank[0] == 1
        return lists.set_column(lists.schema.get_field_index("movie_id"), "movie_id", movies)

    rewritten(made["evaluation_report"], LISTS_FILE, swapped)
    found = model_checks.serving_parity(store, made["faiss_index"])
    assert not found.passed
    assert 1 <= found.numbers["different"] <= 2
    assert "such as user" in found.sentence


def test_held_out_users_are_served_with_the_lists_that_were_evaluated(line: Path, tmp_path: Path) -> None:
    """The store has a split of another kind already; what is newest is that of whole users."""
    store = ArtifactStore(Path(shutil.copytree(line / "store", tmp_path / "store", symlinks=True)))
    camps = camps_settings(line / "movies", line / "checkpoints")
    settings = load_settings([*camps, "model=ease", "data.split=users", "data.train_ratio=0.5", "data.val_ratio=0.25"])
    made = pipeline.run(store, settings)
    found = [
        model_checks.serving_parity(store, made["faiss_index"]),
        model_checks.nothing_seen_is_recommended(store, made["evaluation_report"]),
        model_checks.nothing_rated_is_served(store, made["faiss_index"]),
        model_checks.report_adds_up(store, made["evaluation_report"]),
        model_checks.reaches_popularity(store, made["trained_model"]),
    ]
    assert [one.sentence for one in found if not one.passed] == []
    assert found[0].numbers == {"users": 15, "different": 0}
    metrics = made["evaluation_report"].facts["metrics"]
    assert {"capped_recall@20", "capped_recall@50", "ndcg@100", "ndcg@10"} <= set(metrics)
    assert pipeline.is_current(store, settings, made["splits"])
    board = pipeline.rank_models(store, "camps", "ndcg@10")
    assert [row["report"] for row in board.facts["rows"]] == [made["evaluation_report"].reference]


def test_parity_compares_with_a_report_of_the_same_model_version_alone(
    store: ArtifactStore, made: Made, line: Path
) -> None:
    camps = camps_settings(line / "movies", line / "checkpoints")
    settings = load_settings([*camps, "model=ease", "model.l2=1"])
    model = pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])
    index = pipeline.build_faiss_index(store, model, made["raw_movies"], settings.retrieval)
    found = model_checks.serving_parity(store, index)
    assert found.passed
    assert "no report yet" in found.sentence


@pytest.mark.parametrize(
    ("evaluated", "rank"),
    [
        ([1, 2, 3], 0),
        ([1, 3, 2], 0),  # 2 and 3 are tied
        ([1, 2, 4], 0),  # so are 3 and 4, across the end of the list
        ([2, 1, 3], 1),
        ([1, 2, 9], 3),
    ],
)
def test_movies_may_change_places_only_where_their_scores_are_tied(evaluated: list[int], rank: int) -> None:
    answered = [(1, 0.9), (2, 0.5), (3, 0.5 - 1e-7), (4, 0.5 - 1e-7), (5, 0.1)]
    assert model_checks.first_difference(evaluated, answered) == rank
