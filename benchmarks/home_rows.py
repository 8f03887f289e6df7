"""What a home page in rows finds by the order of its rows, and how fast it is answered.

    python benchmarks/home_rows.py [--quality] [--speed]

Quality: EASE on the bundled data's train part alone, so that the rows know nothing of validation; of each user with
validation likes, how many of those the page shows, and how many its first rows do, by the person's taste, in a fixed
order of kinds, and in one drawn at random, of the same rows. Speed: the CPU of `/api/home` and `/api/recommend`,
remembered and computed, on the bundled data and on ten times the data. Without a choice both are measured. Writes
benchmarks/results/home_rows.md, in a few minutes.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from bundled_data import FOLDER
from expanded_data import MOVIES, RATINGS, write
from flask import Flask
from rich.console import Console
from werkzeug.test import EnvironBuilder

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.home_rows import HomeRows
from movierec_engine.api.requests import HomeRequest
from movierec_engine.api.trends import TrendScores
from movierec_engine.data.config import DataConfig
from movierec_engine.data.datamodule import MovieLensDataModule
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.interactions import positives
from movierec_engine.data.movies import complete_movies
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.feedback import UserState
from movierec_engine.models import ALS, EASE
from movierec_engine.recommending.rows import trends
from movierec_engine.recommending.rows.composition import PlacedRow, compose
from movierec_engine.recommending.rows.config import RowsConfig
from movierec_engine.recommending.rows.ratings_by_item import NO_LIKES, RatingsByItem
from movierec_engine.retrieval.build import build_index
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.masks import evaluation_mask
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.serving.catalogue import MovieCatalogue
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import of_user
from movierec_engine.store import ArtifactStore, Slot, kinds

RESULT = Path(__file__).with_name("results") / "home_rows.md"
PARTS = RESULT.with_suffix(".json")
ROWS, LENGTH, FIRST = 8, 12, 3
KINDS = ("for-you", "because", "trending", "genre", "rising", "continue-series", "hidden-gems")
REQUESTS = 200
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--times", type=int, default=10, help="how many times the data the larger index is of")
    asked = parser.parse_args()
    both = not (asked.quality or asked.speed)
    parts = json.loads(PARTS.read_text(encoding="utf-8")) if PARTS.exists() else {}
    if asked.quality or both:
        parts["quality"] = quality()
    if asked.speed or both:
        parts["speed"] = speed(asked.times)
    PARTS.write_text(json.dumps(parts, indent=1), encoding="utf-8")
    RESULT.write_text(page(parts), encoding="utf-8")
    console.print(RESULT.read_text(encoding="utf-8"))


def quality() -> dict[str, Any]:
    """Of each order of rows: found likes a user, on the page and in its first rows, and the rows' kinds."""
    served, data = world()
    now = trends_of(served)
    validation = data.split.validation.matrix()
    users = np.flatnonzero(np.diff(validation.indptr) > 0)
    found: dict[str, list[tuple[float, float]]] = {"by taste": [], "fixed": [], "at random": []}
    by_kind: dict[str, list[float]] = {kind: [] for kind in KINDS}
    rng = np.random.default_rng(0)
    for user in users.tolist():
        wanted = validation[[user]].indices
        person = of_user(served, served.index.users.ids[user].item(), UserState())
        rows = HomeRows(served, person, HomeRequest(top_k=LENGTH), now, LENGTH * (ROWS + 1))
        placed = compose(rows.every(), rows.relevance, LENGTH, ROWS, rows.first)
        orders = {
            "by taste": placed,
            "fixed": sorted(placed, key=lambda one: KINDS.index(one.row.kind)),
            "at random": [placed[0], *(placed[1:][place] for place in rng.permutation(len(placed) - 1))],
        }
        for name, order in orders.items():
            found[name].append((hits(order, wanted), hits(order[:FIRST], wanted)))
        for one in placed:
            by_kind[one.row.kind].append(hits([one], wanted) / max(len(one.items), 1))
    return {
        "users": len(users),
        "orders": {name: np.mean(values, axis=0).tolist() for name, values in found.items()},
        "lead": interval(np.array(found["by taste"])[:, 1] - np.array(found["fixed"])[:, 1]),
        "kinds": {kind: [float(np.mean(shares)), len(shares)] for kind, shares in by_kind.items() if shares},
    }


