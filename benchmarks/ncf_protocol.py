"""Measure every model by the protocol of the NCF paper on MovieLens 1M (He et al. 2017): leave one out, 99 negatives.

    python benchmarks/ncf_protocol.py --data FOLDER                    # all models, then the page
    python benchmarks/ncf_protocol.py --data FOLDER --models gmf mlp   # some models, then the page

FOLDER holds the authors' files as Parquet: train, test (one item a user) and negatives (99 a user), with the columns
user and item. For each model every candidate of CANDIDATES is trained without one random item a user and measured on
that item against 99 random items that the user has no train interaction with. The candidate with the best validation
ndcg@10 is trained once more on all of train, for as many epochs as were best, and measured on test. Where candidates
are added later and another one is best, test is measured again, and the page counts that. Runs that are recorded in
benchmarks/results/ncf_protocol/ are not repeated.
"""

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.negatives import NegativeSampler
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.evaluator import Evaluation
from movierec_engine.models import Recommender, model_class
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.fitting import Fitting
from movierec_engine.training.config import EarlyStoppingConfig, TrainerConfig

RESULTS = Path(__file__).with_name("results") / "ncf_protocol"
PAGE = RESULTS.with_suffix(".md")
HR, NDCG = "hit_rate@10", "ndcg@10"
EVALUATOR = Evaluator([10], ("hit_rate", "ndcg"))
SEED = 42
PATIENCE = 6

console = Console(highlight=False)


@dataclass(frozen=True)
class Candidate:
    """Settings that are tried: of the model, and of the trainer where the model has one."""

    model: dict[str, Any]
    trainer: dict[str, Any]

    def recorded(self) -> dict[str, Any]:
        """As JSON has it, where a tuple is a list."""
        as_json: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return as_json


def candidates(model: list[dict[str, Any]], **trainer: Any) -> list[Candidate]:
    return [Candidate(settings, trainer) for settings in model]


SOFTMAX = {"batch_size": 16384, "max_epochs": 80}
CANDIDATES: dict[str, list[Candidate]] = {
    "popularity": candidates([{}]),
    "item_cf": candidates(
        [{"k": k, "alpha": alpha} for k in (50, 100, 200) for alpha in (0.5, 0.6, 0.7)]
        + [{"k": k, "alpha": alpha, "user_based": True} for k in (50, 100, 200) for alpha in (0.5, 0.6, 0.7)]
        + [{"k": k, "alpha": 0.65, "user_based": True} for k in (75, 100)]
    ),
    "ease": candidates([{"l2": l2} for l2 in (500.0, 1000.0, 1500.0, 2000.0)]),
    "als": candidates(
        [
            {"embedding_dim": d, "alpha0": alpha0, "l2": l2, "epochs": 16}
            for d, alpha0, l2 in (
                (64, 0.3, 0.003),
                (64, 0.3, 0.01),
                (128, 0.5, 0.01),
                (192, 0.5, 0.01),
                (64, 0.3, 0.002),
                (64, 0.5, 0.002),
                (96, 0.5, 0.003),
            )
        ]
    ),
    "gf_cf": candidates(
        [{}]
        + [
            {"n_factors": k, "alpha": alpha, "sharpening": sharpening, "exponent": exponent}
            for k, alpha, sharpening, exponent in (
                (128, 2.0, 0.25, 0.3),
                (64, 2.0, 0.25, 0.3),
                (128, 2.0, 0.5, 0.3),
                (128, 1.0, 0.25, 0.15),
                (64, 3.0, 0.4, 0.2),
            )
        ]
    ),
    "gmf": candidates([{"mf_dim": 64, "l2": 0.1}, {"mf_dim": 64, "l2": 0.05}], learning_rate=0.01, **SOFTMAX)
    + candidates([{"mf_dim": 128, "l2": 0.07}], learning_rate=0.005, **SOFTMAX),
    "mlp": candidates([{"l2": 0.001}], learning_rate=0.01, batch_size=16384, max_epochs=40),
    "ngcf": candidates([{"l2": 0.01}, {"l2": 0.03}], learning_rate=0.005, **SOFTMAX),
    "lightgcn": candidates(
        [{"num_layers": 2, "l2": 0.01}, {"num_layers": 2, "l2": 0.005}, {"num_layers": 3, "l2": 0.005}],
        learning_rate=0.01,
        **SOFTMAX,
    ),
    "hybrid_ensemble": candidates(
        [
            {"models": ("ease", "als", "gmf", "lightgcn"), **fusion}
            for fusion in ({}, {"normalization": "rank"}, {"fusion_method": "rrf"}, {"fusion_method": "stacking"})
        ]
        + [
            {"models": ("ease", "als", "gf_cf", *more), **fusion}
            for more, *fusions in (
                ((), {}, {"fusion_method": "rrf"}, {"fusion_method": "stacking"}),
                (("gmf",), {}, {"fusion_method": "rrf"}),
                (("item_cf",), {}),
            )
            for fusion in fusions
        ]
    ),
}

