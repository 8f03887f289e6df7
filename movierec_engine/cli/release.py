"""`movierec models`: which versions there are, which one is served, and why."""

import sys
from typing import TYPE_CHECKING

import click

from movierec_engine.cli.options import (
    ARTIFACTS,
    DATA,
    DEVICE,
    FORMAT,
    VERSION,
    CommandGroup,
    model_option,
    one_model,
    settings_among,
)
from movierec_engine.cli.tables import Format, print_tables
from movierec_engine.store import kinds
from movierec_engine.store.storage import Location

if TYPE_CHECKING:
    from movierec_engine.config import Settings
    from movierec_engine.release.decisions import Decision
    from movierec_engine.store import ArtifactStore

FORCE = click.option("--force", is_flag=True, help="Do it in spite of a pin, of low recall or of a leak.")
REASON = click.option("--reason", default="", help="Why; it is recorded with the decision.")
WORDS = click.argument("words", metavar="[MODEL] [KEY=VALUE]...", nargs=-1)
SETTINGS = click.argument("words", metavar="[KEY=VALUE]...", nargs=-1)


@click.group(cls=CommandGroup)
def models() -> None:
    """List trained versions, decide which one is served, take back, tidy up.

    After each training the gate (`challenge`, or the asset serving_release) serves the best model if it is at least as
    good as the champion. `promote`, `rollback` and `pin` are a person's decisions. `history` shows all of them.
    KEY=VALUE are settings for this once, such as release.tolerance=0.002.
    """


@models.command("list", examples=["models list", "models list metric=recall@20 --format json"])
@ARTIFACTS
@DATA
@FORMAT
@click.option("--metric", default="ndcg@10", show_default=True, help="The validation metric to show.")
def list_models(artifacts: Location, data_set: str, form: Format, metric: str) -> None:
    """List every trained version in the store, newest last.

    The champion, which is served, has a star; where it was refitted on all interactions, the index that answers is
    named below the measured versions, which vouch for it. A version that was released before can be rolled back to.
    """
    from movierec_engine.cli.release_tables import models_table
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    print_tables([models_table(store, _data_set(store, data_set), metric)], form)


@models.command(examples=["models history", "models history last=3"])
@ARTIFACTS
@DATA
@FORMAT
@click.option("--last", default=20, show_default=True, type=click.IntRange(1), help="How many decisions.")
def history(artifacts: Location, data_set: str, form: Format, last: int) -> None:
    """Show what was decided about what is served, by whom and why, newest last."""
    from movierec_engine.cli.release_tables import history_table
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    print_tables([history_table(store, _data_set(store, data_set), last)], form)


@models.command(
    settings=True,
    examples=["models challenge", "models challenge lightgcn", "models challenge release.tolerance=0.002"],
)
@ARTIFACTS
@DATA
@FORMAT
@WORDS
@model_option()
@DEVICE
@VERSION
def challenge(
    artifacts: Location, data_set: str, form: Format, words: tuple[str, ...], model: str, device: str, version: str
) -> None:
    """Put a challenger to the gate, and serve it if it is at least as good as the champion.

    MODEL is a model, such as lightgcn; without it, the best of the leaderboard, which is made anew. Compared are the
    same users' validation metrics, by the paired test; the baselines of release.above have to be matched too. The exit
    code is 1 when the champion stays.
    """
    from movierec_engine import pipeline
    from movierec_engine.release import decide_release
    from movierec_engine.release.decisions import PROMOTED, UNCHANGED
    from movierec_engine.store import ArtifactStore

    names, overrides = settings_among(words)
    name, device, version = one_model(names, model, device, version)
    store, settings = ArtifactStore(artifacts), _settings(overrides)
    of = _data_set(store, data_set, settings)
    trained = pipeline.find_trained_model(store, of, name, device, version) if name else None
    board = pipeline.rank_models(store, of, settings.release.metric or settings.trainer.early_stopping.metric)
    decision = decide_release(store, board, settings.release, trained)
    _show(decision, form)
    if decision.verdict not in (PROMOTED, UNCHANGED):
        sys.exit(1)