def world() -> tuple[LoadedIndex, MovieLensDataModule]:
    """An index of the train part alone, and the data."""
    data = MovieLensDataModule(FOLDER)
    data.setup()
    train = data.train_data
    by_item = RatingsByItem.of(train.item, train.rating, train.timestamp, train.n_items, data.config.rating_threshold)
    movies = data.movies.of(train.items)
    index = build_index(
        EASE().fit(Dataset(train, data.validation_data)),
        RatedMovies.of(train.to_table()),
        movies,
        RetrievalConfig(),
        "cpu",
        liked_from=data.config.rating_threshold,
        ratings_by_item=by_item,
    )
    lineage: Any = SimpleNamespace(
        movies=movies.table, placed=None, raw_movies="", data_set="bundled", newest_erasure=0, ratings_file=None
    )
    artifact: Any = SimpleNamespace(reference="train", slot=SimpleNamespace(model="ease"))
    mask = evaluation_mask(train.matrix())
    return LoadedIndex(artifact, index, MovieCatalogue(index, lineage), lineage, mask), data


def trends_of(served: LoadedIndex) -> TrendScores:
    settings, n = RowsConfig(), served.catalogue.n_items
    assert served.index.ratings_by_item is not None
    recent = served.index.ratings_by_item.recent
    return TrendScores(
        trends.trending(recent, NO_LIKES, 0, n, settings.trending_days, settings.trending_half_life),
        trends.rising(recent, NO_LIKES, 0, n, settings.trending_days),
        stamp=1,
        live=False,
    )


def hits(rows: list[PlacedRow], wanted: Any) -> float:
    return float(sum(np.isin(one.items, wanted).sum() for one in rows))


def interval(differences: Any) -> list[float]:
    """Mean and the 95 % margin."""
    return [float(differences.mean()), float(1.96 * differences.std(ddof=1) / np.sqrt(len(differences)))]


