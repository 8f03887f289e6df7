"""Measure how far each model's default settings are from the best of a search, on data of several sizes and densities.

    python benchmarks/defaults.py --folder FOLDER                                  # everything; hours
    python benchmarks/defaults.py --folder FOLDER --models als ease --data lastfm  # a piece
    python benchmarks/defaults.py --folder FOLDER --models als --trials 0          # the defaults alone
    python benchmarks/defaults.py --page                                           # write the page anew

FOLDER holds other people's data as Parquet: `ml1m_ncf` (train and test of the NCF paper), `ml1m_sequences` (MovieLens
1M in each user's order) and `lastfm` (train and test of the LightGCN authors). The rest is bundled or made up
(made_up_data.py). A search is TPE over configs/sweep/<model>.yaml that knows of the default, all trained on train and
chosen by validation ndcg@10; the default and the best are then measured on test, which chooses nothing. Everything is
ranked in full. Where fitting the default takes more than a minute of CPU nothing is searched.

Each pair of a model and a data set is a file of benchmarks/results/defaults/. What is there is not measured again but
for defaults that have changed since, and `--again` measures the default anyway; `--seconds` ends a piece in time, and
the next one goes on. Writes benchmarks/results/defaults.md.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow.parquet as pq
from bundled_data import FOLDER as BUNDLED
from made_up_data import Shape, communities, made_up
from numpy.typing import NDArray
from rich.console import Console

from movierec_engine.config import Settings, load_settings
from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions, k_core, positives
from movierec_engine.data.readers import read_ratings
from movierec_engine.data.split import Split, split
from movierec_engine.data.split_strategies import leave_one_out_parts, random_parts
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import Recommender, model_class
from movierec_engine.models.fitting import Fitting
from movierec_engine.pipeline.training import WHERE
from movierec_engine.tuning.space import as_parameters, distributions, space_of

RESULTS = Path(__file__).with_name("results") / "defaults"
PAGE = RESULTS.with_suffix(".md")
METRIC = "ndcg@10"
EVALUATOR = Evaluator([10], ("ndcg",))
SEED, TRIALS = 42, 30
ENOUGH = 0.95
"""The share of the best trial's ndcg that a default should reach."""
LONGEST = 60.0
"""Seconds of CPU of a fit that is repeated by a search."""
MODELS = {
    "popularity": "popularity",
    "item_cf": "item_cf",
    "user_cf": "item_cf",
    "svd": "svd",
    "ease": "ease",
    "als": "als",
    "gf_cf": "gf_cf",
    "gmf": "gmf",
    "mlp": "mlp",
    "ncf": "ncf",
    "ngcf": "ngcf",
    "lightgcn": "lightgcn",
    "recvae": "recvae",
}
"""What is measured -> the model that it is."""
FIXED = {"user_cf": ["model.user_based=true"]}

console = Console(highlight=False)


@dataclass(frozen=True)
class World:
    """A data set's train part with its validation, and its test."""

    data: Dataset
    test: HeldOut

    @classmethod
    def of(cls, parts: Split) -> "World":
        return cls(Dataset(parts.train, parts.validation_heldout()), parts.test_heldout())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of ml1m_ncf, ml1m_sequences and lastfm")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--trials", type=int, default=TRIALS, help="trials in all, earlier ones included; 0: defaults")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after so many")
    parser.add_argument("--again", action="store_true", help="measure defaults again")
    parser.add_argument("--page", action="store_true", help="only write the page")
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + arguments.seconds
    for data in arguments.data if not arguments.page else ():
        for name in arguments.models:
            if time.monotonic() < deadline:
                Cell(data, name, arguments.folder).measure(arguments.trials, deadline, arguments.again)
    PAGE.write_text("\n".join(page()), encoding="utf-8")
    console.print(f"wrote {PAGE}")


# ----------------------------------------------------------------------------------------------------------- the cells


