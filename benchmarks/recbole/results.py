"""Results of the runs, as JSON and as tables."""

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pairs import PAIRS, SAME_STEP, THEIR_STEP, Pair


@dataclass
class Run:
    """The report of one process. ready: its first line; epochs: one entry each; error: why it failed, else empty."""

    side: str
    ready: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    @property
    def best(self) -> dict[str, Any]:
        return max(self.epochs, key=lambda epoch: epoch["ndcg"])

    def until(self, number: int) -> tuple[float, float]:
        """Seconds of training up to the end of an epoch, and with its evaluations."""
        past = self.epochs[:number]
        seconds = sum(epoch["train_seconds"] for epoch in past)
        return seconds, seconds + sum(epoch["evaluation_seconds"] for epoch in past)

    def first_reaching(self, ndcg: float) -> dict[str, Any] | None:
        return next((epoch for epoch in self.epochs if epoch["ndcg"] >= ndcg), None)


@dataclass
class Result:
    """All runs of one model. turns: the alternating runs; theirs and ours: the runs for the best ndcg@10."""

    turns: list[Run] = field(default_factory=list)
    theirs: Run | None = None
    ours: Run | None = None


def write(results: dict[str, Result], facts: dict[str, Any], folder: Path) -> None:
    """recbole.json and recbole.md, of all runs so far."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {"facts": facts, "models": {name: asdict(result) for name, result in results.items()}}
    (folder / "recbole.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    (folder / "recbole.md").write_text("\n".join(page(results, facts)), encoding="utf-8")


def page(results: dict[str, Result], facts: dict[str, Any]) -> list[str]:
    models = {name: result for name, result in results.items() if name in PAIRS}
    return [
        "# Side by side with RecBole",
        "",
        f"`python benchmarks/recbole/side_by_side.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"{facts['threads']} threads on both sides, {platform.system()} {platform.machine()}.",
        "",
        *versions(results),
        "",
        f"{facts['users']:,} users, {facts['items']:,} items; {facts['train']:,} train, {facts['validation']:,} "
        f"validation interactions, a random split per user (seed {facts['split_seed']}), the same rows on both sides. "
        "Validation ranks the whole catalogue without the user's train items."
        + (f" A trial: epochs of {facts['steps']} batches." if facts["steps"] else ""),
        "",
        "## A step",
        "",
        "Train interactions a second, each with one negative; the median over alternating runs of "
        f"{facts['epochs']} epoch(s), {facts['repetitions']} of each side. The same architecture, loss, batch and "
        "optimizer, see below.",
        "",
        "| model | RecBole, samples/s | ours, samples/s | ratio | asked for | RecBole, s an epoch | ours, s an epoch "
        "| RecBole, ndcg@10 | ours, ndcg@10 |",
        "|---|---|---|---|---|---|---|---|---|",
        *(step_row(name, result, PAIRS[name]) for name, result in models.items()),
        "",
        "## Full-ranking evaluation",
        "",
        "Seconds, and peak resident memory above its level before the evaluation; medians of the same runs. "
        f"RecBole's eval_batch_size is {facts['eval_batch_size']:,} scores.",
        "",
        "| model | RecBole, s | ours, s | share of RecBole's | asked for | RecBole, MB | ours, MB "
        "| our default model, s | MB |",
        "|---|---|---|---|---|---|---|---|---|",
        *(evaluation_row(name, result, PAIRS[name]) for name, result in models.items()),
        "",
        "## Time to RecBole's best validation ndcg@10",
        "",
        "RecBole runs with the settings below until 10 epochs bring nothing or "
        f"{facts['max_minutes']:g} minutes are over; this project runs with its default configuration until it reaches "
        "the best that RecBole reached. Seconds of training alone, and with an evaluation after each epoch.",
        "",
        "| model | ndcg@10 | RecBole, epochs | RecBole, s | with evaluation | ours, epochs | ours, s | with evaluation "
        "| times sooner |",
        "|---|---|---|---|---|---|---|---|---|",
        *(reaching_row(name, result) for name, result in models.items()),
        "",
        "## Whether ndcg@10 means the same",
        "",
        "Both sides divide by the ideal list of min(10, relevant items) hits, mask the train items alone, and average "
        "over users with a validation item. The same scorer on both sides: an item's number of train interactions (set "
        "into RecBole's Pop, whose own counting misses an item's repetitions within a batch). Ties count against the "
        "model here and go by the sorting's chance in RecBole.",
        "",
        "| RecBole's Pop | popularity here | difference |",
        "|---|---|---|",
        check_row(results["popularity"]),
        "",
        "## Settings",
        "",
        "| model | RecBole | ours, a step | ours, time to RecBole's best |",
        "|---|---|---|---|",
        *(settings_row(name, PAIRS[name]) for name in models),
        "",
        "A RecBole batch of a pointwise model counts rows, a positive and its negative being two; here it counts "
        "positives.",
        "",
    ]


def versions(results: dict[str, Result]) -> list[str]:
    """One line a side, from the first run that said them."""
    lines = []
    for side in ("RecBole", "ours"):
        runs = [run for result in results.values() for run in result.turns if run.side == side and run.ready]
        if runs:
            lines.append(
                f"- {side}: " + ", ".join(f"{name} {number}" for name, number in runs[0].ready["versions"].items())
            )
    return lines


def median(result: Result, side: str, name: str) -> float:
    """Of one reported number over all epochs of a side's alternating runs; NaN where none reported."""
    values = [epoch[name] for run in result.turns if run.side == side for epoch in run.epochs]
    return statistics.median(values) if values else float("nan")