PUBLISHED = {
    "popularity": "0.4533 / 0.2542",
    "item_cf": "0.669 / 0.398",
    "ease": "0.719 / 0.449",
    "als": "0.711-0.722 / 0.438-0.445",
    "gf_cf": "-",
    "gmf": "0.708 / 0.429",
    "mlp": "0.692 / 0.425",
    "ncf": "0.705 / 0.426, pretrained 0.730 / 0.447",
    "ngcf": "-",
    "lightgcn": "-",
    "hybrid_ensemble": "-",
}
TARGETS = {
    "item_cf": (0.669, 0.398),
    "ease": (0.717, 0.448),
    "als": (0.722, 0.445),
    "gmf": (0.715, 0.435),
    "mlp": (0.692, 0.425),
    "ncf": (0.730, 0.447),
    "ngcf": (0.715, 0.435),
    "lightgcn": (0.730, 0.450),
    "hybrid_ensemble": (0.738, 0.460),
}

NOT_TRIED = (
    "Not tried for what does not reach its target: lightgcn and ncf of 96 and 128 dimensions, ncf from a better mlp, "
    "and an ensemble of lightgcn with gf_cf. One training of lightgcn at 64 dimensions takes some five minutes "
    "of a core, of gmf at 128 four, of mlp eighteen, and each is trained twice, for validation and for test: about "
    "twenty minutes for that ensemble, half an hour for each width of lightgcn, and an hour for mlp and ncf."
)


@dataclass(frozen=True)
class World:
    """train, whole: without and with the validation items. validation, test: against 99 items a user."""

    train: Interactions
    whole: Interactions
    validation: HeldOut
    test: HeldOut


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train, test and negatives.parquet")
    parser.add_argument(
        "--models",
        nargs="*",
        choices=[*CANDIDATES, "ncf"],
        default=[*(name for name in CANDIDATES if name != "hybrid_ensemble"), "ncf", "hybrid_ensemble"],
    )
    arguments = parser.parse_args()
    world = read_world(arguments.data)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in arguments.models:
        measure(name, world)
    write_page()


def measure(name: str, world: World) -> None:
    """Choose on validation, then test once; every run is recorded as it ends."""
    record = read_record(name)
    for candidate in CANDIDATES.get(name) or ncf_candidates():
        if candidate.recorded() not in [run["candidate"] for run in record["validation"]]:
            run = validate(name, candidate, world)
            console.print(f"{name} {run}", soft_wrap=True)
            record["validation"].append(run)
            write_record(name, record)
    best = max(record["validation"], key=lambda run: run[NDCG])
    if best["candidate"] not in [run["candidate"] for run in record["test"]]:
        run = test(name, best, world)
        if name == "popularity":
            run["ties"] = range_of_ties(world)
        console.print(f"{name} on test: {run}", soft_wrap=True)
        record["test"].append(run)
        write_record(name, record)


def validate(name: str, candidate: Candidate, world: World) -> dict[str, Any]:
    started = time.perf_counter()
    model = model_class(name)(model_class(name).Config(**plain(candidate.model)))
    members = member_models(model, world, "validation")
    epochs = fit(model, candidate, Dataset(world.train, world.validation), members)
    if isinstance(model, HybridEnsemble):
        model.save(weights_folder(name, "validation"))
    return {
        "candidate": candidate.recorded(),
        **rounded(EVALUATOR.evaluate(model.as_validated(), world.validation)),
        "epochs": epochs,
        "seconds": round(time.perf_counter() - started, 1),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
    }


def test(name: str, best: dict[str, Any], world: World) -> dict[str, Any]:
    started = time.perf_counter()
    candidate = Candidate(**best["candidate"])
    if best["epochs"]:
        trainer = {**candidate.trainer, "max_epochs": best["epochs"]}
        candidate = Candidate(candidate.model, trainer)
    model = model_class(name)(model_class(name).Config(**plain(candidate.model)))
    members = member_models(model, world, "test")
    if isinstance(model, HybridEnsemble):  # whose weights are learned on validation
        learned = HybridEnsemble(model.config).start_from(member_models(model, world, "validation"))
        learned.fit(Dataset(world.train, world.validation))
        model.combine([*members.values()], learned.weights)
    else:
        fit(model, candidate, Dataset(world.whole), members)
    model.save(weights_folder(name, "test"))
    return {
        "candidate": best["candidate"],
        "epochs": best["epochs"],
        **rounded(EVALUATOR.evaluate(model, world.test)),
        "seconds": round(time.perf_counter() - started, 1),
    }


