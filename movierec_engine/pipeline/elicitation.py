"""From a trained model to the movies that a new user is asked about: `evaluation/elicitation.py`, on the store."""

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.data.nouns import nouns_of_titles
from movierec_engine.data.ratings import Movies, with_ids_of
from movierec_engine.data.readers import complete_movies
from movierec_engine.evaluation.comparison import compare_paired
from movierec_engine.evaluation.elicitation import (
    choose_questions,
    choosing_panel,
    measuring_panel,
    most_popular,
    quality,
)
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.data import Origin, load_split
from movierec_engine.pipeline.training import movies_of
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds

QUESTIONS_FILE = "questions.parquet"
QUESTIONS_SCHEMA = pa.schema(
    [
        ("movie_id", pa.int64()),
        ("title", pa.string()),
        ("year", pa.int32()),
        ("known_by", pa.float64()),
        ("value", pa.float64()),
        ("gain", pa.float64()),
    ]
)
"""A question a row, in the order of asking. known_by: share of the users it was chosen by. value: their mean ndcg@10 on
validation after the question; gain: what it added."""

_COMPARED = ("users", "difference", "low", "high", "p_bootstrap", "p_wilcoxon", "wins", "ties", "losses")


@step("choosing the movies to ask about")
def measure_elicitation(
    store: ArtifactStore, trained_model: Artifact, questions: int = 5, origin: Origin | None = None
) -> Artifact:
    """Choose the movies to ask about, and compare them with the most popular ones on other users' test items.

    The fact `test` has the mean ndcg@10 of those who are asked nothing, about the most popular movies, and about the
    chosen ones, and `comparison` the paired comparison of the last two.
    """
    started = time.perf_counter()
    splits = store.resolve(trained_model.parents[kinds.SPLITS]).verify()
    raw_movies = movies_of(store, trained_model)
    parts, seed = load_split(splits), trained_model.config["data"]["split_seed"]
    model = load_model(trained_model.verify().folder)
    chosen = choose_questions(model, parts, questions, seed=seed)
    sample, others = choosing_panel(model, parts, seed), measuring_panel(model, parts, seed)
    values = np.array([quality(model, sample, chosen[:asked]).mean() for asked in range(len(chosen) + 1)])
    noun, _ = nouns_of_titles(raw_movies.facts)
    movies = complete_movies(Movies.load(raw_movies.verify().folder), parts.train.items.ids, noun)
    titles = movies.of(parts.train.items).table.take(chosen)
    columns = {
        **{name: titles[name] for name in ("movie_id", "title", "year")},
        "known_by": np.diff(sample.histories[:, chosen].tocsc().indptr) / len(sample.users),
        "value": values[1:],
        "gain": np.diff(values),
    }
    table = pa.table(columns, schema=with_ids_of(titles.schema, QUESTIONS_SCHEMA))
    asked_about = {"nothing": chosen[:0], "popular": most_popular(model, questions), "chosen": chosen}
    test = {name: quality(model, others, items) for name, items in asked_about.items()}
    compared = asdict(compare_paired(test["chosen"], test["popular"]))

    def write(folder: Path) -> None:
        pq.write_table(table, folder / QUESTIONS_FILE)

    return store.publish(
        trained_model.slot.beside(kinds.ELICITATION),
        write,
        key=content_key(trained_model.reference, raw_movies.key, questions),
        fingerprint=trained_model.fingerprint,
        config=trained_model.config,
        parents={kinds.TRAINED_MODEL: trained_model, kinds.SPLITS: splits, kinds.RAW_MOVIES: raw_movies},
        origin={**trained_model.origin, **(origin or {})},
        facts={
            "questions": questions,
            "users": len(sample.users),
            "validation": {"nothing": float(values[0]), "chosen": float(values[-1])},
            "test": {name: float(reached.mean()) for name, reached in test.items()},
            "comparison": {name: compared[name] for name in _COMPARED},
            "seconds": time.perf_counter() - started,
        },
        newest=lambda: store.latest(trained_model.slot) == trained_model,
    )
