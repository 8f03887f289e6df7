"""`movierec models`: which versions there are, which one is served, and why."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from movierec_engine.cli.console import one_sentence_errors
from movierec_engine.cli.options import ARTIFACTS, DATA, FORCE, OVERRIDES, REASON
from movierec_engine.store import kinds

if TYPE_CHECKING:
    from movierec_engine.config import Settings
    from movierec_engine.release.decisions import Decision
    from movierec_engine.store import ArtifactStore


@click.group()
def models() -> None:
    """Trained versions: which there are, which one is served, and why.

    After each training the gate (`challenge`, or the asset serving_release) serves the best model if it is at least as
    good as the champion. `promote`, `rollback` and `pin` are a person's decisions. `history` shows all of them.
    """


@models.command("list")
@ARTIFACTS
@DATA
@click.option("--metric", default="ndcg@10", show_default=True, help="The validation metric to show.")
def list_models(artifacts: Path, data_set: str, metric: str) -> None:
    """List every trained version in the store, newest last.

    The champion, which is served, has a star; where it was refitted on all interactions, the index that answers is
    named beside the measured version, which vouches for it. A version that was released before can be rolled back to.
    """
    from movierec_engine.release import decisions
    from movierec_engine.store import ArtifactStore, is_refitted

    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        of = _data_set(store, data_set)
        served, pinned = decisions.served_reference(store, of), decisions.pin_of(store, of)
        before = set(decisions.releases(store, of)) - {served}
        table = Table(title=escape(f"models of {of} in {store.root}"))
        for column in ("model", "device", "version", "fingerprint"):
            table.add_column(column, overflow="fold")
        for column in ("age", f"validation {metric}", "seconds", "indices"):
            table.add_column(column, justify="right", overflow="fold")
        table.add_column("")
        for slot in store.slots(kinds.TRAINED_MODEL, of):
            indices: dict[str, list[str]] = {}
            for index in store.versions(slot.beside(kinds.FAISS_INDEX)):
                indices.setdefault(index.parents.get(kinds.TRAINED_MODEL, ""), []).append(index.reference)
            for version in store.versions(slot):
                own = indices.get(version.reference, [])
                measured = version.facts.get("validation_metrics", {}).get(metric)
                marks = []
                if served in own:
                    refitted = is_refitted(store.resolve(served))
                    marks.append(f"★ served, refitted as {served}" if refitted else "★ served")
                marks += ["pinned"] if pinned and served in own else []
                marks += ["released before"] if before & set(own) and served not in own else []
                table.add_row(
                    slot.model,
                    slot.device,
                    version.version,
                    version.fingerprint,
                    _age(version.created_at),
                    "-" if measured is None else f"{measured:.4f}",
                    f"{version.facts.get('seconds', 0):.1f}",
                    str(len(own)),
                    ", ".join(marks),
                )
        Console().print(table)


@models.command()
@ARTIFACTS
@DATA
@click.option("--last", default=20, show_default=True, type=click.IntRange(1), help="How many decisions.")
def history(artifacts: Path, data_set: str, last: int) -> None:
    """Show what was decided about what is served, by whom and why, newest last."""
    from movierec_engine.release import decisions
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        of = _data_set(store, data_set)
        made = decisions.decisions(store, of)
        table = Table(title=escape(f"decisions about {of} in {store.root}"), show_lines=True)
        for column in ("when", "decision", "who", "why"):
            table.add_column(column, overflow="fold")
        for decision, done in list(zip(made, decisions.carried_out(store, made), strict=True))[-last:]:
            who = ", ".join(f"{name} {value}" for name, value in decision.origin.items())
            reason = f"\nreason: {decision.reason}" if decision.reason else ""
            verdict = decision.verdict if done else f"{decision.verdict}, but interrupted"
            table.add_row(decision.at, verdict, f"{decision.by}: {who}", escape(decision.sentence + reason))
        Console().print(table)


@models.command()
@ARTIFACTS
@DATA
@click.argument("name", required=False)
@click.option("--device", help="The kind of device that it was trained on.", show_default="any")
@click.option("--version", help="A version of it, or the beginning of one.", show_default="the newest")
@OVERRIDES
def challenge(
    artifacts: Path,
    data_set: str,
    name: str | None,
    device: str | None,
    version: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Put a challenger to the gate, and serve it if it is at least as good as the champion.

    NAME is a model, such as lightgcn; without it, the best of the leaderboard, which is made anew. Compared are the
    same users' validation metrics, by the paired test; the baselines of release.above have to be matched too. The exit
    code is 1 when the champion stays. `--set release.tolerance=0.002` and other settings of release are for this once.
    """
    from movierec_engine import pipeline
    from movierec_engine.release import decide_release
    from movierec_engine.release.decisions import PROMOTED, UNCHANGED
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store, settings = ArtifactStore(artifacts), _settings(overrides)
        of = _data_set(store, data_set, settings)
        trained = pipeline.find_trained_model(store, of, name, device or "", version or "") if name else None
        board = pipeline.rank_models(store, of, settings.release.metric or settings.trainer.early_stopping.metric)
        decision = decide_release(store, board, settings.release, trained)
        _show(decision)
    if decision.verdict not in (PROMOTED, UNCHANGED):
        sys.exit(1)