def ncf_candidates() -> list[Candidate]:
    """From the best gmf and mlp, whose widths and penalties ncf takes over."""
    gmf, mlp = (best_of(name) for name in ("gmf", "mlp"))
    pretrained = {"mf_dim": gmf.model["mf_dim"], "l2": gmf.model["l2"], "l2_mlp": mlp.model["l2"]}
    pretrained |= {"pretrained_gmf": "latest", "pretrained_mlp": "latest"}
    return [
        Candidate(pretrained, {**SOFTMAX, "learning_rate": 0.001}),
        Candidate(pretrained, {**SOFTMAX, "learning_rate": 0.003}),
        Candidate({**pretrained, "alpha": 0.8}, {**SOFTMAX, "learning_rate": 0.0003}),
    ]


def member_models(model: Recommender, world: World, stage: str) -> dict[str, Recommender]:
    """The best models of the same stage that a model starts from or fuses; trained anew if not kept."""
    pretrained = ("gmf", "mlp") if getattr(model.config, "pretrained_gmf", "") else ()
    return {name: kept_model(name, world, stage) for name in getattr(model.config, "models", pretrained)}


def kept_model(name: str, world: World, stage: str) -> Recommender:
    """The best model of a name, of either stage; trained anew if it is not kept."""
    folder = weights_folder(name, stage)
    if not folder.exists():
        best = read_record(name)["test"][-1]
        trainer = best["candidate"]["trainer"] | ({"max_epochs": best["epochs"]} if best["epochs"] else {})
        again = Candidate(best["candidate"]["model"], trainer)
        model = model_class(name)(model_class(name).Config(**plain(again.model)))
        train = world.train if stage == "validation" else world.whole
        fit(model, again, Dataset(train), {})
        model.save(folder)
    return model_class(name).load(folder)


def fit(model: Recommender, candidate: Candidate, data: Dataset, members: dict[str, Recommender]) -> int:
    """Train; the number of the best epoch on validation, or of the last without one, and 0 without epochs."""
    trainer = TrainerConfig(**candidate.trainer, early_stopping=EarlyStoppingConfig(patience=PATIENCE, metric=NDCG))
    model.start_from(members).fit(data, Fitting(trainer, seed=SEED, evaluator=EVALUATOR))
    if not model.epochs:
        return 0
    return max(model.epochs, key=lambda e: e.metrics[NDCG]).number if len(data.validation) else len(model.epochs)


def read_world(folder: Path) -> World:
    parts = {}
    for name in ("train", "test", "negatives"):
        table = pq.read_table(folder / f"{name}.parquet")
        parts[name] = (table["user"].to_numpy(), table["item"].to_numpy())
    users, items = (IdMap.of(np.concatenate([part[axis] for part in parts.values()])) for axis in (0, 1))
    whole, relevant, negatives = (interactions(*parts[name], users, items) for name in ("train", "test", "negatives"))
    rng = np.random.default_rng(0)
    order = rng.permutation(len(whole))
    held = np.zeros(len(whole), dtype=bool)
    held[order[np.unique(whole.user[order], return_index=True)[1]]] = True
    train, validation = whole.select(~held), whole.select(held)
    return World(
        train=train,
        whole=whole,
        validation=sampled(validation, train, random_negatives(whole, rng)),
        test=sampled(relevant, whole, negatives),
    )


def sampled(relevant: Interactions, train: Interactions, negatives: Interactions) -> HeldOut:
    return HeldOut(relevant, train.matrix(), "train", Catalogue.of(train), negatives.matrix(), "sampled_given")


def random_negatives(whole: Interactions, rng: np.random.Generator) -> Interactions:
    """99 distinct items for each user, none of them in train."""
    drawn = NegativeSampler(whole, rng).sample(np.arange(whole.n_users), 400)
    pairs = [(user, item) for user, row in enumerate(drawn) for item in list(dict.fromkeys(row.tolist()))[:99]]
    user, item = np.array(pairs).T
    return interactions(whole.users.ids[user], whole.items.ids[item], whole.users, whole.items)


def interactions(user: np.ndarray, item: np.ndarray, users: IdMap, items: IdMap) -> Interactions:
    return Interactions(
        user=users.index(user).astype(np.int32),
        item=items.index(item).astype(np.int32),
        rating=np.ones(len(user), dtype=np.float32),
        timestamp=np.zeros(len(user), dtype=np.int64),
        users=users,
        items=items,
    )


