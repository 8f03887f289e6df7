"""Measure how the cost of every station grows with the data: 0.1, 1, 5, 25 and 100 million ratings.

    python benchmarks/size_ladder.py --sizes 0.1 1
    python benchmarks/size_ladder.py --sizes 25 --models popularity als --memory-gb 8

The data is the bundled data in several copies (benchmarks/expanded_data.py). Each station runs in a process of its own:
ingest, filter, split and graph; for each model its fit, evaluation on test and index; then a cold start, from the
files to the first answer, and 1,000 more answers. Seconds and CPU are of the station's own function with its libraries
loaded, files read and written included; memory is the process' highest resident memory. A model that is trained in
passes makes two of them. What the program's own preflight refuses, or expects to take longer than --minutes, is left
out with the reason.

What benchmarks/results/size_ladder.json has measured already is not measured again (--again STATION does that), so that
the ladder can be climbed in parts. Writes benchmarks/results/size_ladder.md after each cell. Linux only.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import expanded_data
import numpy as np

from movierec_engine import pipeline
from movierec_engine.config import Settings, load_settings
from movierec_engine.models.registry import single_models
from movierec_engine.pipeline.data import data_slot
from movierec_engine.pipeline.preflight import FIT, STEPS, DataCounts, Estimate, estimates
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.masks import serving_mask
from movierec_engine.store import Artifact, ArtifactStore, kinds

RESULT = Path(__file__).with_name("results") / "size_ladder.md"
DATA_STATIONS = ("ingest", "filter", "split", "graph")
MODEL_STATIONS = ("fit", "evaluation", "index", "cold start", "answers")
ANSWERS = 1_000
PASSES = 2

Cell = dict[str, Any]
Work = Callable[[], Cell]
Cells = dict[str, dict[str, Cell]]
"""Millions of ratings as text -> station, such as `split` or `als: fit` -> what was measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", nargs="+", type=lambda text: f"{float(text):g}", default=["0.1", "1"], help="millions of ratings"
    )
    parser.add_argument("--models", nargs="+", help="all of them unless given")
    parser.add_argument("--folder", type=Path, default=Path("size_ladder"), help="of the data and the stores; GBs")
    parser.add_argument("--memory-gb", type=float, default=float("inf"), help="skip what is expected to need more")
    parser.add_argument("--minutes", type=float, default=10.0, help="skip fits that are expected to take longer")
    parser.add_argument("--again", nargs="+", default=[], help="stations to measure again, such as index")
    parser.add_argument("--station", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.station:
        print(json.dumps(measured(asked.station, asked.folder)))
        return
    cells: Cells = json.loads(RESULT.with_suffix(".json").read_text()) if RESULT.with_suffix(".json").exists() else {}
    for size in asked.sizes:
        folder = asked.folder / size
        if not (folder / expanded_data.MOVIES).exists():
            expanded_data.write(folder, round(float(size) * 1e6))
        stations = [*DATA_STATIONS]
        stations += [f"{model}: {name}" for model in asked.models or single_models() for name in MODEL_STATIONS]
        for station in stations:
            done = cells.setdefault(size, {})
            if "cpu" in done.get(station, {}) and not {station, station.partition(": ")[2]} & set(asked.again):
                continue
            done[station] = own_process(station, folder, expected(station, done), asked)
            print(size, station, done[station], flush=True)
            RESULT.with_suffix(".json").write_text(json.dumps(cells, indent=1), encoding="utf-8")
            RESULT.write_text(page(cells), encoding="utf-8")


def own_process(station: str, folder: Path, estimate: Estimate | None, asked: argparse.Namespace) -> Cell:
    """The measurements of a station in a process, or the reason why there are none."""
    if estimate and estimate.n_bytes and estimate.n_bytes / 1e9 > asked.memory_gb:
        return {"left_out": f"needs about {estimate.n_bytes / 1e9:.0f} GB"}
    if estimate and estimate.step == FIT and estimate.seconds and estimate.seconds / 60 > asked.minutes:
        return {"left_out": f"takes about {estimate.seconds / 60:.0f} minutes"}
    command = [sys.executable, __file__, "--station", station, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"left_out": (done.stderr.strip().splitlines() or ["killed"])[-1][-200:]}
    cell: Cell = json.loads(done.stdout.splitlines()[-1])
    return cell


def expected(station: str, done: dict[str, Cell]) -> Estimate | None:
    """The program's own estimate of a fit, an evaluation or an index, once the data is split."""
    model, _, step = station.partition(": ")
    split = done.get("split", {})
    if step not in STEPS or "users" not in split:
        return None
    return estimated(model, DataCounts(*(split[name] for name in DataCounts.__annotations__)))[STEPS.index(step)]


@cache
def estimated(model: str, counts: DataCounts) -> list[Estimate]:
    return estimates(settings_of(Path(), model), counts)


def settings_of(folder: Path, model: str = "popularity") -> Settings:
    return load_settings(
        [
            f"model={model}",
            "data=custom",
            "data.name=ladder",
            f"data.ratings_file={folder / expanded_data.RATINGS}",
            f"data.movies_file={folder / expanded_data.MOVIES}",
            f"trainer.max_epochs={PASSES}",
            f"paths.artifacts={folder / 'store'}",
            f"paths.checkpoints={folder / 'checkpoints'}",
            "device=cpu",
            "logger.use_mlflow=false",
            "logger.use_wandb=false",
        ]
    )


def measured(station: str, folder: Path) -> Cell:
    """Run a station in this process: seconds, CPU and memory, and what it says of itself."""
    for library in (
        "torch",
        "faiss",
        "duckdb",
        "movierec_engine.evaluation.evaluator",
        "movierec_engine.retrieval.build",
    ):
        import_module(library)
    model, _, name = station.rpartition(": ")
    settings = settings_of(folder, model or "popularity")
    work = STATIONS[name](ArtifactStore(settings.paths.artifacts), settings)
    wall, cpu = time.perf_counter(), time.process_time()
    said = work()
    return {
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        **said,
    }


def ingest(store: ArtifactStore, settings: Settings) -> Work:
    made_anew(store, kinds.RAW_RATINGS)

    def work() -> Cell:
        facts = pipeline.ingest_ratings(store, settings.data).facts
        pipeline.ingest_movies(store, settings.data)
        return {name: facts[name] for name in ("ratings", "users", "movies")}

    return work


def made_anew(store: ArtifactStore, kind: str) -> None:
    """Forget what is there, which would only be looked up; what was made of it has to be made anew as well."""
    shutil.rmtree(store.root / kind, ignore_errors=True)


def data_step(
    make: Callable[..., Artifact], kind: str, made: str, say: Callable[[Artifact], Cell] = lambda artifact: {}
) -> Callable[..., Work]:
    """A step from one data artifact to the next, of which `say` tells something."""

    def station(store: ArtifactStore, settings: Settings) -> Work:
        before = store.require(data_slot(kind, settings.data))
        made_anew(store, made)
        return lambda: say(make(store, before, settings.data))

    return station


def counts(splits: Artifact) -> Cell:
    return asdict(DataCounts.of(splits))


def fit(store: ArtifactStore, settings: Settings) -> Work:
    splits, graph = (store.require(data_slot(kind, settings.data)) for kind in (kinds.SPLITS, kinds.INTERACTION_GRAPH))

    def work() -> Cell:
        facts = pipeline.train_model(store, settings, splits, graph).facts
        return {"fit_seconds": facts["seconds"], "epochs": facts["epochs"]}

    return work


def evaluation(store: ArtifactStore, settings: Settings) -> Work:
    model, movies = trained(store, settings)
    return lambda: {"ndcg@10": pipeline.evaluate_model(store, model, movies).facts["metrics"]["ndcg@10"]}


def index(store: ArtifactStore, settings: Settings) -> Work:
    model, movies = trained(store, settings)

    def work() -> Cell:
        facts = pipeline.build_faiss_index(store, model, movies, settings.retrieval).facts
        return {"recall": facts["recall"], "similar_recall": facts.get("similar_recall")}

    return work


def cold_start(store: ArtifactStore, settings: Settings) -> Work:
    """From the files to the first answer."""
    made = store.require(pipeline.model_slot(kinds.FAISS_INDEX, settings))

    def work() -> Cell:
        answered(RetrievalIndex.load(made.verify().folder), [0])
        return {}

    return work


def answers(store: ArtifactStore, settings: Settings) -> Work:
    served = RetrievalIndex.load(store.require(pipeline.model_slot(kinds.FAISS_INDEX, settings)).folder)
    users = np.random.default_rng(0).integers(len(served.users), size=ANSWERS)
    return lambda: answered(served, users.tolist())


def answered(served: RetrievalIndex, users: Sequence[int]) -> Cell:
    mask = serving_mask(served)
    for user in users:
        served.recommend(user, 10, mask(user))
    return {}


def trained(store: ArtifactStore, settings: Settings) -> tuple[Artifact, Artifact]:
    """The newest trained model of the settings, and the titles."""
    model = store.require(pipeline.model_slot(kinds.TRAINED_MODEL, settings))
    return model, pipeline.movies_of(store, model)


STATIONS: dict[str, Callable[[ArtifactStore, Settings], Work]] = {
    "ingest": ingest,
    "filter": data_step(pipeline.filter_interactions, kinds.RAW_RATINGS, kinds.INTERACTIONS),
    "split": data_step(pipeline.split_interactions, kinds.INTERACTIONS, kinds.SPLITS, counts),
    "graph": data_step(pipeline.build_interaction_graph, kinds.SPLITS, kinds.INTERACTION_GRAPH),
    "fit": fit,
    "evaluation": evaluation,
    "index": index,
    "cold start": cold_start,
    "answers": answers,
}


def page(cells: Cells) -> str:
    """The results as Markdown: a table of each quantity, a size a column, with the slope."""
    sizes = sorted(cells, key=float)
    stations = list(dict.fromkeys(station for size in sizes for station in cells[size]))
    grown = [f"{size} M: {counted(cells[size].get('ingest', {}))}" for size in sizes]
    head = [
        "# How costs grow with the data",
        "",
        "`python benchmarks/size_ladder.py`, "
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores. " + "; ".join(grown) + ".",
        "",
    ]
    how = " ".join((__doc__ or "").split("\n\n")[2].splitlines())
    lines = [
        *head,
        how,
        "",
        "The slope is of log CPU against log size, between the two largest sizes that were measured; n log n has about "
        "1.1. An empty cell was not measured. A cell that is there is kept, so that cells may be of different runs and "
        "commits. Beside a peak stands how far today's preflight is from it, and beside half of the CPU, what two "
        "cores would have taken if both had been busy, how long it expects; what it takes for a row, a user and an "
        "item was set by popularity's and als's cells, so that these do not test it. "
        f"Load average when this was written: {os.getloadavg()[0]:.1f}.",
        "",
    ]
    lines += ["## Seconds of CPU", "", *table(stations, cells, lambda *cell: f"{cell[-1]['cpu']:.1f}", slopes=True)]
    lines += ["", "## Seconds by the clock", "", *table(stations, cells, lambda *cell: f"{cell[-1]['seconds']:.1f}")]
    lines += ["", "## Peak memory, GB, and the error of the estimate", "", *table(stations, cells, memory)]
    foreseen = [station for station in stations if station.partition(": ")[2] in STEPS]
    lines += ["", "## Half of the seconds of CPU, and the estimate's seconds", "", *table(foreseen, cells, time_of_two)]
    return "\n".join([*lines, ""])


def counted(cell: Cell) -> str:
    if "ratings" not in cell:
        return "not ingested"
    return f"{cell['ratings']:,} ratings of {cell['users']:,} users and {cell['movies']:,} items"


def memory(estimate: Estimate | None, cell: Cell) -> str:
    error = f" ({estimate.n_bytes / 1e9 / cell['peak_gb'] - 1:+.0%})" if estimate and estimate.n_bytes else ""
    return f"{cell['peak_gb']:.2f}{error}"


def time_of_two(estimate: Estimate | None, cell: Cell) -> str:
    """What two cores would have taken if both had been busy throughout, whatever else the machine did."""
    expects = f" ({estimate.seconds:.1f})" if estimate and estimate.seconds is not None else ""
    return f"{cell['cpu'] / 2:.1f}{expects}"


def table(
    stations: Sequence[str], cells: Cells, text: Callable[[Estimate | None, Cell], str], slopes: bool = False
) -> list[str]:
    """A station a row and a size a column; text: of what was estimated and what was measured."""
    sizes = sorted(cells, key=float)
    lines = [f"| station | {' | '.join(f'{size} M' for size in sizes)} |" + (" slope |" if slopes else "")]
    lines.append("|---|" + "---|" * (len(sizes) + slopes))
    for station in stations:
        texts, points = [], []
        for size in sizes:
            cell = cells[size].get(station, {})
            if "cpu" in cell:
                texts.append(text(expected(station, cells[size]), cell))
                points.append((float(size), cell["cpu"]))
            else:
                texts.append(cell.get("left_out", ""))
        if slopes:
            texts.append(slope(points))
        lines.append(f"| {station} | {' | '.join(texts)} |")
    return lines


def slope(points: Sequence[tuple[float, float]]) -> str:
    """Of the last two points (size, amount), of their logarithms."""
    if len(points) < 2:
        return ""
    (n, a), (m, b) = points[-2:]
    return f"{np.log(max(b, 1e-3) / max(a, 1e-3)) / np.log(m / n):.2f}"


if __name__ == "__main__":
    main()