def speed(times: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        bundled = DataConfig(dir=str(FOLDER))
        write(Path(folder), times * 100_004)
        files = {"ratings_file": str(Path(folder) / RATINGS), "movies_file": str(Path(folder) / MOVIES)}
        larger = replace(bundled, name="larger", layout="custom", **files)
        sizes = {"bundled data": bundled, f"{times} times the data": larger}
        measured = {name: ways_of(Path(folder) / f"store{n}", config) for n, (name, config) in enumerate(sizes.items())}
    return {"load": os.getloadavg()[0], "sizes": measured}


def ways_of(root: Path, config: DataConfig) -> dict[str, Any]:
    """CPU of each way to ask, of an index of ALS on all positive ratings."""
    ratings, movies = read_ratings(config), read_movies(config)
    train = positives(ratings, config)
    known, like = complete_movies(movies, train.items.ids).of(train.items), config.rating_threshold
    column = {name: ratings.table[name].to_numpy() for name in ("rating", "timestamp")}
    by_item = RatingsByItem.of(
        train.items.index(ratings.table["movie_id"]), column["rating"], column["timestamp"], train.n_items, like
    )
    index = build_index(
        ALS().fit(Dataset(train)),
        RatedMovies.of(ratings.table),
        known,
        RetrievalConfig(),
        "cpu",
        liked_from=like,
        ratings_by_item=by_item,
    )
    store = ArtifactStore(root)
    store.publish(Slot(kinds.FAISS_INDEX, "rows", "als", "cpu"), index.save, key="k", fingerprint="f")
    users = train.users.ids[np.random.default_rng(0).permutation(train.n_users)[:REQUESTS]].tolist()
    kept, computed = (create_app(root, ServingConfig(remembered_lists=lists)) for lists in (8192, 0))
    popular = ",".join(str(one) for one in train.items.ids[np.argsort(-index.popularity)[:3]].tolist())
    home, listed = "/api/home", "/api/recommend"
    ways = {
        f"{home}, remembered": (kept, home, "user_id={user}&top_k=12"),
        f"{home}, computed": (computed, home, "user_id={user}&top_k=12"),
        f"{home}, computed for a newcomer with 3 ratings": (computed, home, f"history={popular}&top_k=12"),
        f"{listed}, remembered": (kept, listed, "user_id={user}&top_k=12"),
        f"{listed}, computed": (computed, listed, "user_id={user}&top_k=12"),
    }
    taken = {}
    for name, way in ways.items():
        cpu_of(*way, users)  # warm, and remembered where that is what is measured
        taken[name] = cpu_of(*way, users)
    return {
        "items": train.n_items,
        "users": train.n_users,
        "ways": {name: [float(np.mean(ms)), *np.percentile(ms, [50, 99]).tolist()] for name, ms in taken.items()},
    }


def cpu_of(app: Flask, path: str, query: str, users: list[int]) -> list[float]:
    """CPU milliseconds of each user's request, by the application itself, without a socket."""
    taken = []
    for user in users:
        environ = EnvironBuilder(path=path, query_string=query.format(user=user)).get_environ()
        started = time.process_time_ns()
        body = b"".join(app.wsgi_app(environ, lambda *_: None))
        taken.append((time.process_time_ns() - started) / 1e6)
        assert body.startswith(b'{"model"'), body[:200]
    return taken


def page(parts: dict[str, Any]) -> str:
    sections = [quality_section(parts["quality"])] if "quality" in parts else []
    sections += [speed_section(parts["speed"])] if "speed" in parts else []
    return f"""# A home page in rows

{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores. Written by `python benchmarks/home_rows.py`.

{"".join(sections)}"""


def quality_section(measured: dict[str, Any]) -> str:
    orders = "\n".join(f"| {name} | {whole:.3f} | {first:.3f} |" for name, (whole, first) in measured["orders"].items())
    kinds = "\n".join(
        f"| {kind} | {share:.2%} | {rows / measured['users']:.2f} |"
        for kind, (share, rows) in measured["kinds"].items()
    )
    mean, margin = measured["lead"]
    return f"""## What it finds

EASE on train of the bundled data, {measured["users"]} users with validation likes, {ROWS} rows of {LENGTH}. The rows
are the same in every order, so that the whole page finds the same; their order decides what stands on a first screen.

| order of the rows | validation likes on the page | in its first {FIRST} rows |
|---|---:|---:|
{orders}

By taste the first {FIRST} rows have {mean:+.3f} ± {margin:.3f} (95 %, over users) more than in the fixed order,
{", ".join(KINDS)}.

| kind of row | its movies that are validation likes | rows a page |
|---|---:|---:|
{kinds}

"""


def speed_section(measured: dict[str, Any]) -> str:
    tables = []
    for size, one in measured["sizes"].items():
        rows = "\n".join(
            f"| {name} | {mean:.2f} | {middle:.2f} | {late:.2f} | {1000 / mean:,.0f} |"
            for name, (mean, middle, late) in one["ways"].items()
        )
        tables.append(
            f"""### {size}: {one["users"]:,} users, {one["items"]:,} movies

| | mean ms | p50 ms | p99 ms | requests a second and core |
|---|---:|---:|---:|---:|
{rows}
"""
        )
    return f"""## How fast it is

CPU of the application alone for a request, {REQUESTS} users once each, {ROWS} rows of {LENGTH}, an index of ALS; the
machine had other work (a load average of {measured["load"]:.0f} on {os.cpu_count()} cores), under which CPU says more
than time. A page is remembered by all that it depends on, the person's feedback among it; `computed` is with
serving.remembered_lists=0, where nothing is.

{chr(10).join(tables)}
"""


if __name__ == "__main__":
    main()
