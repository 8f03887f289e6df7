"""Measure how models serve people whom they have never seen: strong generalization (Liang et al. 2018).

    OMP_NUM_THREADS=1 python benchmarks/people_never_seen.py --folder FOLDER                  # everything
    OMP_NUM_THREADS=1 python benchmarks/people_never_seen.py --data bundled --models als ease # a piece
    python benchmarks/people_never_seen.py --page                                             # write the page anew

The bundled data, and MovieLens 1M as `ml1m_sequences/ratings.parquet` (user, item, timestamp) of FOLDER. The users are
divided by data.split=users: a model is trained on some, its settings are chosen by ndcg@100 of the validation users,
who are folded in from four fifths of what they have, and it is measured once on the test users. The default settings
are the first of the trials, TPE over configs/sweep/<model>.yaml makes the others; those of hybrid_ensemble are
ENSEMBLES, whose members have the settings that were chosen for them before, and whose value on validation is the
cross-fitted one. The bundled data have few users, so they are divided three times, and a user's value is the mean over
the divisions in which it is a test user.

Each division of a model and a data set is a file of benchmarks/results/people_never_seen/; trials that are there are
not made again. `--seconds` ends a piece in time, and the next one goes on. Writes
benchmarks/results/people_never_seen.md.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow.parquet as pq
from bundled_data import bundled
from numpy.typing import NDArray
from rich.console import Console

from movierec_engine.config import load_settings
from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.split import Split, split, user_counts
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.comparison import ALPHA, compare_paired, holm
from movierec_engine.models import Recommender, model_class, model_names
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.fitting import Fitting
from movierec_engine.reporting import numbers
from movierec_engine.tuning.space import distributions, space_of

RESULTS = Path(__file__).with_name("results") / "people_never_seen"
PAGE = RESULTS.with_suffix(".md")
METRICS = {"capped_recall@20": "Recall@20", "capped_recall@50": "Recall@50", "ndcg@100": "NDCG@100"}
"""As Liang et al. 2018 name them; their recall is divided by min(k, relevant items)."""
CHOSEN_BY = "ndcg@100"
EVALUATOR = Evaluator([20, 50, 100], ("ndcg", "capped_recall"))
ENSEMBLE = "hybrid_ensemble"
MEMBERS = ("ease", "als", "gf_cf", "item_cf")
MODELS = ("popularity", *MEMBERS, ENSEMBLE)
ENSEMBLES = [
    [f"model.models=[{members}]", f"model.metric={CHOSEN_BY}", *fusion]
    for members, *fusion in (
        ("ease,als,gf_cf",),
        ("ease,als,gf_cf", "model.fusion_method=rrf"),
        ("ease,als,gf_cf", "model.fusion_method=stacking"),
        ("ease,als,gf_cf", "model.normalization=rank"),
        ("ease,als,gf_cf", "model.learn_weights=false"),
        ("ease,als",),
        ("als,gf_cf",),
        ("ease,als,gf_cf,item_cf",),
        ("",),
    )
]
"""Settings of the ensemble; without names its members are chosen among MEMBERS."""
BASELINE = "ease"
TRIALS = 8
DATA = {"bundled": ((1, 2, 3), 0.6, 0.2), "ml1m": ((1,), 0.8, 0.1)}
"""Seeds of the divisions, and the shares of the users in train and in validation."""

console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of ml1m_sequences")
    parser.add_argument("--models", nargs="*", choices=model_names(), default=list(MODELS))
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--trials", type=int, default=TRIALS, help="settings that are tried, the default among them")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after so many")
    parser.add_argument("--page", action="store_true", help="only write the page")
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + arguments.seconds
    for data in arguments.data if not arguments.page else ():
        for name in arguments.models:
            for seed in DATA[data][0]:
                measure(data, name, seed, arguments.folder, arguments.trials, deadline)
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    console.print(f"wrote {PAGE}")


@cache
def parts_of(data: str, seed: int, folder: Path | None) -> Split:
    """A division of a data set's users."""
    _, train, validation = DATA[data]
    config = DataConfig(data, split="users", train_ratio=train, val_ratio=validation, split_seed=seed)
    if data == "bundled":
        world = bundled()
    elif folder is None:
        raise SystemExit(f"{data} is not bundled; name the folder that has ml1m_sequences by --folder")
    else:
        world = Dataset.from_frame(
            pq.read_table(folder / "ml1m_sequences" / "ratings.parquet"), user="user", item="item"
        ).train
    return split(world, config, Ratings(world.to_table()))


def file_of(data: str, name: str, seed: int) -> Path:
    return RESULTS / f"{data}.{name}.{seed}.json"


