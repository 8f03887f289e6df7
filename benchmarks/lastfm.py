"""Measure the models and their ensemble on LastFM by the LightGCN authors' split, settings chosen on a part of train.

    OMP_NUM_THREADS=1 python benchmarks/lastfm.py --folder FOLDER                               # search, all models
    OMP_NUM_THREADS=1 python benchmarks/lastfm.py --folder FOLDER --models als --trials 12      # a piece
    OMP_NUM_THREADS=1 python benchmarks/lastfm.py --folder FOLDER --test                        # then measure on test
    python benchmarks/lastfm.py --page                                                          # write the page anew

FOLDER has `lastfm/train.parquet` and `lastfm/test.parquet`. A random tenth of each user's train is validation, which
chooses by ndcg@20: settings among the default, as the first trial, and those of TPE over configs/sweep/<model>.yaml;
epochs; then the members and the fusion among ENSEMBLES, whose value is the cross-fitted one. What is chosen is trained
once more on all of train, for as many epochs, the ensemble with the weights that were learned on validation, and
measured on test once. Every model is a file of benchmarks/results/lastfm/, in which trials are not made again; writes
benchmarks/results/lastfm.md.
"""

import argparse
import json
import os
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import defaults
from graph_filters import lastfm_whole
from people_never_seen import searched
from rich.console import Console

from movierec_engine.config import load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.split import Split
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.comparison import compare_paired
from movierec_engine.models import Recommender, model_class
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.fitting import Fitting