def range_of_ties(world: World) -> list[dict[str, float]]:
    """Popularity if every tie went against the test item, and if every tie went for it."""
    count = np.bincount(world.whole.item, minlength=world.whole.n_items)
    relevant, candidates = world.test.interactions, world.test.candidates
    assert candidates is not None
    own = np.zeros(world.whole.n_users, dtype=np.int64)
    own[relevant.user] = relevant.item
    row, item = candidates.nonzero()
    other = item != own[row]  # where the test item is among its own negatives, it is no rival
    user, rival = row[other], count[item[other]]
    ranges = []
    for beaten_by in (rival >= count[own[user]], rival > count[own[user]]):
        rank = np.bincount(user, weights=beaten_by, minlength=world.whole.n_users)
        hit = rank < 10
        ranges.append({HR: round(float(hit.mean()), 4), NDCG: round(float((hit / np.log2(rank + 2)).mean()), 4)})
    return ranges


def best_of(name: str) -> Candidate:
    record = read_record(name)
    if not record["test"]:
        raise SystemExit(f"{name} is not measured yet; run it before ncf, which starts from it")
    return Candidate(**record["test"][-1]["candidate"])


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def rounded(evaluation: Evaluation) -> dict[str, float]:
    return {name: round(evaluation.metrics[name], 4) for name in (HR, NDCG)}


def weights_folder(name: str, stage: str) -> Path:
    """The folder of trained models between runs, outside the repository."""
    return Path(__file__).with_name(".environments") / "ncf_protocol" / stage / name


def read_record(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    record: dict[str, Any] = (
        json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"validation": [], "test": []}
    )
    return record


def write_record(name: str, record: dict[str, Any]) -> None:
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def write_page() -> None:
    """The page of everything that is recorded."""
    lines = [
        "# The protocol of the NCF paper on MovieLens 1M",
        "",
        "`python benchmarks/ncf_protocol.py --data FOLDER`: the authors' split and their 99 negatives a user; rank of",
        "the test item among 100, ties against the model. Settings and epochs were chosen by ndcg@10 on one random",
        "train item a user against 99 random others; then one training on all of train, and one measurement on test.",
        "Where candidates were added later and another one was best on validation, test was measured again; the last",
        "column counts the measurements. What ensembles without gf_cf reach on validation is of the users whom their",
        "weights were learned from, what those with it reach is cross-fitted.",
        "",
        "| model | published HR@10 / NDCG@10 | target | test HR@10 / NDCG@10 | reached | validation | chosen settings "
        "| measured on test |",
        "|---|---|---|---|---|---|---|---|",
    ]
    untested: list[str] = []
    details = ["", "## Every candidate, on validation", "", "| model | settings | HR@10 | NDCG@10 | epochs | s |"]
    details.append("|---|---|---|---|---|---|")
    for name in (*PUBLISHED,):
        record = read_record(name)
        for run in record["validation"]:
            details.append(
                f"| {name} | {shown(run['candidate'])} | {run[HR]:.4f} | {run[NDCG]:.4f} "
                f"| {run['epochs'] or '-'} | {run['seconds']:.0f} |"
            )
        if record["test"]:
            measured = record["test"][-1]
            best = next(run for run in record["validation"] if run["candidate"] == measured["candidate"])
            better = max(record["validation"], key=lambda run: run[NDCG])
            if better != best:
                untested.append(
                    f"Better on validation, {better[HR]:.4f} / {better[NDCG]:.4f}, and not measured on test yet: "
                    f"{name} {shown(better['candidate'])}."
                )
            goal = TARGETS.get(name, ())
            target = " / ".join(f"{value:.3f}" for value in goal) or "-"
            reached = (
                " / ".join("yes" if measured[m] >= g else "no" for m, g in zip((HR, NDCG), goal, strict=False)) or "-"
            )
            test = f"{measured[HR]:.4f} / {measured[NDCG]:.4f}"
            if "ties" in measured:
                low, high = measured["ties"]
                target, reached = "equal to 4 digits", "but for ties"
                test = f"{low[HR]:.4f} / {low[NDCG]:.4f} with ties against it, {high[HR]:.4f} / {high[NDCG]:.4f} for it"
            lines.append(
                f"| {name} | {PUBLISHED[name]} | {target} | {test} | {reached} | {best[HR]:.4f} / {best[NDCG]:.4f} "
                f"| {shown(best['candidate'])}, epochs {best['epochs'] or '-'} | {len(record['test'])} |"
            )
    lines += ["", *untested, NOT_TRIED]
    details += [
        "",
        "Seconds are of one or two threads on a machine that did other work beside, so they only say the scale.",
    ]
    PAGE.write_text("\n".join([*lines, *details, ""]), encoding="utf-8")
    console.print(f"written: {PAGE}")


def shown(candidate: dict[str, Any]) -> str:
    settings = {**candidate["model"], **{k: v for k, v in candidate["trainer"].items() if k != "max_epochs"}}
    return " ".join(f"{name}={value}" for name, value in settings.items()) or "-"


if __name__ == "__main__":
    main()
