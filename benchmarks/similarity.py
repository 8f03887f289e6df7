"""Choose by what movies are called similar: each model's possible similarities, measured on people it never met.

    python benchmarks/similarity.py [--store FOLDER]

People are parted by 60, 20 and 20 %. Models are trained with their default settings on the ratings of the first part;
the second chooses the similarity of each, the third confirms it. The lists of four well-known movies are of models
trained on everybody. --store keeps the models, and takes those that are there. Writes benchmarks/results/similarity.md,
in about five minutes.
"""

import argparse
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from bundled_data import FOLDER
from numpy.typing import NDArray
from rich.console import Console

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.config import DataConfig
from movierec_engine.data.ratings import Movies
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.errors import MovierecError
from movierec_engine.models import HybridEnsemble, Recommender, load_model
from movierec_engine.models.ensemble.fusion import normalised
from movierec_engine.models.likeness import GENRE_WEIGHT, CentredCosines
from movierec_engine.models.registry import single_models
from movierec_engine.retrieval.build import train_of
from movierec_engine.store import ArtifactStore

RESULT = Path(__file__).with_name("results") / "similarity.md"
MODELS = (*single_models(), "hybrid_ensemble")
LENGTH = 10
LIKED = 4.0
LEAST_LIKERS = 5
"""Movies that fewer people of a part like are not asked about."""
SMOOTHING = 0.01
LOOKED_AT = {1: "Toy Story", 356: "Forrest Gump", 858: "The Godfather", 2571: "The Matrix"}
BEFORE, CHOSEN = "before", f"centred cosine and {GENRE_WEIGHT:g} genres"

Matrix = NDArray[np.float32]
console = Console(highlight=False)


@dataclass(frozen=True)
class Likeness:
    """Of the list of each movie that is asked about, float64 [m] each.

    hits: share of its places that are movies which those who like the movie like as well. expected: that share by
    everybody's number of likes and every movie's popularity. genres: mean cosine of the genres. popularity: median.
    """

    hits: NDArray[np.float64]
    expected: NDArray[np.float64]
    genres: NDArray[np.float64]
    popularity: NDArray[np.float64]

    @property
    def log_lift(self) -> NDArray[np.float64]:
        return np.asarray(np.log((self.hits + SMOOTHING) / (self.expected + SMOOTHING)))

    def cells(self) -> str:
        return (
            f"{np.exp(self.log_lift.mean()):.3f} | {self.hits.mean() / self.expected.mean():.3f} "
            f"| {self.hits.mean():.3f} | {self.genres.mean():.3f} | {np.median(self.popularity):.0f}"
        )


class Panel:
    """People of one part: what each likes of a model's movies."""

    def __init__(self, people: NDArray[np.int64], model: Recommender, catalogue: Catalogue) -> None:
        table = read_ratings(DataConfig(dir=str(FOLDER))).table
        user, movie, rating = (table[name].to_numpy() for name in ("user_id", "movie_id", "rating"))
        kept = np.isin(user, people) & (rating >= LIKED) & np.isin(movie, model.items.ids)
        self.likes = np.zeros((len(people), len(model.items)), dtype=np.float32)
        self.likes[np.searchsorted(np.sort(people), user[kept]), model.items.index(movie[kept])] = 1
        others = np.isin(user, parts()[0]) & (rating >= LIKED) & np.isin(movie, model.items.ids)
        likers = np.bincount(model.items.index(movie[others]), minlength=len(model.items))
        self.share = likers / likers.sum()
        self.asked = np.flatnonzero(self.likes.sum(axis=0) >= LEAST_LIKERS)
        self.genres, self.popularity = unit(catalogue.genres), model.popularity

    def measure(self, similar: Matrix) -> Likeness:
        """similar: [n_items, n_items]."""
        lists, rows = best(similar, self.asked), []
        activity = self.likes.sum(axis=1)
        for item, own in zip(self.asked, lists, strict=True):
            likers = np.flatnonzero(self.likes[:, item])
            expected = np.minimum(1, (activity[likers, None] - 1) * self.share[own])
            genres = self.genres[own] @ self.genres[item]
            hits = self.likes[np.ix_(likers, own)].mean()
            rows.append((hits, expected.mean(), genres.mean(), np.median(self.popularity[own])))
        return Likeness(*np.array(rows, dtype=np.float64).T)