class Cell:
    """A model on a data set: its record, a file of RESULTS, and how to measure what that lacks."""

    def __init__(self, data: str, name: str, folder: Path | None) -> None:
        self.data, self.name, self.folder = data, name, folder
        self.file = RESULTS / f"{data}.{name}.json"
        self.fixed = fixed_of(name)
        self.record: dict[str, Any] = (
            json.loads(self.file.read_text(encoding="utf-8")) if self.file.exists() else {"default": {}, "trials": []}
        )

    def measure(self, trials: int, deadline: float, again: bool) -> None:
        """Measure the default if it has changed, then search until there are so many trials; recorded one by one."""
        default = default_of(self.name)
        if again or self.record["default"].get("settings") != recorded(default):
            self.record["default"] = self.run(default, test=True)
            self.say("default", self.record["default"])
        if self.name != "popularity" and not takes_long(self.record):
            self.search(default, trials, deadline)
            self.test_best()
        self.write()

    def search(self, default: Settings, trials: int, deadline: float) -> None:
        """Go on with the trials; those of another search space are forgotten."""
        searched = distributions(space_of(MODELS[self.name]))
        done = [trial for trial in self.record["trials"] if trial["space"] == str(searched)]
        self.record["trials"] = done
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED + len(done), n_startup_trials=8)
        )
        known = [(trial["params"], trial[METRIC]) for trial in done]
        known.append((as_parameters(default, searched), self.record["default"][METRIC]))
        for params, value in known:
            if params and value:
                of_these = {key: searched[key] for key in params}  # the default lacks those that go by the data
                study.add_trial(optuna.trial.create_trial(params=params, distributions=of_these, value=value))
        while len(done) < trials and time.monotonic() < deadline:
            asked = study.ask(searched)
            settings = load_settings([*self.fixed, *_words(asked.params)])
            made = self.run(settings)
            value = made[METRIC] or None
            study.tell(asked, value, state=None if value else optuna.trial.TrialState.FAIL)
            done.append({**made, "params": asked.params, "space": str(searched)})
            self.say(f"trial {len(done)} {asked.params}", made)
            self.write()

    def test_best(self) -> None:
        """Measure the best trial on test, once."""
        best = max(self.record["trials"], key=lambda trial: trial[METRIC], default=None)
        if best is not None and "test" not in best:
            best["test"] = self.run(load_settings([*self.fixed, *_words(best["params"])]), test=True).get("test", 0.0)

    def run(self, settings: Settings, test: bool = False) -> dict[str, Any]:
        """Fit on train, measure on validation, and on test if asked; settings that cannot be fitted measure 0."""
        world = world_of(self.data, self.folder)
        started = time.process_time()
        model: Recommender = model_class(settings.model_name)(settings.model)
        try:
            model.fit(world.data, Fitting(settings.trainer, settings.device, settings.seed, evaluator=EVALUATOR))
            seconds = time.process_time() - started
            value = ndcg(model, world.data.validation)
        except MovierecError as error:
            console.print(f"{self.data} {self.name}: {error}")
            value, seconds = 0.0, time.process_time() - started
        return {
            METRIC: value,
            **({"test": ndcg(model, world.test)} if test and value else {}),
            "epochs": len(model.epochs),
            "seconds": round(seconds, 2),
            "settings": recorded(settings),
        }

    def say(self, what: str, made: dict[str, Any]) -> None:
        console.print(f"{self.data} {self.name} {what}: {made[METRIC]:.4f}, {made['seconds']:.1f} s", soft_wrap=True)

    def write(self) -> None:
        self.file.write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")


def ndcg(model: Recommender, heldout: HeldOut) -> float:
    return float(EVALUATOR.evaluate(model, heldout, deep=False).metrics[METRIC])


def fixed_of(name: str) -> list[str]:
    return [f"model={MODELS[name]}", "device=cpu", *FIXED.get(name, [])]


@cache
def default_of(name: str) -> Settings:
    return load_settings(fixed_of(name))


def takes_long(record: dict[str, Any]) -> bool:
    return (record["default"]["seconds"] or 0.0) > LONGEST  # None: not measured


def recorded(settings: Settings) -> dict[str, Any]:
    """Everything that decides a fitted model, as JSON has it; where it is trained decides nothing."""
    trainer = {name: value for name, value in asdict(settings.trainer).items() if name not in WHERE}
    plain: dict[str, Any] = json.loads(json.dumps({"model": asdict(settings.model), "trainer": trainer}))
    return plain