@models.command()
@ARTIFACTS
@DATA
@click.argument("name")
@click.option("--device", help="The kind of device that it was trained on.", show_default="any")
@click.option("--version", help="A version of it, or the beginning of one.", show_default="the newest")
@FORCE
@REASON
@OVERRIDES
def promote(
    artifacts: Path,
    data_set: str,
    name: str,
    device: str | None,
    version: str | None,
    force: bool,
    reason: str,
    overrides: tuple[str, ...],
) -> None:
    """Serve a version because you say so; how it compares is shown and recorded, and does not decide.

    NAME is a model (ease, ease/cpu, ease/cpu/VERSION) or a reference (faiss_index/DATA_SET/ease/cpu/VERSION). --force
    serves it though another version is pinned, its recall is low or a leak was found; a damaged index is never served.
    """
    from movierec_engine.release import manual
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store, settings = ArtifactStore(artifacts), _settings(overrides)
        of = _data_set(store, data_set, settings)
        index = manual.find_index(store, of, name, device or "", version or "")
        metric = settings.trainer.early_stopping.metric
        _show(manual.promote(store, index, settings.release, metric, force=force, reason=reason))


@models.command()
@ARTIFACTS
@DATA
@click.option("--to", default="", help="A version in the store, or the beginning of one.", show_default="the last one")
@click.option("--steps", default=1, show_default=True, type=click.IntRange(1), help="How many releases to go back.")
@FORCE
@REASON
@OVERRIDES
def rollback(
    artifacts: Path, data_set: str, to: str, steps: int, force: bool, reason: str, overrides: tuple[str, ...]
) -> None:
    """Serve again what was served before.

    What is rolled back from is not promoted by the gate again: only by hand. --force rolls back though what is served
    is pinned.
    """
    from movierec_engine.release import manual
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store, settings = ArtifactStore(artifacts), _settings(overrides)
        of, config = _data_set(store, data_set, settings), settings.release
        _show(manual.roll_back(store, of, config, to=to, steps=steps, force=force, reason=reason))


@models.command()
@ARTIFACTS
@DATA
@REASON
def pin(artifacts: Path, data_set: str, reason: str) -> None:
    """Keep what is served: the gate leaves it, and promote and rollback ask for --force."""
    from movierec_engine.release import manual
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        _show(manual.pin(store, _data_set(store, data_set), reason))


@models.command()
@ARTIFACTS
@DATA
@REASON
def unpin(artifacts: Path, data_set: str, reason: str) -> None:
    """Let the gate replace what is served again."""
    from movierec_engine.release import manual
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store = ArtifactStore(artifacts)
        _show(manual.unpin(store, _data_set(store, data_set), reason))


@models.command()
@ARTIFACTS
@DATA
@click.option(
    "--keep", default=5, show_default=True, type=click.IntRange(1), help="How many of the newest versions of each stay."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@OVERRIDES
def prune(artifacts: Path, data_set: str, keep: int, dry_run: bool, overrides: tuple[str, ...]) -> None:
    """Delete a data set's old versions of every kind: models, indices, reports, data and the rest.

    Never what is served or pinned, the newest of anything, one of the last release.keep_releases releases, a decision,
    or anything that a kept version was made from. Prune while nothing is being trained.
    """
    from movierec_engine.release.retention import prune as run
    from movierec_engine.store import ArtifactStore

    with one_sentence_errors():
        store, settings, console = ArtifactStore(artifacts), _settings(overrides), Console()
        of = _data_set(store, data_set, settings)
        pruned = run(store, of, keep, settings.release, dry_run=dry_run)
        for version in pruned.versions:
            console.print(version.reference, soft_wrap=True, highlight=False)
        done = "would be" if dry_run else "were"
        console.print(
            f"{len(pruned.versions)} versions, {pruned.megabytes:.1f} MB, {done} deleted; the last "
            f"{pruned.kept_releases} releases are kept",
            soft_wrap=True,
            highlight=False,
        )


def _settings(overrides: tuple[str, ...]) -> "Settings":
    """What is no model's own; popularity stands for any model, since it needs no torch."""
    from movierec_engine.config import load_settings

    return load_settings([*overrides, "model=popularity", "device=cpu"])


def _data_set(store: "ArtifactStore", named: str, settings: "Settings | None" = None) -> str:
    """The data set that --data names, or else `--set data.name=...`, or else the usual one."""
    from movierec_engine.pipeline.data_sets import choose_data_set, named_data_set

    return choose_data_set(store, kinds.TRAINED_MODEL, named or (named_data_set(settings) if settings else ""))


def _show(decision: "Decision") -> None:
    """Print a decision with the comparisons behind it."""
    from movierec_engine.release.promotion import named

    console = Console()
    compared = decision.evidence.get("comparisons", [])
    if compared:
        metric = decision.evidence["metric"]
        table = Table(title=f"{named(decision.challenger_model)}, validation {metric}")
        for column in ("next to", "own", "other", "difference", "95 %", "p bootstrap", "p Wilcoxon", "trials", ""):
            table.add_column(column, justify="left" if column in ("next to", "") else "right")
        for row in compared:
            numbers = ["-"] * 6
            if "difference" in row:
                numbers = [f"{row['mean_a']:.4f}", f"{row['mean_b']:.4f}", f"{row['difference']:+.4f}"]
                numbers += [f"[{row['low']:+.4f}, {row['high']:+.4f}]"]
                numbers += [f"{row['p_bootstrap']:.3f}", f"{row['p_wilcoxon']:.3f}"]
            mark = "[green]holds[/]" if row["passed"] else "[bold red]LOSES[/]"
            trials = str(decision.evidence["tuning_trials"].get(row["model"], 0))
            table.add_row(row["name"], *(escape(number) for number in numbers), trials, mark)
        console.print(table)
    console.print(decision.sentence, soft_wrap=True, highlight=False, markup=False)
    if decision.reference:
        console.print(f"decision: {decision.reference}", soft_wrap=True, highlight=False, markup=False)


def _age(created_at: str) -> str:
    """How long ago, in the largest unit of which it is at least one."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