def best(similar: Matrix, items: NDArray[Any]) -> NDArray[np.int64]:
    scores = similar[items].copy()
    scores[np.arange(len(items)), items] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :LENGTH]


def unit(rows: NDArray[Any]) -> NDArray[Any]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def cosine(vectors: NDArray[Any]) -> Matrix:
    return np.asarray(unit(vectors) @ unit(vectors).T, dtype=np.float32)


def centred(model: Recommender, vectors: Any) -> Matrix:
    return CentredCosines(vectors, model.popularity)(np.arange(len(model.items)))


def before(model: Recommender) -> Matrix:
    """Similarities of earlier indices: B, the neighbours' weights, popularity, cosines, and the mean of z-scores."""
    if isinstance(model, HybridEnsemble):
        return np.asarray(normalised(np.stack([before(one) for one in model.members]), "z_score").mean(axis=0))
    if model.name == "ease":
        return np.asarray(model.weights)  # type: ignore[attr-defined]
    if model.name == "item_cf":
        return np.asarray(model.weights.toarray())  # type: ignore[attr-defined]
    if model.name == "popularity":
        return np.tile(model.popularity, (len(model.items), 1))
    return cosine(own_vectors(model))


def own_vectors(model: Recommender) -> NDArray[Any]:
    if model.name in ("gmf", "mlp", "ncf"):
        network = model.network  # type: ignore[attr-defined]
        return np.concatenate([part.detach().numpy() for part in (network.gmf_items, network.mlp_items)], axis=1)
    vectors = np.asarray(model.item_vectors())
    return vectors[:, :-2] if model.name == "svd" else vectors


def of_histories(model: Recommender) -> Iterator[tuple[str, Matrix]]:
    """Similarities that every model could have: of who has the movies."""
    who = model.users_by_item()
    together = (who @ who.T).toarray().astype(np.float64)
    count, n = np.diag(together).copy(), who.shape[1]
    chance = np.outer(count, count) / n
    yield "cosine", together / np.sqrt(np.maximum(np.outer(count, count), 1))
    yield "lift, 1 added", together / (chance + 1)
    support = together / (together + 10)
    yield "PMI, shrunk by 10", np.log(np.maximum(together, 1e-3) / np.maximum(chance, 1e-9)) * support
    spread = count * (1 - count / n)
    yield "phi", (together - chance) / np.sqrt(np.maximum(np.outer(spread, spread), 1e-9))
    yield "centred cosine", centred(model, who)


def of_ease(model: Recommender) -> Iterator[tuple[str, Matrix]]:
    weights = model.weights  # type: ignore[attr-defined]
    gram = (model.history.T @ model.history).toarray().astype(np.float64)
    precision = np.linalg.inv(gram + model.config.l2 * np.eye(len(gram)))
    scale = np.sqrt(np.diag(precision))
    yield "B, symmetrised", (weights + weights.T) / 2
    yield "partial correlations of P", -precision / scale[:, None] / scale
    yield "cosine of B's rows", cosine(weights)


def of_members(model: HybridEnsemble) -> Iterator[tuple[str, Matrix]]:
    each = np.stack([member.similarity()(np.arange(len(model.items))) for member in model.members])
    yield "members' centred cosines: mean", each.mean(axis=0)
    yield "members' centred cosines: mean of z-scores", normalised(each, "z_score").mean(axis=0)
    yield "members' centred cosines: mean of ranks", normalised(each, "rrf").mean(axis=0)
    shares = model.weights.mean(axis=0)[: len(each)]
    yield "members' centred cosines: by the weights", np.tensordot(shares, each, axes=1)
    yield "its own vectors: centred cosine", centred(model, model.item_vectors())