@models.command(settings=True, examples=["models promote ease", 'models promote ease/cpu reason="the new catalogue"'])
@ARTIFACTS
@DATA
@FORMAT
@WORDS
@model_option()
@DEVICE
@VERSION
@FORCE
@REASON
def promote(
    artifacts: Location,
    data_set: str,
    form: Format,
    words: tuple[str, ...],
    model: str,
    device: str,
    version: str,
    force: bool,
    reason: str,
) -> None:
    """Serve a version because you say so; how it compares is shown and recorded, and does not decide.

    MODEL is a model (ease, ease/cpu, ease/cpu/VERSION) or a reference (faiss_index/DATA_SET/ease/cpu/VERSION). --force
    serves it though another version is pinned, its recall is low or a leak was found; a damaged index is never served.
    """
    from movierec_engine.release import manual
    from movierec_engine.store import ArtifactStore

    names, overrides = settings_among([*words, *([model] if model else [])])
    if len(names) != 1:
        raise click.UsageError("name the one model to serve, such as ease", click.get_current_context())
    store, settings = ArtifactStore(artifacts), _settings(overrides)
    index = manual.find_index(store, _data_set(store, data_set, settings), names[0], device, version)
    metric = settings.trainer.early_stopping.metric
    _show(manual.promote(store, index, settings.release, metric, force=force, reason=reason), form)


@models.command(settings=True, examples=["models rollback", 'models rollback steps=2 reason="complaints"'])
@ARTIFACTS
@DATA
@FORMAT
@click.option("--to", default="", help="A version in the store, or the beginning of one.", show_default="the last one")
@click.option("--steps", default=1, show_default=True, type=click.IntRange(1), help="How many releases to go back.")
@FORCE
@REASON
@SETTINGS
def rollback(
    artifacts: Location,
    data_set: str,
    form: Format,
    to: str,
    steps: int,
    force: bool,
    reason: str,
    words: tuple[str, ...],
) -> None:
    """Serve again what was served before.

    What is rolled back from is not promoted by the gate again: only by hand. --force rolls back though what is served
    is pinned.
    """
    from movierec_engine.release import manual
    from movierec_engine.store import ArtifactStore

    store, settings = ArtifactStore(artifacts), _settings(words)
    of, config = _data_set(store, data_set, settings), settings.release
    _show(manual.roll_back(store, of, config, to=to, steps=steps, force=force, reason=reason), form)


@models.command(examples=['models pin reason="until Monday"'])
@ARTIFACTS
@DATA
@FORMAT
@REASON
def pin(artifacts: Location, data_set: str, form: Format, reason: str) -> None:
    """Keep what is served: the gate leaves it, and promote and rollback ask for --force."""
    from movierec_engine.release import manual
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    _show(manual.pin(store, _data_set(store, data_set), reason), form)


@models.command(examples=["models unpin"])
@ARTIFACTS
@DATA
@FORMAT
@REASON
def unpin(artifacts: Location, data_set: str, form: Format, reason: str) -> None:
    """Let the gate replace what is served again."""
    from movierec_engine.release import manual
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    _show(manual.unpin(store, _data_set(store, data_set), reason), form)


@models.command(settings=True, examples=["models prune --dry-run", "models prune keep=1 release.keep_releases=2"])
@ARTIFACTS
@DATA
@click.option(
    "--keep",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="How many of the newest versions of each to keep.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@SETTINGS
def prune(artifacts: Location, data_set: str, keep: int, dry_run: bool, words: tuple[str, ...]) -> None:
    """Delete a data set's old versions of every kind: models, indices, reports, data and the rest.

    Never what is served or pinned, the newest of anything, one of the last release.keep_releases releases, a decision,
    or anything that a kept version was made from. Prune while nothing is being trained.
    """
    from movierec_engine.release.retention import prune as run
    from movierec_engine.reporting import numbers
    from movierec_engine.store import ArtifactStore

    store, settings = ArtifactStore(artifacts), _settings(words)
    pruned = run(store, _data_set(store, data_set, settings), keep, settings.release, dry_run=dry_run)
    for version in pruned.versions:
        print(version.reference)
    done = "would be" if dry_run else "were"
    print(
        f"{len(pruned.versions)} versions, {numbers.memory(pruned.megabytes)}, {done} deleted; the last "
        f"{pruned.kept_releases} releases are kept"
    )


def _settings(overrides: tuple[str, ...]) -> "Settings":
    """Settings that are no model's own; popularity stands for any model, since it needs no torch."""
    from movierec_engine.config import load_settings

    return load_settings([*overrides, "model=popularity", "device=cpu"])


def _data_set(store: "ArtifactStore", named: str, settings: "Settings | None" = None) -> str:
    """The data set that --data names, or else data.name=..., or else the usual one."""
    from movierec_engine.pipeline.data import choose_data_set, named_data_set

    return choose_data_set(store, kinds.TRAINED_MODEL, named or (named_data_set(settings) if settings else ""))


def _show(decision: "Decision", form: Format) -> None:
    from movierec_engine.cli.release_tables import decision_table

    print_tables([decision_table(decision)], form)
