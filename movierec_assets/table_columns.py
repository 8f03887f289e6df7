"""Columns of the artifacts' tables, with what each holds: of the assets' definitions and of what they have made."""

import dagster as dg

from movierec_engine.evaluation.metrics import metric_of
from movierec_engine.store import kinds

DESCRIPTIONS = {
    "user_id": "The user, by the id of the data.",
    "movie_id": "The movie, or other item, by the id of the data.",
    "rating": "The rating, on the scale of the data.",
    "timestamp": "When it was rated, in seconds since 1970, UTC.",
    "title": "The movie's title.",
    "year": "The year in which it came out, if known.",
    "genres": "The movie's genres.",
    "part": "The part that the interaction belongs to: train, validation, test, fold_in or later.",
    "epoch": "The pass over train, from 1.",
    "loss": "The training loss, mean over the batches.",
    "seconds": "Seconds of training and validation together.",
    "test_items": "How many items the user has in test, which count as relevant.",
    "train_items": "How many items the user has in train.",
    "rank": "The place by the main metric on test, from 1.",
    "model": "The model.",
    "device": "The device that it was trained on.",
    "report": "The evaluation report's version.",
    kinds.TRAINED_MODEL: "The trained model's version.",
    "window": "The window of time that was tested.",
    "users": "Whose metric it is: all users, or those with a history.",
    "count": "How many users these are.",
    "metric": "The metric, with its depth.",
    "value": "The metric's mean over these users.",
    "low": "The lower end of its 95 % interval.",
    "high": "The upper end of its 95 % interval.",
    "metric@k": "A metric at a depth: a column for each.",
}


def table_column(name: str, kind: str) -> dg.TableColumn:
    """A column with its type and what it holds; a metric's column is described as the metric is."""
    part, _, reported = name.rpartition(" ")
    known = metric_of(reported)
    of_part = f", on {part}" if part else ""
    said = f"{known.title}{of_part}: {known.meaning}." if known else DESCRIPTIONS.get(name)
    return dg.TableColumn(name, kind, said)