RESULTS = Path(__file__).with_name("results") / "lastfm"
PAGE = RESULTS.with_suffix(".md")
CHOSEN_BY = "ndcg@20"
METRICS = ("recall@20", CHOSEN_BY)
EVALUATOR = Evaluator([20], ("recall", "ndcg"))
ENSEMBLE = "hybrid_ensemble"
MEMBERS = ("gf_cf", "lightgcn", "als", "ease", "gmf", "item_cf")
MODELS = ("popularity", *MEMBERS, ENSEMBLE)
ENSEMBLES = [
    [f"model.models=[{','.join(members)}]", f"model.metric={CHOSEN_BY}", *fusion]
    for members, *fusion in (
        (MEMBERS,),
        (MEMBERS, "model.learn_weights=false"),
        (MEMBERS, "model.fusion_method=rrf"),
        (MEMBERS, "model.fusion_method=stacking"),
        (MEMBERS[:4],),
        (MEMBERS[:4], "model.learn_weights=false"),
        (MEMBERS[:4], "model.fusion_method=rrf"),
        (MEMBERS[:4], "model.fusion_method=stacking"),
        (MEMBERS[:3],),
        (MEMBERS[:2],),
    )
]
"""Settings of the ensemble."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of lastfm")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--trials", type=int, default=8, help="settings that are tried, the default among them")
    parser.add_argument("--test", action="store_true", help="measure what is chosen on test, and search no more")
    parser.add_argument("--page", action="store_true", help="only write the page")
    asked = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in asked.models if not asked.page else ():
        (measure if asked.test else search)(name, asked.folder, asked.trials)
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    console.print(f"wrote {PAGE}")


def search(name: str, folder: Path, trials: int) -> None:
    """Make the trials that are missing; each is recorded as it ends."""
    record = read(name)
    made = record["trials"]
    tried = [trial["settings"] for trial in made]
    wanted = (
        (words for words in ENSEMBLES if words not in tried)
        if name == ENSEMBLE
        else searched(name, made, trials, CHOSEN_BY)
    )
    for words in wanted:
        started = time.process_time()
        model, seconds = fitted(name, tuple(words), folder, whole=False), time.process_time() - started
        reached = EVALUATOR.evaluate(model.as_validated(), parts_of(folder, False).validation_heldout(), deep=False)
        epochs = max(model.epochs, key=lambda epoch: epoch.metrics[CHOSEN_BY]).number if model.epochs else 0
        trial = {"settings": words, **{m: reached.metrics[m] for m in METRICS}, "epochs": epochs}
        if isinstance(model, HybridEnsemble):
            trial["members"] = [member.name for member in model.members]
        made.append({**trial, "seconds": round(seconds, 2)})
        write(name, record)
        console.print(f"{name} {made[-1]}", markup=False, soft_wrap=True)


def measure(name: str, folder: Path, _: int) -> None:
    """Train the best of validation on all of train and measure it on test, unless that was done."""
    record = read(name)
    best = best_of(record)
    if record.get("test", {}).get("settings") == best["settings"]:
        return
    parts = parts_of(folder, True)
    heldout = HeldOut(parts.test, parts.train.matrix(), "train", parts.test_heldout().catalogue)
    found = EVALUATOR.evaluate(fitted(name, tuple(best["settings"]), folder, whole=True), heldout, deep=False)
    values = {m: [round(float(value), 6) for value in found.per_user[m]] for m in METRICS}
    record["test"] = {"settings": best["settings"], "times": record.get("test", {}).get("times", 0) + 1, **values}
    write(name, record)
    console.print(name, {m: round(found.metrics[m], 4) for m in METRICS}, markup=False)


@cache
def parts_of(folder: Path, whole: bool) -> Split:
    return lastfm_whole(folder) if whole else defaults.lastfm(folder)


@cache
def fitted(name: str, words: tuple[str, ...], folder: Path, whole: bool) -> Recommender:
    """A model with these settings, on all of train or beside the validation part of it."""
    record, parts = read(name), parts_of(folder, whole)
    own = [f"model={name}", "device=cpu", "data.name=lastfm", f"trainer.early_stopping.metric={CHOSEN_BY}", *words]
    if whole and (epochs := best_of(record)["epochs"]):
        own += [f"trainer.max_epochs={epochs}", "trainer.early_stopping.enabled=false"]
    settings = load_settings(own)
    model = model_class(name)(settings.model)
    if not isinstance(model, HybridEnsemble):
        data = Dataset(parts.train, None if whole else parts.validation_heldout())
        return model.fit(data, Fitting(settings.trainer, "cpu", settings.seed, evaluator=EVALUATOR))
    if whole:
        learned = fitted(name, words, folder, whole=False)
        assert isinstance(learned, HybridEnsemble)
        model.combine([member(one.name, folder, True) for one in learned.members], learned.weights)
        return model
    model.start_from({one: member(one, folder, False) for one in model.config.models})
    return model.fit(Dataset(parts.train, parts.validation_heldout()))


def member(name: str, folder: Path, whole: bool) -> Recommender:
    return fitted(name, tuple(best_of(read(name))["settings"]), folder, whole)


def best_of(record: dict[str, Any]) -> dict[str, Any]:
    best: dict[str, Any] = max(record["trials"], key=lambda trial: trial[CHOSEN_BY])
    return best


def read(name: str) -> dict[str, Any]:
    file = RESULTS / f"{name}.json"
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"trials": []}
    return record


def write(name: str, record: dict[str, Any]) -> None:
    (RESULTS / f"{name}.json").write_text(json.dumps(record) + "\n", encoding="utf-8")


def page() -> list[str]:
    lines = [
        "# LastFM",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/lastfm.py --folder FOLDER`, then with `--test`; "
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores. The LightGCN authors' train and test, all ranked "
        f"in full. Settings, epochs, members and fusion were chosen by {CHOSEN_BY} on a random tenth of each user's "
        "train; then one training on all of train and one measurement on test. The ensemble's value on validation is "
        "cross-fitted, its weights on test are those that were learned on validation. 95 % intervals are of the same "
        "users' differences; p: bootstrap, Wilcoxon. gf_cf had alpha=0.7 by default when this was measured, and als's "
        "relative_l2 was in units of 1 / sqrt(mean interactions of a user) + 1 / sqrt(mean interactions of an item).",
        "",
        f"| model | validation {' / '.join(METRICS)} | test {' / '.join(METRICS)} | - gf_cf, {CHOSEN_BY} | p | tried "
        "| chosen settings | epochs | fit s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    records = {name: read(name) for name in MODELS if (RESULTS / f"{name}.json").exists()}
    for name, record in records.items():
        best = best_of(record)
        cells = [" / ".join(f"{best[m]:.4f}" for m in METRICS), "", "", ""]
        if "test" in record:
            cells[1] = " / ".join(f"{sum(record['test'][m]) / len(record['test'][m]):.4f}" for m in METRICS)
            if name != "gf_cf" and "test" in records.get("gf_cf", {}):
                one = compare_paired(*(records[of]["test"][CHOSEN_BY] for of in (name, "gf_cf")))
                cells[2] = f"{one.difference:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
                cells[3] = f"{one.p_bootstrap:.3f}, {one.p_wilcoxon:.3f}"
        words = " ".join(best["settings"]).replace("model.", "") or "default"
        if name == ENSEMBLE:
            words += f"; of {', '.join(best['members'])}"
        lines.append(
            f"| {name} | {' | '.join(cells)} | {len(record['trials'])} | {words} | {best['epochs'] or ''} "
            f"| {best['seconds']:.1f} |"
        )
    lines += [
        "",
        "Every ensemble, on validation:",
        "",
        f"| settings | members | {' / '.join(METRICS)} |",
        "|---|---|---|",
    ]
    for trial in records.get(ENSEMBLE, {"trials": []})["trials"]:
        words = " ".join(trial["settings"][2:]).replace("model.", "") or "default"
        lines.append(f"| {words} | {', '.join(trial['members'])} | {' / '.join(f'{trial[m]:.4f}' for m in METRICS)} |")
    return lines


if __name__ == "__main__":
    main()
