"""From the input files to the graph. Each step is made again only when its inputs or its settings have changed."""

import dagster as dg

from movierec_assets import metadata
from movierec_assets.batch import read_once
from movierec_assets.observation import INPUT_FILES, note_read, observed
from movierec_assets.resources import SettingsResource
from movierec_assets.step import engine_failures
from movierec_assets.table_columns import table_column
from movierec_engine import pipeline
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.store import Artifact, kinds

DOMAIN = {"domain": "data"}
SINGLE_RUN = dg.BackfillPolicy.single_run()


input_files = dg.AssetSpec(
    INPUT_FILES,
    kinds={"csv"},
    tags=DOMAIN,
    description="The files of ratings and movies that `data.*` names; nothing here writes them.\n\n*Observe* looks "
    "whether their content is another than the one that raw_ratings was made of, which is stale then. So do the sensor "
    "`ratings_file` and whatever reads them. Their bytes are read for it only where a time or a size has changed.",
)


@dg.multi_observable_source_asset(name="observe_input_files", specs=[input_files])  # type: ignore[untyped-decorator]
def observed_files(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.ObserveResult:
    with engine_failures():
        return observed(context.instance, settings.shared().data)


IDS = {"user_id": "int64 or string", "movie_id": "int64 or string"}
TABLE_OF_POSITIVES = {**IDS, "rating": "float", "timestamp": "int64, seconds"}


def columns(**types: str) -> dict[str, dg.TableSchema]:
    """Metadata of a table's definition: its columns with their types and what they hold."""
    return {"dagster/column_schema": dg.TableSchema([table_column(name, kind) for name, kind in types.items()])}


@dg.asset(
    tags=DOMAIN,
    kinds={"csv", "parquet"},
    backfill_policy=SINGLE_RUN,
    deps=[INPUT_FILES],
    metadata=columns(**IDS, rating="float32", timestamp="int64, seconds"),
)
def raw_ratings(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """Validated ratings: one row for each user and movie, as `user_id, movie_id, rating, timestamp`."""
    with settings.step(context) as step:

        def read() -> Artifact:
            note_read(context, step.settings.data)
            feedback = FeedbackLogs(step.store.root, step.settings.feedback.url)
            return pipeline.ingest_ratings(step.store, step.settings.data, step.origin, feedback=feedback)

        made = read_once(context.instance, context.run, step.store, read)
        step.done(made, metadata.facts(made, rows="ratings"))
        return step.result()


@dg.asset(
    tags=DOMAIN,
    kinds={"csv", "parquet"},
    backfill_policy=SINGLE_RUN,
    deps=[INPUT_FILES],
    metadata=columns(movie_id=IDS["movie_id"], title="text", year="int", genres="list of text"),
)
def raw_movies(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """Titles, years and genres of the movies, as `movie_id, title, year, genres`."""
    with settings.step(context) as step:
        note_read(context, step.settings.data)
        made = pipeline.ingest_movies(step.store, step.settings.data, step.origin)
        step.done(made, metadata.facts(made, rows="movies"))
        return step.result()


@dg.asset(
    tags=DOMAIN,
    kinds={"parquet"},
    backfill_policy=SINGLE_RUN,
    deps=[raw_ratings],
    metadata=columns(**TABLE_OF_POSITIVES),
)
def interactions(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """Positive interactions after the rating threshold and the k-core: `user_id, movie_id, rating, timestamp`.

    With them two id maps, in whose order the engine numbers users `[n_users]` and items `[n_items]` from 0.
    """
    with settings.step(context) as step:
        made = pipeline.filter_interactions(step.store, step.parent(kinds.RAW_RATINGS), step.settings.data, step.origin)
        step.done(made, metadata.facts(made, rows="interactions"))
        return step.result()


@dg.asset(
    tags=DOMAIN,
    kinds={"parquet"},
    backfill_policy=SINGLE_RUN,
    deps=[interactions],
    metadata=columns(**TABLE_OF_POSITIVES, part="train, validation, test, fold_in or later"),
)
def splits(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """The interactions divided into train, validation and test, which are disjoint, by the column `part`.

    With `data.split=users` whole users are held out; `fold_in` is what a model is told of them. With
    `data.split=next_item_after` it is what happened between validation and test, and `later` what came after test.

    From here on artifacts carry the fingerprint: numbers with different fingerprints are never compared.
    """
    with settings.step(context) as step:
        made = pipeline.split_interactions(step.store, step.parent(kinds.INTERACTIONS), step.settings.data, step.origin)
        step.done(made, metadata.facts(made))
        return step.result()


@dg.asset(tags=DOMAIN, kinds={"scipy"}, backfill_policy=SINGLE_RUN, deps=[splits])
def interaction_graph(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """The users and items of train as a graph: its symmetric normalised adjacency, CSR `[users + items] x 2`."""
    with settings.step(context) as step:
        made = pipeline.build_interaction_graph(step.store, step.parent(kinds.SPLITS), step.settings.data, step.origin)
        step.done(made, metadata.facts(made))
        return step.result()
