"""Cold items of a trained model: their placement, and the price of showing a share of them.

The share is a choice, so it is measured on validation, as is how well items are found by their place.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from movierec_engine.data.display_titles import display_title
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.nouns import nouns_of_titles
from movierec_engine.data.ratings import Movies
from movierec_engine.data.readers import complete_movies
from movierec_engine.data.split import Split
from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.cold_items import (
    FOLDS,
    Scoring,
    cold_folds,
    found,
    placed,
    placed_by_popularity,
    scores_of,
    without_items,
)
from movierec_engine.evaluation.cold_items_tradeoff import SHARES, K, share_tradeoffs
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.canaries import trained_again
from movierec_engine.pipeline.data import Origin, load_split
from movierec_engine.pipeline.training import movies_of
from movierec_engine.recommending.cold_items import NEIGHBOURS, YEARS, ColdItems
from movierec_engine.reporting import numbers
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds

log = logging.getLogger(__name__)

SHARES_FILE = "shares.parquet"
EXAMPLES_FILE = "examples.parquet"
EXAMPLES = 8
"""New movies whose places are shown: those that the most lists would hold."""
AMONG = 3
"""Catalogue items that an example is said to stand among."""

_EXAMPLES_SCHEMA = pa.schema([("title", pa.string()), ("lists", pa.int64()), ("among", pa.list_(pa.string()))])


@dataclass(frozen=True)
class Example:
    """A new movie, in how many lists it stands at the largest share, and the items that it is most like."""

    title: str
    lists: int
    among: list[str]


@step("placing cold items")
def measure_cold_items(
    store: ArtifactStore, trained_model: Artifact, origin: Origin | None = None, folds: int = FOLDS
) -> Artifact:
    """Place the movies that a model does not know, and measure what a share of the lists costs on validation.

    folds: in how many parts the items are held out of training, to measure how well they are found by their place; the
    model is trained so many times again, and with 0 that is left out, so that the fact `cold_items` is None.
    Raises MovierecError where there is no validation part or nothing is known of any movie.
    """
    started = time.perf_counter()
    splits = store.resolve(trained_model.parents[kinds.SPLITS]).verify()
    raw_movies = movies_of(store, trained_model)
    movies, parts = Movies.load(raw_movies.verify().folder), load_split(splits)
    if not len(movies.table):
        raise MovierecError(
            f"the data set {trained_model.config['data']['name']} has no movies file, so there are no new movies; set "
            "data.movies_file"
        )
    heldout, model = parts.validation_heldout(movies), load_model(trained_model.verify().folder)
    new = ColdItems.of(heldout.catalogue, model.items, movies)
    measured = share_tradeoffs(model, heldout, new)
    cold = _cold_items(store, trained_model, parts, heldout, folds) if folds else None

    def write(folder: Path) -> None:
        new.save(folder)
        pq.write_table(pa.Table.from_pylist([asdict(one) for one in measured.tradeoffs]), folder / SHARES_FILE)
        noun, _ = nouns_of_titles(raw_movies.facts)
        titles = complete_movies(movies, model.items.ids, noun).of(model.items)
        rows = [asdict(example) for example in _examples(new, measured.times, titles, model.popularity)]
        pq.write_table(pa.Table.from_pylist(rows, schema=_EXAMPLES_SCHEMA), folder / EXAMPLES_FILE)

    return store.publish(
        trained_model.slot.beside(kinds.COLD_ITEMS),
        write,
        key=content_key(trained_model.reference, raw_movies.key, NEIGHBOURS, YEARS, SHARES, K, folds),
        fingerprint=trained_model.fingerprint,
        config=trained_model.config,
        parents={kinds.TRAINED_MODEL: trained_model, kinds.SPLITS: splits, kinds.RAW_MOVIES: raw_movies},
        origin={**trained_model.origin, **(origin or {})},
        facts={
            "part": "validation",
            "data": trained_model.config["data"]["name"],
            "k": K,
            "users": measured.users,
            "movies": len(new) + new.unplaceable + len(model.items),
            "new": len(new) + new.unplaceable,
            "placed": len(new),
            "unplaceable": new.unplaceable,
            "untrained_items": measured.untrained_items,
            "untrained_share": measured.untrained_share,
            "cold_items": cold,
            "seconds": time.perf_counter() - started,
        },
        newest=lambda: store.latest(trained_model.slot) == trained_model,
    )


def share_rows(made: Artifact) -> list[dict[str, Any]]:
    """A row for each share, as `ShareTradeoff` describes them. Raises StoreError for a file that cannot be read."""
    return _rows(made.folder / SHARES_FILE)


def examples(made: Artifact) -> list[Example]:
    """The new movies whose places are shown. Raises StoreError for a file that cannot be read."""
    return [
        Example(display_title(row["title"]), row["lists"], [display_title(title) for title in row["among"]])
        for row in _rows(made.folder / EXAMPLES_FILE)
    ]


def summary(facts: dict[str, Any]) -> str:
    """Sentences on the number of new movies."""
    untrained = (
        f" {facts['untrained_items']:,} more are in its catalogue without train interactions: "
        f"{numbers.percent(facts['untrained_share'])} of its recommendations."
        if facts["untrained_items"]
        else ""
    )
    share = numbers.percent(facts["new"] / facts["movies"], 0)
    return (
        f"Of {facts['movies']:,} movies {facts['new']:,} ({share}) are new to "
        f"the model; {facts['placed']:,} are placed by genres and year, {facts['unplaceable']:,} not.{untrained}"
    )


def _cold_items(
    store: ArtifactStore, trained_model: Artifact, parts: Split, heldout: HeldOut, folds: int
) -> dict[str, Any]:
    """Ranking quality, by their place, of items that the model was trained without; see `evaluation/cold_items.py`."""
    held_out = cold_folds(parts.train, folds, trained_model.config["data"]["split_seed"])

    def by_place() -> Iterator[tuple[NDArray[np.int64], Scoring]]:
        for number, items in enumerate(held_out, start=1):
            log.info(
                "new movies: part %d of %d, %s is trained again without %d items",
                *(number, folds, trained_model.slot.model, len(items)),
            )
            model = trained_again(store, trained_model, without_items(parts, items))
            yield items, placed(scores_of(model, heldout), items, heldout.catalogue)

    own = found(by_place(), heldout)
    floor = found(((items, placed_by_popularity(items, heldout.catalogue)) for items in held_out), heldout)
    low, high = bootstrap_intervals(own.auc[:, None])[0].tolist()
    return {
        "folds": folds,
        "users": len(own.users),
        "auc": float(own.auc.mean()),
        "low": low,
        "high": high,
        "ndcg@10": float(own.ndcg.mean()),
        "popularity": float(floor.auc.mean()),
    }


def _examples(
    new: ColdItems, times: NDArray[np.int64], items: Movies, popularity: NDArray[np.float32]
) -> Iterator[Example]:
    """items: a row for each item, in item order. popularity: [n_items]; of equally like items the popular are named."""
    for row in np.argsort(-times, kind="stable")[:EXAMPLES]:
        like, weights = new.similar_to(int(row))
        among = like[np.lexsort((-popularity[like], -weights))[:AMONG]]
        yield Example(_titles(new.movies.slice(row, 1))[0], int(times[row]), _titles(items.table.take(among)))


def _titles(table: pa.Table) -> list[str]:
    """`Toy Story (1995)`."""
    rows = table.select(["title", "year"]).to_pylist()
    return [f"{row['title']} ({row['year']})" if row["year"] else row["title"] for row in rows]


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: cannot be read ({error}); measure the new movies again") from error
    return rows
