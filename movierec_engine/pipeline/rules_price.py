"""The price of a document of rules for a trained model, measured on validation and published."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.data.ratings import Movies
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.data import load_split
from movierec_engine.pipeline.training import movies_of
from movierec_engine.recommending.rules.compiled import CompiledRules
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.item_columns import ItemColumns
from movierec_engine.recommending.rules.versions import RULES_FILE
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds

PRICE_FILE = "price.parquet"


@step("pricing the rules")
def price_rules(
    store: ArtifactStore, trained_model: Artifact, document: RuleDocument, scenario: str, region: str | None = None
) -> Artifact:
    """Measure what each rule does to the model's lists on validation, alone and with all others, and publish it.

    Alone each is taken to hold; together those that hold now. price.parquet has a row for each, that of all of them
    first. Raises MovierecError for rules that do not fit the movies, and where there is no validation part.
    """
    from movierec_engine.evaluation.rules_price import TOGETHER, K, rules_price

    now = datetime.now(UTC)
    splits = store.resolve(trained_model.parents[kinds.SPLITS]).verify()
    raw_movies = movies_of(store, trained_model)
    movies = Movies.load(raw_movies.verify().folder)
    heldout = load_split(splits).validation_heldout(movies)
    model = load_model(trained_model.verify().folder)
    columns, n_items = ItemColumns(Movies.columns_of(raw_movies.folder, model.items)), len(model.items)
    CompiledRules(document, columns, n_items).check(now)
    alone = [
        (rule.name, rule.kind, CompiledRules(document.alone(rule.name), columns, n_items).at(now, region))
        for rule in document.rules
    ]
    together = (TOGETHER, "", CompiledRules(document, columns, n_items).at(now, region))
    prices = rules_price(model, heldout, [together, *alone])

    def write(folder: Path) -> None:
        pq.write_table(pa.Table.from_pylist([asdict(row) for row in prices]), folder / PRICE_FILE)
        (folder / RULES_FILE).write_text(document.text, encoding="utf-8")

    return store.publish(
        trained_model.slot.beside(kinds.RULES_PRICE),
        write,
        key=content_key(trained_model.reference, raw_movies.key, document.text, scenario, region),
        fingerprint=trained_model.fingerprint,
        config=trained_model.config,
        parents={kinds.TRAINED_MODEL: trained_model, kinds.SPLITS: splits, kinds.RAW_MOVIES: raw_movies},
        origin=trained_model.origin,
        facts={
            "part": "validation",
            "data": trained_model.config["data"]["name"],
            "scenario": scenario,
            "region": region,
            "k": K,
        },
    )
