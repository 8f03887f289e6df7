"""What the dashboard reads of the store, and how it words it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.plots import tradeoffs
from dashboard.queries import leaderboard, measures, pairs, reports, seeds, store_files, versions
from movierec_engine.evaluation.metrics import metrics
from movierec_engine.store import Artifact, ArtifactStore

Publish = Callable[..., Artifact]


def over_seeds(store: ArtifactStore) -> list[seeds.OverSeeds]:
    slots = store_files.slot_folders(store.root, "evaluation_report")
    found = [one for folder in slots for one in versions.report_versions(store.root, folder)]
    return seeds.over_seeds(store.root, [one for one in found if isinstance(one, versions.ReportVersion)])


def models(snapshot: reports.Snapshot) -> list[str]:
    return snapshot.reports.column("model").to_pylist()


def test_the_report_that_latest_names_is_read(store: ArtifactStore, publish: Publish) -> None:
    first = publish("ease", 0.1)
    publish("ease", 0.2)
    assert reports.load(store.root).reports.num_rows == 1
    store.set_latest(first)
    assert reports.load(store.root).scores.column("score").to_pylist()[0] == 0.1


def test_without_a_readable_latest_the_newest_readable_report_is_read(store: ArtifactStore, publish: Publish) -> None:
    old = publish("ease", 0.1)
    new = publish("ease", 0.2)
    store.storage.latest_file(new.slot).unlink()
    assert reports.load(store.root).reports.column("version").to_pylist() == [new.version]
    (new.folder / "report.json").unlink()
    snapshot = reports.load(store.root)
    assert snapshot.reports.column("version").to_pylist() == [old.version]
    assert f"version {old.version} is shown instead" in snapshot.notes[0]
    newest = publish("ease", 0.3)
    (newest.folder / "report.json").unlink()
    (note,) = reports.load(store.root).notes
    assert note.startswith(f"{newest.slot}/{newest.version}/report.json is missing")
    assert note.endswith(f"version {old.version} is shown instead (1 older damaged versions were skipped too).")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "report.json").unlink(), "report.json is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "manifest.json is not a readable manifest"),
        (lambda folder: (folder / "report.json").write_text("{}"), "does not match its manifest's checksum"),
        (lambda folder: rewrite(folder, b"\xff\xfe"), "report.json is not readable JSON"),
        (lambda folder: rewrite(folder, b"[1]"), "report.json is not a report"),
        (lambda folder: change(folder, "schema", 1), "has schema 1, this dashboard reads 2"),
        (lambda folder: change(folder, "seconds", None), "lacks 'seconds', so an older program wrote it"),
        (lambda folder: change(folder, "seconds", -1), "has an unusable 'seconds'"),
        (lambda folder: change(folder, "seconds", True), "has an unusable 'seconds'"),
        (lambda folder: change(folder, "seconds", 10**400), "has an unusable 'seconds'"),
        (lambda folder: change(folder, "counts", {"users_evaluated": 2**70}), "has an unusable 'counts'"),
        (lambda folder: change(folder, "data", "\ud800"), "has an unusable 'data'"),
        (lambda folder: change(folder, "metrics", {"ndcg@10": "high"}), "has an unusable 'metrics'"),
        (lambda folder: change(folder, "metrics", {"ndcg@10": float("nan")}), "has an unusable 'metrics'"),
        (lambda folder: change(folder, "intervals", {"ndcg@10": [1]}), "has an unusable 'intervals'"),
    ],
)
def test_a_damaged_version_becomes_a_note(
    store: ArtifactStore, publish: Publish, damage: Callable[[Path], None], complaint: str
) -> None:
    publish("popularity", 0.1)
    damage(publish("ease", 0.2).folder)
    snapshot = reports.load(store.root)
    assert models(snapshot) == ["popularity"]
    (note,) = snapshot.notes
    assert complaint in note
    assert "run `movierec train model=ease device=cpu`" in note


def change(folder: Path, name: str, value: object) -> None:
    """Set one key of a report, or delete it."""
    report = json.loads((folder / "report.json").read_text())
    report[name] = value
    if value is None:
        del report[name]
    rewrite(folder, json.dumps(report).encode())


def rewrite(folder: Path, content: bytes) -> None:
    """Let report.json have this content, with the checksum of it in the manifest, as another program would write it."""
    (folder / "report.json").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["report.json"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_damaged_pointer_becomes_a_note(store: ArtifactStore, publish: Publish) -> None:
    publish("ease", 0.2)
    store.storage.pointer_file("serving", "small").parent.mkdir(parents=True)
    store.storage.pointer_file("serving", "small").write_text('{"reference": 3}')
    snapshot = reports.load(store.root)
    assert snapshot.serving == {}
    assert "pointers/small/serving.json does not name a readable index" in snapshot.notes[0]


def test_only_the_newest_of_thousands_of_versions_is_opened(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("ease", 0.1)
    newest = publish("ease", 0.2)
    for number in range(3000):
        (newest.folder.parent / f"20200101T{number:06d}").mkdir()
    opened = []
    get = ArtifactStore.get
    monkeypatch.setattr(ArtifactStore, "get", lambda self, slot, name: opened.append(name) or get(self, slot, name))
    store_files.signature(store.root)
    assert models(reports.load(store.root)) == ["ease"]
    assert opened == [newest.version]


def test_the_signature_changes_with_every_publication_and_promotion(
    store: ArtifactStore, publish: Publish, serve: Callable[[Artifact], None]
) -> None:
    seen = {store_files.signature(store.root)}
    report = publish("ease", 0.2)
    seen.add(store_files.signature(store.root))
    publish("ease", 0.3)
    seen.add(store_files.signature(store.root))
    serve(report)
    seen.add(store_files.signature(store.root))
    (report.folder.parent / reports.load(store.root).reports.column("version")[0].as_py() / "report.json").unlink()
    seen.add(store_files.signature(store.root))
    assert len(seen) == 5


def test_groups_hold_one_fingerprint_and_protocol_each(store: ArtifactStore, publish: Publish) -> None:
    publish("ease", 0.2)
    publish("lightgcn", 0.3)
    publish("popularity", 0.4, fingerprint="0" * 12)
    publish("random", 0.4, protocol="sampled_given")
    found = [group.id for group in leaderboard.groups(reports.load(store.root))]
    most_models_first = ["small/full/ffffffffffff", "small/sampled_given/ffffffffffff", "small/full/000000000000"]
    assert found == most_models_first, "and of equals the newest"
    snapshot = reports.load(store.root)
    assert [
        {one.model for one in leaderboard.standings(snapshot, group, "ndcg", 10)}
        for group in leaderboard.groups(snapshot)
    ] == [{"ease", "lightgcn"}, {"random"}, {"popularity"}]


def test_a_training_in_another_set_up_takes_no_report_from_the_board(store: ArtifactStore, publish: Publish) -> None:
    first = publish("ease", 0.2)
    publish("popularity", 0.1)
    other = publish("ease", 0.3, fingerprint="0" * 12)
    snapshot = reports.load(store.root)
    assert set(snapshot.reports.column("version").to_pylist()) >= {first.version, other.version}
    default, second = leaderboard.groups(snapshot)
    assert (default.fingerprint, default.models, second.models) == ("f" * 12, 2, 1)


def test_the_set_up_of_what_is_served_comes_first(
    store: ArtifactStore, publish: Publish, serve: Callable[[Artifact], None]
) -> None:
    for model in ("ease", "als", "popularity"):
        publish(model, 0.2)
    serve(publish("als", 0.3, fingerprint="0" * 12))
    publish("als", 0.4, fingerprint="1" * 12)
    assert [one.fingerprint[0] for one in leaderboard.groups(reports.load(store.root))] == ["0", "f", "1"]


def test_other_versions_are_read_once_they_are_chosen_and_named_by_what_differs(
    store: ArtifactStore, publish: Publish
) -> None:
    for seed, l2 in ((1, 5.0), (1, 5.0), (2, 1.0), (2, 2.0), (1, 1.0)):
        publish("als", 0.1 * seed, seed=seed, config={"model": {"name": "als", "l2": l2}})
    publish("ease", 0.3)
    snapshot = reports.load(store.root)
    found = versions.versions_in(store.root, "small", "f" * 12)
    newest, *older = [one for one in found if one.model == "als"]
    labels = versions.version_labels(older, {("als", "cpu"): newest})
    assert [labels[one.key] for one in older[:2]] == ["als · seed 2 · l2 2.0", "als · seed 2"]
    assert all(label.startswith("als · l2 5.0 · 20") for label in labels.values() if "seed" not in label)
    assert len(set(labels.values())) == 4
    assert sorted(models(snapshot)) == ["als", "ease"]
    assert sorted(models(reports.with_versions(snapshot, older[:2]))) == ["als", "als", "als", "ease"]


def test_reports_without_the_metric_stand_last(store: ArtifactStore, publish: Publish) -> None:
    publish("ease", 0.2)
    publish("lightgcn", 0.3, metrics={"recall@10": 0.1}, intervals={})
    snapshot = reports.load(store.root)
    ranked = leaderboard.standings(snapshot, leaderboard.groups(snapshot)[0], "ndcg", 10)
    assert [(standing.model, standing.score) for standing in ranked] == [("ease", 0.2), ("lightgcn", None)]


def test_of_equal_scores_the_one_that_trains_faster_is_first_and_less_may_be_better(
    store: ArtifactStore, publish: Publish, serve: Callable[[Artifact], None]
) -> None:
    def gap(value: float) -> dict[str, object]:
        return {"metrics": {"ndcg@10": 0.2, "disliked@10": value}, "intervals": {"disliked@10": [0.0, value]}}

    publish("ease", 0.2, seconds=5.0, **gap(0.1))
    publish("als", 0.2, seconds=2.0, **gap(0.3))
    serve(publish("svd", 0.2, seconds=9.0, device="cuda", **gap(0.2)))
    snapshot = reports.load(store.root)
    (group,) = leaderboard.groups(snapshot)
    ranked = leaderboard.standings(snapshot, group, "ndcg", 10)
    assert [(one.model, one.served) for one in ranked] == [("als", False), ("ease", False), ("svd", True)]
    assert (ranked[0].validation, ranked[0].low) == (pytest.approx(0.3), None)
    assert [one.model for one in leaderboard.standings(snapshot, group, "ndcg", 10, "cuda")] == ["svd"]
    assert leaderboard.devices(snapshot, group) == ["cpu", "cuda"]
    assert leaderboard.scores_at(snapshot, 10)[ranked[0].id, "ndcg"] == 0.2
    assert metrics()["disliked"].direction == "lower"
    ordered = leaderboard.standings(snapshot, group, "disliked", 10)
    assert [(one.model, one.score, one.high) for one in ordered] == [
        ("ease", 0.1, 0.1), ("svd", 0.2, 0.2), ("als", 0.3, 0.3)
    ]  # fmt: skip


def test_metrics_that_rank_no_model_are_none_of_the_leaderboards(store: ArtifactStore, publish: Publish) -> None:
    publish("ease", 0.2, metrics={"ndcg@5": 0.1, "ndcg@10": 0.2, "average_popularity@10": 3.0})
    snapshot = reports.load(store.root)
    assert leaderboard.metrics(snapshot, leaderboard.groups(snapshot)[0]) == {"ndcg": [5, 10]}


def test_the_paired_difference_is_that_of_the_same_users(publish: Publish, tmp_path: Path) -> None:
    folders = {model: publish(model, ndcg).folder for model, ndcg in (("popularity", 0.125), ("ease", 0.25))}
    (verdict,) = pairs.all_pairs(folders, "ndcg@10")
    assert (verdict.better, verdict.worse) == ("ease", "popularity")
    assert verdict.significant, "all ten users differ by the same amount"
    assert (verdict.comparison.difference, verdict.comparison.users) == (pytest.approx(0.125), 10)
    assert pairs.all_pairs(folders, "recall@10") == ()
    assert pairs.all_pairs({**folders, "ease": tmp_path}, "ndcg@10") == ()


def test_seeds_of_one_configuration_have_a_mean_and_a_deviation(store: ArtifactStore, publish: Publish) -> None:
    """0.1, 0.2 and 0.3: mean 0.2 and sample deviation sqrt((0.01 + 0 + 0.01) / 2) = 0.1."""
    reports = [publish("als", score, seed=seed) for seed, score in ((456, 0.3), (42, 0.1), (123, 0.2))]
    (summary,) = over_seeds(store)
    assert (summary.model, summary.device, summary.seeds) == ("als", "cpu", (42, 123, 456))
    assert summary.reports == tuple(reports[place].reference for place in (1, 2, 0))
    spread = summary.test["ndcg@10"]
    assert (spread.mean, spread.sd) == (pytest.approx(0.2), pytest.approx(0.1))
    assert summary.validation["ndcg@10"].mean == pytest.approx(0.3)


def test_the_newest_report_of_each_seed_counts(store: ArtifactStore, publish: Publish) -> None:
    publish("als", 0.9, seed=1)
    publish("als", 0.1, seed=1)
    publish("als", 0.3, seed=2)
    (summary,) = over_seeds(store)
    assert summary.test["ndcg@10"].mean == pytest.approx(0.2)


@pytest.mark.parametrize(
    "other",
    [
        {"config": {"model": {"name": "als", "l2": 2.0}}},
        {"config": {"model": {"name": "als", "l2": 1.0}, "trainer": {"max_epochs": 5}}},
        {"config": {"model": {"name": "als", "l2": 1.0}, "data": {"train_size": 0.5}}},
        {"fingerprint": "0" * 12},
        {"device": "cuda"},
        {"seed": 1},
    ],
    ids=", ".join,
)
def test_reports_that_differ_in_more_than_the_seed_or_not_in_the_seed_are_not_taken_together(
    store: ArtifactStore, publish: Publish, other: dict[str, object]
) -> None:
    alike: dict[str, object] = {"config": {"model": {"name": "als", "l2": 1.0}}}
    publish("als", 0.1, seed=1, **alike)
    publish("als", 0.2, **{"seed": 2, **alike, **other})
    assert over_seeds(store) == []


def test_a_seed_that_the_model_repeats_in_its_settings_does_not_keep_seeds_apart(
    store: ArtifactStore, publish: Publish
) -> None:
    for seed in (1, 2):
        trainer = {"max_epochs": 5, "resume": seed == 2, "checkpoint_seconds": seed}
        publish("als", 0.1, seed=seed, config={"model": {"name": "als", "seed": seed}, "trainer": trainer})
    assert len(over_seeds(store)) == 1


def test_damaged_reports_are_left_out_over_seeds(store: ArtifactStore, publish: Publish) -> None:
    for seed in (1, 2):
        publish("als", 0.1, seed=seed)
    (publish("als", 0.9, seed=3).folder / "report.json").write_text("half")
    (summary,) = over_seeds(store)
    assert summary.seeds == (1, 2)


def test_the_front_of_quality_and_cost_is_what_no_model_beats_on_both(store: ArtifactStore, publish: Publish) -> None:
    publish("popularity", 0.1, seconds=0.1)
    publish("ease", 0.3, seconds=2.0)
    publish("lightgcn", 0.2, seconds=50.0)
    snapshot = reports.load(store.root)
    ranked = leaderboard.standings(snapshot, leaderboard.groups(snapshot)[0], "ndcg", 10)
    labels = leaderboard.labels(ranked)
    every = measures.all_measures(snapshot, ranked, 10)
    assert {"ndcg@10", "coverage@10", "training", "latency", "memory", "model_size"} <= set(every)
    of = measures.values(snapshot, ranked, list(every))
    values = {labels[report]: own for report, own in of.items()}
    x, y = every["training"], every["ndcg@10"]
    ends = {"y": measures.intervals_of(snapshot, "ndcg@10", labels)}
    rows = tradeoffs.point_rows(list(values), values, x, y, every["recall@10"], ends, ["ease"])
    assert sorted(tradeoffs.front(rows, x, y)) == ["ease", "popularity"]
    by_name = {row["model"]: row for row in rows}
    assert (by_name["ease"]["y_low"], by_name["ease"]["y_high"]) == (pytest.approx(0.29), pytest.approx(0.31))
    assert (by_name["ease"]["chosen"], by_name["ease"]["size"]) == (True, pytest.approx(0.7))
    chart = tradeoffs.scatter(rows, x, y).to_dict()
    assert " ".join(chart["title"]["text"]) == "popularity and ease are on the Training – NDCG@10 front; 1 is dominated"
    assert " ".join(chart["title"]["subtitle"]) == (
        "up and to the left is better; dashed: the front, which no model dominates by its means; bars: 95 % intervals"
    )


@pytest.mark.parametrize(
    ("better", "head", "how"),
    [
        (
            "higher",
            "a and b are on the X – Y front; 1 is dominated",
            "up and to the right is better; dashed: the front",
        ),
        ("", "a has the highest Y, b the highest X", "up is better; X has no better end"),
    ],
)
def test_nothing_is_better_or_dominated_by_a_measure_without_a_better_end(better: str, head: str, how: str) -> None:
    x, y = (measures.Measure(key, key.upper(), key, way, str) for key, way in (("x", better), ("y", "higher")))
    values = {"a": {"x": 1.0, "y": 3.0}, "b": {"x": 2.0, "y": 2.0}, "c": {"x": 1.5, "y": 1.0}}
    chart = tradeoffs.scatter(tradeoffs.point_rows(list(values), values, x, y), x, y).to_dict()
    assert " ".join(chart["title"]["text"]) == head
    assert " ".join(chart["title"]["subtitle"]).startswith(how)
    assert "intervals" not in str(chart["title"]), "none is drawn"
    parallel, _ = tradeoffs.parallel(list(values), values, [x, y], {}, [])
    assert ("up is higher, and not better, for X" in str(parallel.to_dict()["title"])) == (not better)


def test_parallel_coordinates_have_the_better_end_up(store: ArtifactStore, publish: Publish) -> None:
    publish("popularity", 0.1, seconds=0.1)
    publish("ease", 0.3, seconds=10.0)
    snapshot = reports.load(store.root)
    ranked = leaderboard.standings(snapshot, leaderboard.groups(snapshot)[0], "ndcg", 10)
    every = measures.all_measures(snapshot, ranked, 10)
    values = {one.model: own for one in ranked for own in [measures.values(snapshot, [one], list(every))[one.id]]}
    settings = {"model.l2": {"ease": "5.0", "popularity": "1.0"}}
    _, rows = tradeoffs.parallel(list(values), values, [every["ndcg@10"], every["training"]], settings, ["ease"])
    places = {(row["model"], row["axis"]): row["place"] for row in rows}
    assert places["ease", "NDCG@10"] == 1 and places["popularity", "NDCG@10"] == 0
    assert places["ease", "Training"] == 0 and places["popularity", "Training"] == 1, "less is better"
    assert (places["popularity", "model.l2"], places["ease", "model.l2"]) == (0, 1)
