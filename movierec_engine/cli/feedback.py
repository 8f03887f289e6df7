"""`movierec feedback`: where people's feedback is kept."""

import click

from movierec_engine.cli.options import ARTIFACTS, DATA, CommandGroup
from movierec_engine.store.storage import Location


@click.group(cls=CommandGroup)
def feedback() -> None:
    """Move people's feedback from the file beside the artifacts to a database that several machines share."""


@feedback.command(settings=True, examples=["feedback copy", "feedback copy --data movielens-small"])
@ARTIFACTS
@DATA
@click.argument("words", metavar="[KEY=VALUE]...", nargs=-1)
def copy(artifacts: Location, data_set: str, words: tuple[str, ...]) -> None:
    """Copy a data set's feedback from SQLite into PostgreSQL, and compare every row.

    The database is that of feedback.url, or of MOVIEREC_FEEDBACK_URL, which keeps its password out of the list of
    processes. Stop what records feedback before; then start the servers with that URL. A copy that was cut off goes on
    when it is run again.
    """
    from contextlib import closing

    from movierec_engine.config import load_feedback
    from movierec_engine.errors import ConfigError
    from movierec_engine.feedback import FeedbackLogs, SqliteLog, log_file
    from movierec_engine.feedback.config import URL_VARIABLE
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.reporting import numbers
    from movierec_engine.store import ArtifactStore, kinds

    store = ArtifactStore(artifacts)
    logs = FeedbackLogs(store.root, load_feedback(list(words)).url)
    if not logs.url:
        raise ConfigError(f"feedback.url says no database to copy to; set it or {URL_VARIABLE}")
    of = data_set or choose_data_set(store, kinds.RAW_RATINGS)
    with closing(logs.of(of)) as target, closing(SqliteLog(log_file(store.root, of))) as source:
        from movierec_engine.feedback.postgres.copying import copy_log
        from movierec_engine.feedback.postgres.log import PostgresLog

        assert isinstance(target, PostgresLog)
        copied = copy_log(source, target)
        where = target.where
    nouns = {"events": ("event", ""), "exposures": ("list shown", "lists shown"), "erasures": ("erasure", "")}
    counts = numbers.listed([numbers.counted(copied.rows[table], *word) for table, word in nouns.items()])
    print(f"{counts} are in {where}, {sum(copied.added.values()):,} rows of them new; every row was compared")