def _words(params: dict[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in params.items()]


# ------------------------------------------------------------------------------------------------------------ the data


def bundled(folder: Path) -> Split:
    """The bundled data; a random tenth of each user's likes for validation, and one for test."""
    config = DataConfig(dir=str(BUNDLED))
    ratings = read_ratings(config)
    return split(positives(ratings, config), config, ratings)


def ml1m_ncf(folder: Path) -> Split:
    """The NCF paper's train and test, one item a user; for validation one more of each user, drawn at random."""
    train, test = given(folder / "ml1m_ncf")
    return parts_of(train, held_out(train, 0.0), test, "given")


def lastfm(folder: Path) -> Split:
    """The LightGCN authors' train and test; for validation a random tenth of each user's train."""
    train, test = given(folder / "lastfm")
    return parts_of(train, held_out(train, 0.1), test, "given")


def ml1m_sequences(folder: Path) -> Split:
    """MovieLens 1M, the last of each user for test and the one before for validation."""
    table = pq.read_table(folder / "ml1m_sequences" / "ratings.parquet")
    user, item, time_ = (table[name].to_numpy() for name in ("user", "item", "timestamp"))
    everything = interactions(user, item, IdMap.of(user), IdMap.of(item), time_)
    return by_parts(everything, leave_one_out_parts(everything, SEED), "leave_one_out")


def sparse(folder: Path) -> Split:
    """12,000 users and items at a density of .1 %, made up; split at random."""
    return at_random(made_up(Shape(12_000, 12_000, 0.001)))


def dense(folder: Path) -> Split:
    """600 users and 2,000 items at a density of 5 %, made up; split at random."""
    return at_random(made_up(Shape(600, 2_000, 0.05)))


def held_back(folder: Path) -> Split:
    """1,500 users and 6,000 items at a density of 1 %, made up in another way, by communities; no default was chosen by
    it but how the penalties of gmf, ngcf and lightgcn follow the data, als's least alpha0, item_cf's neighbours, the
    priors of ease, item_cf and gf_cf, and from where on long histories count for less."""
    return at_random(communities(Shape(1_500, 6_000, 0.02), seed=7))


def half(folder: Path) -> Split:
    """Every other user of the bundled data, split by another seed; no default was chosen by it but the batch size,
    how the penalties of gmf, ngcf and lightgcn follow the data, als's least alpha0, item_cf's neighbours, whether
    item_cf and svd learn from ratings, the priors of ease, item_cf and gf_cf, and from where on long histories count
    for less.
    """
    config = DataConfig(dir=str(BUNDLED), split_seed=7)
    ratings = read_ratings(config)
    likes = positives(ratings, config)
    return split(k_core(likes.select(likes.user % 2 == 1), 5, 5), config, ratings)


DATA: dict[str, Callable[[Path], Split]] = {
    one.__name__: one for one in (bundled, ml1m_ncf, ml1m_sequences, lastfm, sparse, dense, held_back, half)
}


@cache
def world_of(data: str, folder: Path | None) -> World:
    if folder is None and data in ("ml1m_ncf", "ml1m_sequences", "lastfm"):
        raise SystemExit(f"{data} is not bundled; name the folder that has it by --folder")
    world = World.of(DATA[data](folder or Path()))
    train = world.data.train
    console.print(f"{data}: {train.n_users:,} users, {train.n_items:,} items, {len(train):,} in train")
    return world


def given(folder: Path) -> tuple[Interactions, Interactions]:
    """Train and test over the vocabularies of both."""
    tables = [pq.read_table(folder / f"{part}.parquet") for part in ("train", "test")]
    columns = [[table[name].to_numpy() for name in ("user", "item")] for table in tables]
    users, items = (IdMap.of(np.concatenate([part[n] for part in columns])) for n in (0, 1))
    train, test = (interactions(user, item, users, items) for user, item in columns)
    return train, test


def interactions(
    user: NDArray[Any], item: NDArray[Any], users: IdMap, items: IdMap, timestamp: NDArray[Any] | None = None
) -> Interactions:
    return Interactions(
        user=users.index(user).astype(np.int32),
        item=items.index(item).astype(np.int32),
        rating=np.ones(len(user), dtype=np.float32),
        timestamp=np.zeros(len(user), dtype=np.int64) if timestamp is None else timestamp.astype(np.int64),
        users=users,
        items=items,
    )


def held_out(train: Interactions, share: float) -> NDArray[np.bool_]:
    """The rows of validation: the share of each user's, and at least one of users with three or more."""
    shuffle = np.random.default_rng(SEED).permutation(len(train))
    order = shuffle[np.argsort(train.user[shuffle], kind="stable")]
    count = np.bincount(train.user, minlength=train.n_users)
    place = np.empty(len(train), dtype=np.int64)
    place[order] = np.arange(len(train)) - (np.cumsum(count) - count)[train.user[order]]
    held = np.where(count >= 3, np.maximum(1, np.rint(share * count)), 0)
    return np.asarray(place < held[train.user])


def parts_of(train: Interactions, validation: NDArray[np.bool_], test: Interactions, strategy: str) -> Split:
    return Split(train.select(~validation), train.select(validation), test, strategy)


def by_parts(everything: Interactions, part: NDArray[np.int8], strategy: str) -> Split:
    train, validation, test = (everything.select(part == number) for number in range(3))
    return Split(train, validation, test, strategy)


def at_random(everything: Interactions) -> Split:
    return by_parts(everything, random_parts(everything, 0.8, 0.1, SEED), "random")


# ------------------------------------------------------------------------------------------------------------ the page


def page() -> list[str]:
    lines = [
        "# Default settings against the best of a search",
        "",
        f"`python benchmarks/defaults.py --folder FOLDER`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}. {METRIC}, everything ranked in full. A search has up to {TRIALS} trials "
        "by TPE over configs/sweep/<model>.yaml, chosen by validation. Of best: the default's ndcg over the better "
        f"one of the default and the best trial; bold where it is below {ENOUGH}, or the default below "
        "popularity. Test is only reported. Seconds are of CPU, of fitting the default on one thread.",
        "",
    ]
    for data, make in DATA.items():
        lines += [f"## {data}", "", " ".join(str(make.__doc__).split()), "", *table(data), ""]
    return lines


def table(data: str) -> Sequence[str]:
    """A row a model: the default and the best on validation, then both on test."""
    floor = cell(data, "popularity").get("default", {}).get(METRIC)
    rows = [
        "| model | default, validation | times popularity | best trial | trials | of best | default, test | best, test "
        "| of best | fit s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in MODELS:
        record = cell(data, name)
        default = record.get("default", {})
        if default.get("settings") != recorded(default_of(name)):  # none, or of another default than today's
            rows.append(f"| {name} | not run |" + " |" * 8)
            continue
        best = max(record["trials"], key=lambda trial: trial[METRIC], default=default)
        value, test = default[METRIC], default.get("test", 0.0)
        top, top_test = (best[METRIC], best.get("test")) if best[METRIC] > value else (value, test)
        times = "" if floor is None else f"{value / floor:.2f}"
        tried, seconds = len(record["trials"]), "" if default["seconds"] is None else f"{default['seconds']:.1f}"
        rows.append(
            f"| {name} | {value:.4f} | {bold(times, floor is not None and value < floor)} "
            + (
                f"| {top:.4f} | {tried} | {bold(f'{value / top:.3f}', value < ENOUGH * top)} "
                f"| {test:.4f} | {against(test, top_test)} | {seconds} |"
                if tried
                else f"| {untuned(name, record)} | | | {test:.4f} | | | {seconds} |"
            )
        )
    return rows


def against(test: float, best: float | None) -> str:
    """The best trial's ndcg on test, and the default's over it; nothing where it was not measured."""
    return f"{best:.4f} | {test / best:.3f}" if best else " |"


def untuned(name: str, record: dict[str, Any]) -> str:
    """Why nothing was searched."""
    if name == "popularity":
        return "nothing to tune"
    return "left out: a fit takes over a minute" if takes_long(record) else "not run"


def cell(data: str, name: str) -> dict[str, Any]:
    file = RESULTS / f"{data}.{name}.json"
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return record


def bold(text: str, holds: bool) -> str:
    return f"**{text}**" if holds else text


if __name__ == "__main__":
    main()