def measure(data: str, name: str, seed: int, folder: Path | None, trials: int, deadline: float) -> None:
    """Make the trials that are missing, and measure the first and the best of validation on test, once each."""
    file = file_of(data, name, seed)
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"trials": []}
    made, before = record["trials"], len(record["trials"])
    for words in wanted(name, made, trials):
        if time.monotonic() > deadline:
            break
        model, seconds = fitted(data, name, seed, folder, words)
        heldout = parts_of(data, seed, folder).validation_heldout()
        reached = EVALUATOR.evaluate(model.as_validated(), heldout, deep=False)
        made.append({"settings": words, CHOSEN_BY: reached.metrics[CHOSEN_BY], "seconds": round(seconds, 2)})
        console.print(f"{data} {name} {seed}: {made[-1]}", soft_wrap=True, markup=False)
    if not made or (len(made) == before and "test" in record):
        return
    best = max(made, key=lambda trial: trial[CHOSEN_BY])
    for part, words in (("default", made[0]["settings"]), ("test", best["settings"])):
        if record.get(part, {}).get("settings") != words:
            model, _ = fitted(data, name, seed, folder, words, part)
            record[part] = {"settings": words, "users": on_test(model, parts_of(data, seed, folder))}
    record["counts"] = user_counts(parts_of(data, seed, folder))
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")


def wanted(name: str, made: list[dict[str, Any]], trials: int) -> Iterator[list[str]]:
    """The settings to try beside those that are made; `made` grows by what they reached."""
    if name != ENSEMBLE:
        return searched(name, made, trials, CHOSEN_BY)
    tried = [trial["settings"] for trial in made]
    return iter([words for words in ENSEMBLES if words not in tried])


def searched(name: str, made: list[dict[str, Any]], trials: int, metric: str) -> Iterator[list[str]]:
    """The default settings, then those that TPE asks for; `made` grows by what they reached."""
    if not made:
        yield []
    if not vars(model_class(name).Config()):
        return
    space = distributions(space_of(name))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=len(made)))
    for trial in made[1:]:
        study.add_trial(optuna.trial.create_trial(params=trial["parameters"], distributions=space, value=trial[metric]))
    while len(made) < trials:
        asked = study.ask(space)
        yield [f"{key}={value}" for key, value in asked.params.items()]
        made[-1]["parameters"] = asked.params
        study.tell(asked, made[-1][metric])


def fitted(
    data: str, name: str, seed: int, folder: Path | None, words: list[str], part: str = "test"
) -> tuple[Recommender, float]:
    """A model trained on the train users with these settings, and the seconds that it took.

    part: whether the members of an ensemble, whose training is not counted, have their `default` settings or those
    that are measured on `test`.
    """
    own = ["trainer.early_stopping.metric=ndcg@100", "data.split=users"]
    settings, parts = load_settings([f"model={name}", "device=cpu", *own, *words]), parts_of(data, seed, folder)
    started = time.perf_counter()
    model = model_class(name)(settings.model)
    if isinstance(model, HybridEnsemble):
        model.start_from({one: member(data, one, seed, folder, part) for one in model.config.models or MEMBERS})
        started = time.perf_counter()
    model.fit(
        Dataset(parts.train, parts.validation_heldout()),
        Fitting(settings.trainer, settings.device, settings.seed, evaluator=EVALUATOR),
    )
    return model, time.perf_counter() - started


@cache
def member(data: str, name: str, seed: int, folder: Path | None, part: str) -> Recommender:
    """A model with its settings of a part, for ensembles to fuse."""
    words = json.loads(file_of(data, name, seed).read_text(encoding="utf-8"))[part]["settings"]
    return fitted(data, name, seed, folder, words)[0]


def on_test(model: Recommender, parts: Split) -> dict[str, list[float]]:
    """The METRICS of each test user, by public id."""
    found = EVALUATOR.evaluate(model, parts.test_heldout(), deep=False)
    values = np.column_stack([found.per_user[name] for name in METRICS])
    ids = parts.test.users.ids[found.users]
    return {str(user): [round(value, 6) for value in row] for user, row in zip(ids, values.tolist(), strict=True)}


def users_of(data: str, name: str, part: str) -> dict[str, NDArray[np.float64]]:
    """The METRICS of each user that was a test user, the mean over the divisions in which it was."""
    values: dict[str, list[list[float]]] = {}
    for seed in DATA[data][0]:
        if file_of(data, name, seed).exists():
            record = json.loads(file_of(data, name, seed).read_text(encoding="utf-8"))
            for user, row in record[part]["users"].items():
                values.setdefault(user, []).append(row)
    return {user: np.mean(rows, axis=0) for user, rows in sorted(values.items())}


