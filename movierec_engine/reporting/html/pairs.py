"""Models compared user by user: the leader against each other one, and every pair."""

from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import less_is_better
from movierec_engine.reporting import conclusions, numbers
from movierec_engine.reporting.html.charts import StackedBar, splits
from movierec_engine.reporting.html.document import Block, Cell, Column, Figure, Prose, Row, Section, Table
from movierec_engine.reporting.html.ranking import Ranking


def paired_comparison(ranking: Ranking) -> Section:
    """The leader against each other model, then the matrix of all pairs."""
    verdicts = [found for name in ranking.names[1:] if (found := ranking.against_leader(name))]
    blocks: list[Block] = []
    if verdicts:
        blocks = [_users(ranking, verdicts), _table(ranking, verdicts)]
        if len(ranking.names) > 2:
            blocks.append(_matrix(ranking))
    else:
        blocks.append(Prose("There are no two models here whose users can be compared.", quiet=True))
    return Section(
        "pairs",
        "Is the difference real?",
        "Every model answered for the same users, so each user's difference is looked at, and not the two means alone.",
        tuple(blocks),
    )


def _users(ranking: Ranking, verdicts: list[Verdict]) -> Figure:
    nearest = verdicts[0].comparison
    rows = [
        StackedBar(one.worse, (one.comparison.wins, one.comparison.ties, one.comparison.losses)) for one in verdicts
    ]
    title = (
        f"{ranking.leader} serves {nearest.wins:,} of {nearest.users:,} users better than {verdicts[0].worse} does, "
        f"and {nearest.losses:,} worse"
    )
    spoken = f"Users whom {ranking.leader} serves better, equally well and worse: " + "; ".join(
        f"against {row.name} {numbers.listed([f'{part:,}' for part in row.parts])}" for row in rows
    )
    keys = (f"{ranking.leader} better", "equal", f"{ranking.leader} worse")
    return Figure(
        title,
        splits(rows, keys, "share of the users", spoken),
        f"Users by {ranking.title} of {ranking.leader} against each model.",
    )


def _table(ranking: Ranking, verdicts: list[Verdict]) -> Table:
    columns = (
        Column(f"{ranking.leader} against", words=True),
        Column("Difference", "95 % interval"),
        Column("p", "Holm-corrected"),
        Column("Effect size", "d_z"),
        Column("Users better", f"by {ranking.leader}"),
        Column("Users equal"),
        Column("Users worse", f"by {ranking.leader}"),
        Column("Significant", words=True),
    )
    rows = []
    for one in verdicts:
        paired = one.comparison
        rows.append(
            Row(
                Cell(one.worse),
                (
                    Cell(
                        numbers.signed(paired.difference),
                        numbers.signed_interval(paired.low, paired.high),
                    ),
                    Cell(numbers.p_value(conclusions.corrected_p(one))),
                    Cell(numbers.signed(paired.effect_size, 2)),
                    Cell(f"{paired.wins:,}"),
                    Cell(f"{paired.ties:,}"),
                    Cell(f"{paired.losses:,}"),
                    Cell("yes" if one.significant else "no", strong=one.significant),
                ),
            )
        )
    note = f"Corrected over {numbers.counted(len(ranking.verdicts), 'pair')} of models; intervals are not corrected."
    if less_is_better(ranking.metric):
        note += f" A difference above 0: {ranking.leader} is lower, and so better."
    return Table(f"{ranking.leader} against each other model, {ranking.title} on test", columns, tuple(rows), note)


def _matrix(ranking: Ranking) -> Table:
    found = {(one.better, one.worse): one for one in ranking.verdicts}
    names = [name for name in ranking.names if any(name in pair for pair in found)]
    rows = tuple(Row(Cell(row), tuple(_cell(found, row, column) for column in names)) for row in names)
    significant = sum(one.significant for one in ranking.verdicts)
    return Table(
        f"{significant:,} of {numbers.counted(len(ranking.verdicts), 'pair')} differ significantly",
        (
            Column("Column minus row" if less_is_better(ranking.metric) else "Row minus column", words=True),
            *(Column(name) for name in names),
        ),
        rows,
        "▲: the row's model is significantly better; ▼: significantly worse; ≈: statistically tied.",
    )


def _cell(found: dict[tuple[str, str], Verdict], row: str, column: str) -> Cell:
    if row == column:
        return Cell("", spoken="the same model")
    better = (row, column) in found
    one = found[row, column] if better else found[column, row]
    difference = numbers.signed(one.comparison.difference if better else -one.comparison.difference)
    if not one.significant:
        return Cell("≈", difference, heat=0.0, spoken="not significantly different")
    if better:
        return Cell("▲", difference, heat=0.75, spoken="significantly better")
    return Cell("▼", difference, spoken="significantly worse")
