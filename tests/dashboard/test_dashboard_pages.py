"""Compare two, training, segments and data as a visitor sees them, over a store whose numbers are known."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from page_reading import metrics, text, titles
from streamlit.testing.v1 import AppTest

from dashboard.plots import compare as plots
from dashboard.plots import data as data_plots
from dashboard.plots import training as training_plots
from dashboard.queries import data, pairs, segments, training
from dashboard.views.training import setting_rows
from movierec_engine.store import ArtifactStore, Slot, process

PAGES = ("compare", "training", "segments", "data", "explore", "sweeps", "operations")

Open = Callable[..., AppTest]


@pytest.mark.parametrize("page", ["leaderboard", *PAGES])
def test_an_empty_store_says_which_command_fills_it(visit: Open, tmp_path: Path, page: str) -> None:
    app = visit(ArtifactStore(tmp_path / "nothing"), page)
    commands = "\n".join(one.value for one in app.code) + text(app)
    assert "movierec demo" in commands
    assert "movierec train" in commands


FOUND_BY_ITS_MANIFEST = (
    shutil.rmtree,
    lambda folder: (folder / "manifest.json").write_text("{"),
    lambda folder: (folder.parent / "LATEST").write_text("20990101T000000000Z-gone-0000"),
)
FILES = (
    lambda folder: [path.unlink() for path in folder.iterdir() if path.name != "manifest.json"],
    lambda folder: [path.write_bytes(path.read_bytes()[:20]) for path in folder.glob("*.parquet")],
)


@pytest.mark.parametrize("page", ["leaderboard", *PAGES])
@pytest.mark.parametrize("harms", [FOUND_BY_ITS_MANIFEST, FILES], ids=["not found", "without its files"])
def test_no_damage_breaks_a_page(
    visit: Open, damaged: ArtifactStore, page: str, harms: tuple[Callable[[Path], object], ...]
) -> None:
    """Each artifact has one of the damages in turn, the pages beginning with another one each."""
    first = ["leaderboard", *PAGES].index(page)
    for place, manifest in enumerate(sorted(damaged.root.rglob("manifest.json")), start=first):
        harms[place % len(harms)](manifest.parent)
    visit(damaged, page)


@pytest.mark.parametrize("page", ["leaderboard", "explore", "operations"])
def test_how_many_reports_cannot_be_read_stands_above_the_verdict(
    visit: Open, damaged: ArtifactStore, page: str
) -> None:
    (path,) = damaged.root.glob("evaluation_report/tiny/popularity/cpu/*/report.json")
    path.write_text("{")
    app = visit(damaged, page)
    first = app.main.children[1].children[0]
    assert first.value == "1 of 2 reports unreadable", "before anything of the page"
    assert "popularity on cpu is left out" in text(app)


def test_a_report_of_an_older_schema_is_a_note(visit: Open, damaged: ArtifactStore) -> None:
    (path,) = damaged.root.glob("evaluation_report/tiny/ease/cpu/*/report.json")
    report = json.loads(path.read_text())
    path.write_text(json.dumps(report | {"schema": 1}))
    assert "does not match its manifest's checksum" in text(visit(damaged, "compare"))


def test_two_models_are_compared_user_by_user(visit: Open, known: ArtifactStore) -> None:
    """Differences 0.6, 0 and -0.1: mean 1/6, sample deviation 0.3786, so that d is 0.440."""
    app = visit(known, "compare", a="ease", b="popularity")
    assert metrics(app)["Mean difference"] == "+0.1667"
    assert metrics(app)["Win / tie / loss"] == "1 / 1 / 1"
    assert metrics(app)["Effect size"] == "+0.44"
    assert "**ease** is statistically tied with popularity on NDCG@2" in text(app)
    assert "ease is better for 1 user, popularity for 1" in titles(app)


def test_two_models_are_compared_by_a_metric_of_which_less_is_better(visit: Open, known: ArtifactStore) -> None:
    """Disliked 0, 0, 0.5 of ease and 0.5, 0, 0.5 of popularity: ease is lower, and so better, for one user."""
    app = visit(known, "compare", a="popularity", b="ease", metric="disliked")
    assert metrics(app)["Lower by"] == "0.1667"
    assert metrics(app)["Win / tie / loss"] == "1 / 2 / 0"
    assert "**ease** is statistically tied with popularity on Disliked@2, where lower is better" in text(app)
    assert "ease is better for 1 user, popularity for 0" in titles(app)
    assert "Every difference on this page is above 0 where ease is better." in text(app)
    largest = next(one.value for one in app.dataframe if "Difference" in one.value)
    assert largest[["ease", "popularity", "Difference"]].to_numpy().tolist()[0] == [0, 0.5, 0.5]
    drawn = plots.difference_rows(-np.array([0.5, 0, 0]), ("popularity", "ease"))
    assert [row["better"] for row in drawn if row["users"]] == ["ease"]
    genre = {"kind": "genre", "segment": "Drama", "users": 3}
    means = [
        {**genre, "model": model, "value": value, "low": value - 0.01, "high": value + 0.01}
        for model, value in (("popularity", 0.5), ("ease", 0.1))
    ]
    (row,) = plots.mean_rows(means, ("popularity", "ease"), lower=True)
    assert (row["better"], row["ahead"]) == ("ease", "ease") and row["high"] < 0


def test_the_ends_of_the_histogram_say_that_they_are_open() -> None:
    difference = np.concatenate([np.linspace(-0.5, 0.5, 200), [1.0, -1.0]])
    rows = plots.difference_rows(difference, ("a", "b"))
    assert sum(row["users"] for row in rows) == 202
    assert rows[0]["bin"].endswith("or less") and rows[-1]["bin"].endswith("or more")
    assert " to " in rows[1]["bin"]


def test_the_lists_of_two_models_are_laid_over_each_other(visit: Open, known: ArtifactStore) -> None:
    """Shared: both of two, one, none. Jaccard 1, 1/3, 0."""
    ease, popularity = (known.latest(Slot("evaluation_report", "tiny", name, "cpu")) for name in ("ease", "popularity"))
    assert ease is not None
    assert popularity is not None
    found = pairs.overlap(ease.folder, popularity.folder, 2)
    assert found is not None
    assert sorted(found.jaccard) == pytest.approx([0, 1 / 3, 1])
    assert sorted(found.shared) == [0, 0.5, 1]
    assert [row["users"] for row in plots.overlap_rows(found, 2)] == [1, 1, 1], "0, 1 and 2 shared movies"
    assert "Their lists share 1.0 of 2 movies on average" in titles(visit(known, "compare"))


@pytest.mark.slow
def test_the_users_who_differ_most_come_with_their_lists(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "compare", a="ease", b="popularity")
    examples = app.dataframe[0].value
    assert list(examples["User"]) == [1, 3, 2]
    assert list(examples["Difference"]) == [0.6, -0.1, 0.0]
    assert list(app.dataframe[1].value["Movie"]) == ["Ten", "Twenty"]
    assert list(app.dataframe[1].value["In the test part"]) == ["", "✓"]
    third = visit(known, "compare", a="ease", b="popularity", user="3")
    assert list(third.dataframe[1].value["Movie"]) == ["Thirty", "Movie 40"]
    assert "**ease** for user 3: 0 hits in 2" in text(third)


def test_where_each_wins_is_told_from_the_means_when_users_cannot_be_tested(visit: Open, known: ArtifactStore) -> None:
    """The split of this store has no id maps, so that segments cannot be computed again."""
    assert "By genre: popularity is significantly better for Drama" in titles(
        visit(known, "compare", a="ease", b="popularity")
    )


def test_learning_curves_and_settings_of_runs(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "training")
    assert "lightgcn reaches the highest validation NDCG@10: 0.3000 at epoch 2 after 4.0 s" in titles(app)
    runs = app.dataframe[0].value
    assert list(runs["Run"]) == ["lightgcn"]
    assert list(runs["Seconds per epoch"]) == [2.0]
    assert list(runs["Dagster"]) == ["http://127.0.0.1:3000/runs/12345678-dagster"]
    both = visit(known, "training", runs="lightgcn,ease")
    settings = both.dataframe[1].value
    assert dict(zip(settings["Setting"], settings["ease"], strict=True)) == {"model.l2": "0.5", "model.name": "ease"}
    assert dict(zip(settings["Setting"], settings["lightgcn"], strict=True))["model.l2"] == "–"
    assert "2 of 4 settings differ" in text(both)


def test_settings_that_are_alike_are_not_marked(known: ArtifactStore) -> None:
    runs = {run.model: run for run in training.runs(known.root)}
    marked = {row["setting"]: row["differs"] for row in setting_rows(runs)}
    assert marked == {"data.name": False, "seed": False, "model.name": True, "model.l2": True}


def test_a_run_in_progress_shows(visit: Open, damaged: ArtifactStore) -> None:
    progress = {
        "name": "lightgcn-cpu-42",
        "model": "lightgcn",
        "device": "cpu",
        "max_epochs": 10,
        "metric": "ndcg@10",
        "patience": 5,
        "place": process.place(),
        "pid": os.getpid(),
        "state": "running",
        "started": time.time() - 61,
        "changed": time.time(),
        "epochs": [{"epoch": epoch, "loss": 1.0, "ndcg@10": epoch / 10} for epoch in (1, 2)],
    }
    path = damaged.root / "progress" / "run.json"
    path.parent.mkdir()
    path.write_text(json.dumps(progress))
    app = visit(damaged, "training")
    assert "is running: epoch 2 of at most 10, loss 1.0000, validation NDCG@10 0.2000" in text(app)
    assert "Best: 0.2000 at epoch 2; it stops at epoch 7 unless a later one is better" in text(app)
    chart = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    assert [layer["mark"].get("strokeDash") for layer in chart["layer"][:2]] == [[1, 0], [5, 4]]
    assert len(app.get("vega_lite_chart")) == 3, "one chart of curves, and the two of costs"
    path.write_text(json.dumps(progress | {"state": "failed", "reason": "ratings.csv: line 2: no rating"}))
    assert "failed after 61 s and 2 epochs: ratings.csv: line 2: no rating." in text(visit(damaged, "training"))
    path.write_text(json.dumps(progress | {"pid": 2**30}))
    assert "stopped before it was finished after 60 s and 2 epochs" in text(visit(damaged, "training")).replace(
        "61 s", "60 s"
    )
    path.write_text("{")
    assert training.in_progress(damaged.root) == []

    def states(**changes: object) -> list[str]:
        path.write_text(json.dumps(progress | changes))
        return [one.state for one in training.in_progress(damaged.root)]

    assert states(pid=2**30, place="elsewhere") == ["running"], "of another machine nobody knows"
    assert states(state="failed") == ["failed"]
    assert states(state="failed", changed=time.time() - 3700) == states(pid=2**30, changed=time.time() - 3700) == []
    assert states(changed=time.time() - 3700) == ["running"]


def test_early_stopping_waits_from_the_best_epoch_on() -> None:
    epochs = [{"epoch": epoch, "ndcg@10": value} for epoch, value in ((1, 0.1), (2, 0.3), (3, 0.2))]
    rows = training_plots.curve_rows({"gmf": epochs, "als": epochs}, "ndcg@10")
    (wait,) = training_plots.patience_rows(rows, "ndcg@10", {"gmf": 5})
    assert (wait["model"], wait["epoch"], wait["until"], wait["value"]) == ("gmf", 2, 7, 0.3)


def test_segments_say_for_whom_each_is_good(visit: Open, known: ArtifactStore) -> None:
    shown = titles(visit(known, "segments"))
    assert "By activity: no model is above ease by intervals that do not overlap" in shown
    assert "By genre: popularity is above ease by intervals that do not overlap for Drama" in shown
    assert "ease has the highest NDCG@2 and the highest Novelty@2" in shown


def test_concentration_is_that_of_the_lists(visit: Open, known: ArtifactStore) -> None:
    """popularity: places 0, 0, 3, 3 of four movies: Gini (-3*0 - 0 + 3 + 9) / (4 * 6) = 0.5."""
    artifact = known.latest(Slot("evaluation_report", "tiny", "popularity", "cpu"))
    assert artifact is not None
    listed = segments.listed_movies(artifact.folder, 2)
    assert listed is not None
    found = segments.exposure(listed, 4)
    assert (found.gini, found.shown, found.items) == (0.5, 2, 4)
    assert found.places.tolist() == [0, 0, 0, 0.5, 1]
    assert "ease spreads its lists most evenly: 100 % of the catalogue is shown" in titles(visit(known, "segments"))


def test_fold_in_and_dials_say_what_they_cost(visit: Open, known: ArtifactStore) -> None:
    """0.18 of 0.2 is 90 %; novelty loses 0.1 of 0.2."""
    shown = titles(visit(known, "segments"))
    assert any("fold-in of the whole history gives 90 % of the quality of training on them" in title for title in shown)
    assert "ease: novelty, fully turned up, costs most: 50 % of NDCG@10" in shown
    assert "Novelty changes its own measure most, by +10 %" in shown


def test_curves_that_nobody_measured_name_their_command(visit: Open, damaged: ArtifactStore) -> None:
    for kind in ("strong_generalization", "reranking_tradeoff"):
        shutil.rmtree(damaged.root / kind)
    commands = [code.value for code in visit(damaged, "segments").code]
    assert "movierec strong-generalization --model ease" in commands
    assert "movierec dials --model ease" in commands


def test_curves_that_lack_a_column_are_left_out(damaged: ArtifactStore) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (path,) = damaged.root.glob("strong_generalization/*/*/*/*/curve.parquet")
    pq.write_table(pa.table({"something": [1]}), path)
    assert segments.fold_in_curves(damaged.root, "tiny") == []


def test_the_data_page_counts_and_says_what_was_dropped(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "data")
    numbers = metrics(app)
    assert (numbers["Ratings"], numbers["Users"], numbers["Movies"]) == ("6", "3", "3")
    assert numbers["Matrix density"] == "66.67 %"
    dropped = app.dataframe[0].value
    assert list(dropped["Count"]) == [2]
    assert "Kept: ratings of at least 2, of users with at least 1 and movies with at least 1 of them" in text(app)
    shown = titles(app)
    assert "25 % of the rows that were read are in train" in shown, "2 of 8"
    assert "The commonest rating is 4 (50 %); the mean is 3.33" in shown
    assert "Half of the users have at most 2 ratings, the top one 3" in shown
    assert "Split by global_time: the test ratings were made after those of train, as in service" in shown
    parts = app.dataframe[1].value
    assert list(parts["Part"]) == ["train", "validation", "test"]
    assert list(parts["First"]) == ["2000-01-01", "2000-01-02", "2000-01-04"]


def test_a_split_that_is_gone_is_not_taken_for_ratings_without_times(visit: Open, damaged: ArtifactStore) -> None:
    splits = damaged.latest(Slot("splits", "tiny"))
    assert splits is not None
    (splits.folder / "split.parquet").unlink()
    said = text(visit(damaged, "data"))
    assert f"The split {splits.reference} cannot be read; delete that folder and train again" in said
    assert "carry no times" not in said


def test_versions_of_a_data_set_are_compared(visit: Open, damaged: ArtifactStore) -> None:
    """One more user, who rated one more movie."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from known_store import RATINGS

    more = {name: [*values, extra] for (name, values), extra in zip(RATINGS.items(), (4, 50, 5.0, 0), strict=True)}
    old = damaged.latest(Slot("raw_ratings", "tiny"))
    assert old is not None
    damaged.publish(
        Slot("raw_ratings", "tiny"),
        lambda folder: pq.write_table(pa.table(more), folder / "ratings.parquet"),
        key="n",
        fingerprint="",
        facts={"ratings": 7, "users": 4, "movies": 4},
    )
    app = visit(damaged, "data")
    assert app.dataframe[-1].value.to_dict("list") == {
        "What": ["New users", "Gone users", "New movies", "Gone movies"],
        "Count": [1, 0, 1, 0],
    }
    assert "From the oldest version here to the newest: +1 ratings" in titles(app)
    assert "No drift: users, items" in text(app)
    assert any(title.startswith("Users are distributed as before: distance") for title in titles(app))
    assert "Nothing was split from this version yet" in text(app)


def test_a_long_tail_is_the_share_of_the_most_active(known: ArtifactStore) -> None:
    """Movies have 3, 2 and 1 of the six ratings."""
    artifact = known.latest(Slot("raw_ratings", "tiny"))
    assert artifact is not None
    each = data.ratings_of_each(artifact.folder, "movie_id")
    assert each is not None
    tail, bins = data.long_tail(each, "movies")
    assert [(row["from"], row["to"], row["count"]) for row in bins] == [(1, 1, 1), (2, 3, 2)]
    assert (tail.n, tail.smallest, tail.median, tail.largest) == (3, 1, 2.0, 3)
    assert tail.share == pytest.approx((0, 1 / 3, 2 / 3, 1))
    assert tail.ratings == pytest.approx((0, 1 / 2, 5 / 6, 1))
    assert data_plots.rating_rows(data.rating_counts(artifact.folder))[0]["rating"] == "1"