def page() -> list[str]:
    threads = f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']} " if "OMP_NUM_THREADS" in os.environ else ""
    lines = [
        "# People whom no model has seen",
        "",
        f"`{threads}python benchmarks/people_never_seen.py`, {datetime.now(UTC):%Y-%m-%d}, Python "
        f"{platform.python_version()}, numpy {np.__version__}.",
        "",
        "Strong generalization (Liang et al. 2018), `data.split=users`: whole users are held out; four fifths of what "
        "each has, drawn at random, are folded in, and the rest is ranked among all items that are not. Recall is "
        "divided by min(k, items to find), as theirs is (`capped_recall` here). Settings are chosen on the validation "
        "users by NDCG@100, among the default and the trials; test is measured by the default and by the choice, "
        f"once each. {ENSEMBLE} fuses models with their own chosen settings, its value on validation is cross-fitted, "
        "and its default is its first candidate of members by default; its seconds are of the fusion alone. 95 % "
        "intervals are over users; "
        f"the difference to {BASELINE} is of the same users, p the larger of bootstrap's and Wilcoxon's, "
        f"Holm-corrected over the models; ★: both p < {ALPHA}. gf_cf had alpha=0.7 by "
        "default when this was measured, and als's relative_l2 was in units of 1 / sqrt(mean interactions of a user) + "
        "1 / sqrt(mean interactions of an item).",
        "",
    ]
    for data in DATA:
        names = [name for name in model_names() if all(file_of(data, name, seed).exists() for seed in DATA[data][0])]
        if names:
            lines += table(data, names)
    return lines


def table(data: str, names: list[str]) -> list[str]:
    seeds, train, validation = DATA[data]
    records = {
        name: [
            json.loads(file_of(data, name, seed).read_text()) for seed in seeds if file_of(data, name, seed).exists()
        ]
        for name in names
    }
    chosen, default = ({name: users_of(data, name, part) for name in names} for part in ("test", "default"))
    values = {name: np.array(list(users.values())) for name, users in chosen.items()}
    counts = records[names[0]][0]["counts"]
    others = [name for name in names if name != BASELINE and list(chosen[name]) == list(chosen.get(BASELINE, {}))]
    tests = {name: compare_paired(values[name][:, 2], values[BASELINE][:, 2]) for name in others}
    corrected = zip(
        *(holm([getattr(one, kind) for one in tests.values()]) for kind in ("p_bootstrap", "p_wilcoxon")), strict=True
    )
    p = {name: max(pair) for name, pair in zip(tests, corrected, strict=True)} if tests else {}
    lines = [
        f"## {data}",
        "",
        f"{counts['train_users']:,} train, {counts['validation_users']:,} validation and {counts['test_users']:,} test "
        f"users in each of {numbers.counted(len(seeds), 'division')} (shares {train:g}, {validation:g} and "
        f"{1 - train - validation:.2g}); {len(values[names[0]]):,} users were test users.",
        "",
        f"| model | {' | '.join(METRICS.values())} | NDCG@100 by default | - {BASELINE} | p | settings tried | fit s |",
        "|---|" + "---|" * (len(METRICS) + 5),
    ]
    for name in sorted(names, key=lambda name: -values[name][:, 2].mean()):
        bounds = bootstrap_intervals(values[name])
        cells = [
            f"{mean:.4f} [{low:.4f}, {high:.4f}]"
            for mean, (low, high) in zip(values[name].mean(axis=0), bounds, strict=True)
        ]
        usual = np.array(list(default[name].values()))[:, 2].mean()
        difference, star = "", ""
        if name in tests:
            one = tests[name]
            same_way = one.difference * one.rank_biserial > 0
            star = f"{p[name]:.4f}{' ★' if p[name] < ALPHA and same_way else ''}"
            difference = f"{one.difference:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
        tried = [len(record["trials"]) for record in records[name]]
        seconds = np.median([trial["seconds"] for record in records[name] for trial in record["trials"]])
        lines.append(
            f"| {name} | {' | '.join(cells)} | {usual:.4f} | {difference} | {star} | {max(tried)} | {seconds:.1f} |"
        )
    lines += ["", "Chosen on validation, by division:", ""]
    for name in sorted(records):
        words = [
            " ".join(record["test"]["settings"]).replace("model.", "") or "the default" for record in records[name]
        ]
        lines.append(f"- {name}: {'; '.join(words if len(set(words)) > 1 else words[:1])}")
    return [*lines, ""]


if __name__ == "__main__":
    main()