def candidates(model: Recommender, genres: Matrix) -> Iterator[tuple[str, Matrix]]:
    yield BEFORE, before(model)
    if isinstance(model, HybridEnsemble):
        yield from of_members(model)
    else:
        if model.name not in ("popularity", "ease", "item_cf"):
            yield "cosine of its vectors", cosine(own_vectors(model))
        if model.name != "popularity":
            yield "centred cosine of its vectors", centred(model, own_vectors(model))
        if model.name == "ease":
            yield from of_ease(model)
    similar = model.similarity()(np.arange(len(model.items)))
    shared = cosine(genres)
    for weight in (0.25, 0.5, 1.0):
        yield f"centred cosine and {weight:g} genres", similar + np.float32(weight) * shared


@cache
def parts() -> tuple[NDArray[np.int64], ...]:
    """The user ids of the three parts."""
    everybody = np.unique(read_ratings(DataConfig(dir=str(FOLDER))).table["user_id"].to_numpy())
    drawn = np.random.default_rng(0).permutation(everybody)
    return tuple(np.split(drawn, [int(0.6 * len(drawn)), int(0.8 * len(drawn))]))


def ratings_of(part: NDArray[np.int64], folder: Path) -> Path:
    """A copy of the bundled data with the ratings of some people."""
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    head, *lines = (FOLDER / "ratings.csv").read_text(encoding="utf-8").splitlines()
    kept = set(part.tolist())
    lines = [line for line in lines if int(line.split(",")[0]) in kept]
    (folder / "ratings.csv").write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    return folder


def trained(store: ArtifactStore, data: Path, name: str) -> Recommender:
    settings = load_settings(
        [
            f"model={name}",
            "device=cpu",
            f"data.dir='{data}'",
            f"paths.checkpoints='{store.root / 'checkpoints'}'",
            "logger.use_mlflow=false",
            "logger.use_wandb=false",
        ]
    )
    made = pipeline.prepare(store, settings.data)
    try:
        return load_model(pipeline.find_trained_model(store, settings.data.name, name).folder)
    except MovierecError:
        return load_model(pipeline.train_model(store, settings, made["splits"], made["interaction_graph"]).folder)


def interval(difference: NDArray[np.float64]) -> str:
    """A ratio of geometric means with its 95 % bootstrap interval over movies."""
    rng = np.random.default_rng(0)
    means = difference[rng.integers(0, len(difference), (2000, len(difference)))].mean(axis=1)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    return f"{np.exp(difference.mean()):.3f} [{low:.3f}, {high:.3f}]"


def measured_lines(load: Callable[[str], Recommender], movies: Movies) -> list[str]:
    _, validation, test = parts()
    choosing, confirming = [], []
    for name in MODELS:
        model = load(name)
        catalogue = Catalogue.of(train_of(model), movies)
        panels = [Panel(part, model, catalogue) for part in (validation, test)]
        found: dict[str, Likeness] = {}
        on_test: dict[str, Likeness] = {}
        if name == MODELS[0]:
            each = [(label, panels[0].measure(similar)) for label, similar in of_histories(model)]
            choosing += [f"| who has the movies | {label} | {one.cells()} | - |" for label, one in each]
        for label, similar in candidates(model, catalogue.genres):
            found[label] = panels[0].measure(similar)
            if label in (BEFORE, CHOSEN):
                on_test[label] = panels[1].measure(similar)
        most = max(found, key=lambda label: float(found[label].log_lift.mean()))
        for label, one in found.items():
            behind = "-" if label == most else interval(one.log_lift - found[most].log_lift)
            mark = "**" if label == CHOSEN else ""
            choosing.append(f"| {name} | {mark}{label}{mark} | {one.cells()} | {behind} |")
        gained = interval(on_test[CHOSEN].log_lift - on_test[BEFORE].log_lift)
        confirming += [
            f"| {name} | {label} | {one.cells()} | {gained if label == CHOSEN else '-'} |"
            for label, one in on_test.items()
        ]
        console.print(name, f"best: {most}; chosen: {CHOSEN}")
    head = "| model | similarity | lift | lift of sums | liked | genres | popularity |"
    rule = "|---|---|---|---|---|---|---|---|"
    return [
        "",
        "## Chosen on validation people",
        "",
        f"{head} times the model's best [95 %] |",
        rule,
        *choosing,
        "",
        "## Confirmed on test people",
        "",
        f"{head} times before [95 %] |",
        rule,
        *confirming,
    ]


