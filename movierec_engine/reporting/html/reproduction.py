"""The section on making every number of the page again."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from movierec_engine.evaluation.reproduce import compare_command, evaluate_command, train_command
from movierec_engine.reporting import numbers
from movierec_engine.reporting.html.document import (
    Block,
    Cell,
    Column,
    Command,
    Commands,
    Prose,
    Row,
    Section,
    Table,
    Terms,
)
from movierec_engine.reporting.html.ranking import Ranking
from movierec_engine.store import kinds

_PACKAGES = {"movierec": "movierec", "torch": "torch", "numpy": "numpy", "faiss": "faiss-cpu"}


def reproduction(ranking: Ranking) -> Section:
    """The origin of each model, and the commands that make it and every table again."""
    blocks: list[Block] = [_origins(ranking), Commands(tuple(_commands(ranking)))]
    dirty = [name for name in ranking.names if ranking.reports[name].artifact.code_version.endswith("-dirty")]
    if dirty:
        note = "From code with changes that were not committed, which the commit alone does not hold"
        blocks.insert(1, Prose(f"{note}: {numbers.listed(dirty)}.", quiet=True))
    return Section(
        "reproduction",
        "How to reproduce every number",
        "The same seed, device, number of threads and versions give the same weights to the bit. Commands write into "
        "the artifact store of whoever runs them.",
        tuple(blocks),
    )


def machine() -> Section:
    """The versions on the machine that writes the page."""
    installed = [("python", platform.python_version()), *((name, _version(own)) for name, own in _PACKAGES.items())]
    return Section(
        "machine",
        "Versions",
        "Of the machine that wrote this page; each model's own code version stands above.",
        (Terms(tuple(installed)),),
    )


def _origins(ranking: Ranking) -> Table:
    rows = []
    for name in ranking.names:
        report, artifact = ranking.report(name), ranking.reports[name].artifact
        cells = (str(report.seed), report.device, artifact.code_version, report.model_version, report.fingerprint)
        rows.append(Row(Cell(name), tuple(map(Cell, (*cells, numbers.minute(report.created_at))))))
    named = ("Model", "Seed", "Device", "Code", "Model version", "Fingerprint", "Measured")
    return Table("Where each model came from", tuple(Column(name, words=True) for name in named), tuple(rows))


def _commands(ranking: Ranking) -> Iterator[Command]:
    train, evaluate = [], []
    for name in ranking.names:
        report, artifact = ranking.report(name), ranking.reports[name].artifact
        own = {"model": artifact.slot.model, "device": report.device, "seed": report.seed}
        train.append(train_command(artifact.config, **own))
        if kinds.TRAINED_MODEL not in artifact.parents:  # given lists
            continue
        evaluate.append(
            evaluate_command(report.data, report.model, report.device, _stamp(report.model_version), report.protocol)
        )
    yield Command("Train and evaluate every model again", tuple(train))
    if evaluate:
        yield Command("Evaluate the models that are in the store again", tuple(evaluate))
    if len(ranking.names) > 1:
        protocol, data = ranking.report(ranking.leader).protocol, ranking.report(ranking.leader).data
        reports = [_reference(ranking, name) for name in ranking.names]
        yield Command(
            "The leaderboard and the paired comparison", (compare_command(data, reports, ranking.metric, protocol),)
        )
        pairs = tuple(compare_command(data, [reports[0], other], ranking.by_segment, protocol) for other in reports[1:])
        title = f"{ranking.leader} and each other model, by every metric and every kind of users and items"
        if len(reports) > 2 or ranking.by_segment != ranking.metric:
            yield Command(title, pairs)
    yield Command("This page", (f"movierec report --metric {ranking.metric}",))


def _reference(ranking: Ranking, name: str) -> str:
    """The report as `movierec compare` takes it."""
    report = ranking.report(name)
    return f"{report.model}/{report.device}/{_stamp(report.model_version)}"


def _stamp(version: str) -> str:
    """The beginning of a version's name, which is enough to name it."""
    return version.partition("-")[0]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