def step_row(name: str, result: Result, pair: Pair) -> str:
    seconds = {side: median(result, side, "train_seconds") for side in ("RecBole", "ours")}
    speed = {side: median(result, side, "samples") / seconds[side] for side in seconds}
    ndcg = {side: median(result, side, "ndcg") for side in seconds}
    asked = f"{pair.faster:g}" if pair.faster else "-"
    return (
        f"| {name} | {speed['RecBole']:,.0f} | {speed['ours']:,.0f} | {speed['ours'] / speed['RecBole']:.2f} | {asked} "
        f"| {seconds['RecBole']:.2f} | {seconds['ours']:.2f} | {ndcg['RecBole']:.4f} | {ndcg['ours']:.4f} |"
    )


def evaluation_row(name: str, result: Result, pair: Pair) -> str:
    theirs, ours = (median(result, side, "evaluation_seconds") for side in ("RecBole", "ours"))
    their_memory, memory = (median(result, side, "evaluation_mb") for side in ("RecBole", "ours"))
    asked = f"{pair.evaluation:g}" if pair.evaluation else "-"
    default = "not run | "
    if result.ours and result.ours.epochs:
        seconds, megabytes = (
            statistics.median(epoch[name] for epoch in result.ours.epochs)
            for name in ("evaluation_seconds", "evaluation_mb")
        )
        default = f"{seconds:.2f} | {megabytes:,.0f}"
    return (
        f"| {name} | {theirs:.2f} | {ours:.2f} | {ours / theirs:.3f} | {asked} | {their_memory:,.0f} | {memory:,.0f} "
        f"| {default} |"
    )


def reaching_row(name: str, result: Result) -> str:
    if not (result.theirs and result.theirs.epochs):
        return f"| {name} | not run |" + " |" * 7
    best = result.theirs.best
    seconds, whole = result.theirs.until(best["number"])
    theirs = f"| {name} | {best['ndcg']:.4f} | {best['number']} | {seconds:,.1f} | {whole:,.1f} "
    if not (result.ours and result.ours.epochs):
        return theirs + "| not run | | | |"
    reached = result.ours.first_reaching(best["ndcg"])
    if not reached:
        return theirs + f"| not reached in {len(result.ours.epochs)}, best {result.ours.best['ndcg']:.4f} | | | |"
    ours, ours_whole = result.ours.until(reached["number"])
    return theirs + f"| {reached['number']} | {ours:,.1f} | {ours_whole:,.1f} | {seconds / ours:.1f} |"


def check_row(result: Result) -> str:
    theirs, ours = (median(result, side, "ndcg") for side in ("RecBole", "ours"))
    return f"| {theirs:.6f} | {ours:.6f} | {ours - theirs:+.6f} |"


def settings_row(name: str, pair: Pair) -> str:
    theirs = ", ".join(f"{key}={value}" for key, value in (THEIR_STEP | pair.theirs).items())
    ours = " ".join((*pair.ours, *SAME_STEP))
    return f"| {name} | {pair.recbole}: {theirs} | `{ours}` | `model={name}` |"