def list_lines(load: Callable[[str], Recommender], movies: Movies) -> list[str]:
    titles = dict(zip(movies.table["movie_id"].to_pylist(), movies.table["title"].to_pylist(), strict=True))
    lines = ["", "## The lists", "", "Of models trained on everybody, each movie's first eight."]
    for name in ("hybrid_ensemble", *(name for name in MODELS if name != "hybrid_ensemble")):
        model = load(name)
        genres = Catalogue.of(train_of(model), movies).genres
        items = model.items.index(np.array(list(LOOKED_AT)))
        made = {"now": model.most_similar(items, 8, genres)[0]}
        if name in ("hybrid_ensemble", "ease", "item_cf"):
            made = {BEFORE: best(before(model), items)[:, :8], **made}
        lines += ["", f"### {name}", "", "| movie | by | similar movies |", "|---|---|---|"]
        for row, movie in enumerate(LOOKED_AT.values()):
            for label, found in made.items():
                named = "; ".join(titles[int(model.items.ids[item])] for item in found[row])
                lines.append(f"| {movie} | {label} | {named} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="where the models are kept; a temporary folder without it")
    asked = parser.parse_args()
    movies = read_movies(DataConfig(dir=str(FOLDER)))
    with tempfile.TemporaryDirectory() as temporary:
        root = asked.store or Path(temporary)
        some = ratings_of(parts()[0], root / "data")
        of_some = partial(trained, ArtifactStore(root / "some"), some)
        of_all = partial(trained, ArtifactStore(root / "all"), FOLDER)
        lines = [
            "# Which movies are called similar",
            "",
            f"`python benchmarks/similarity.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, numpy {np.__version__}, bundled data, models by their default "
            f"settings. Lists of {LENGTH} for each movie that at least {LEAST_LIKERS} people of a part like (rated "
            f"{LIKED:g} or more). Models were trained on other people.",
            "",
            "- liked: share of a list that those who like the movie like as well.",
            "- lift: that share over what each person's number of likes and each movie's share of likes make expect, "
            f"as the geometric mean over movies, with {SMOOTHING:g} added to both; it decides. Lift of sums: the ratio "
            "of the means, in which popular movies count most.",
            "- genres: mean cosine of the genres. popularity: median train interactions of what is listed.",
            "",
            "The centred cosine is of item vectors less the mean interaction (`models/likeness.py`): of ease the "
            "columns of B, of gmf and ncf the embeddings, of als, lightgcn and ngcf their item vectors; of popularity, "
            "item_cf, svd and mlp, whose own vectors measured worse or are none, of who has the movies; of the "
            "ensemble the members' mean.",
            "",
            f"Genres weigh {GENRE_WEIGHT:g}: with a quarter the lift is the same up to noise, or 2 % higher, and fewer "
            "genres are shared; with 1 it is lower.",
            *measured_lines(of_some, movies),
            *list_lines(of_all, movies),
        ]
    RESULT.write_text("\n".join([*lines, ""]), encoding="utf-8")
    console.print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
