"""`movierec offpolicy`: what a model would have earned in the lists that were shown."""

from pathlib import Path
from typing import Any

import click

from movierec_engine.cli.options import ARTIFACTS, DATA, DEVICE, FORMAT, WORDS, Verb, model_option, one_model
from movierec_engine.cli.tables import Format, ResultTable, TableColumn, cell, print_tables
from movierec_engine.store.storage import Location

_NAMES = {
    "logged": "as shown",
    "ips": "IPS",
    "snips": "SNIPS (self-normalized)",
    "dr": "DR (smoothed item rate)",
}


@click.command(
    cls=Verb,
    examples=[
        "offpolicy ease",
        "offpolicy als reward=click minutes=30",
        "offpolicy share=0.1 candidates=new  # the served model, explored in another way",
        "offpolicy ease --rules rules.json  # under rules that never held",
    ],
)
@WORDS
@model_option()
@DEVICE
@ARTIFACTS
@DATA
@FORMAT
@click.option("--reward", type=click.Choice(["like", "click"]), default="like", show_default=True, help="What counts.")
@click.option(
    "--minutes",
    default=1440.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How long after it was shown a movie can earn its reward.",
)
@click.option(
    "--by",
    type=click.Choice(["movie", "place"]),
    default="movie",
    show_default=True,
    help="What a reward may depend on: the movie alone, or its place too, which needs far more lists.",
)
@click.option("--clip", default=0.0, show_default="none", type=click.FloatRange(0), help="The largest weight.")
@click.option(
    "--rules",
    default="then",
    show_default=True,
    metavar="then|none|FILE",
    help="The rules of MODEL's lists: those that each list was shown under, none, or those of a file.",
)
@click.option("--share", default=0.0, show_default=True, help="The share of places that MODEL's lists explore.")
@click.option("--strategy", default="thompson", show_default=True, help="How they explore: epsilon or thompson.")
@click.option("--candidates", default="new", show_default=True, help="With which movies they explore: new or next.")
@click.option("--from-place", default=8, show_default=True, help="From which place on they explore.")
def offpolicy(
    words: tuple[str, ...],
    model: str,
    device: str,
    artifacts: Location,
    data_set: str,
    form: Format,
    reward: Any,
    minutes: float,
    by: Any,
    clip: float,
    rules: str,
    share: float,
    strategy: str,
    candidates: str,
    from_place: int,
) -> None:
    """Estimate what other lists would have earned, from explored lists that were shown and what people did.

    The promoted index makes the lists, or the newest of MODEL, each for the same user at the same moment, under the
    rules of then or others. Lists are explored once the API has serving.exploration.share above 0. Three estimators
    stand beside what was earned as shown; the sentences below say how much the log knows of these lists. The estimates
    are written to the store.
    """
    from contextlib import closing

    from movierec_engine.cli.rules import read_rules
    from movierec_engine.evaluation.off_policy.question import NONE, THEN, OffPolicyQuestion
    from movierec_engine.feedback import FeedbackLogs
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.pipeline.export import index_to_export
    from movierec_engine.pipeline.off_policy import judge, publish_result
    from movierec_engine.pipeline.target_rules import TargetRules
    from movierec_engine.recommending.exploration import ExplorationConfig
    from movierec_engine.store import ArtifactStore, kinds

    document = None if rules in (THEN, NONE) else read_rules(Path(rules))
    name, on, _ = one_model(words, model, device)
    exploration = ExplorationConfig(share=share, strategy=strategy, candidates=candidates, from_place=from_place)
    store = ArtifactStore(artifacts)
    served = index_to_export(store, choose_data_set(store, kinds.FAISS_INDEX, data_set), name, on)
    with closing(FeedbackLogs.of_environment(store.root).of(served.lineage.data_set)) as log:
        question = OffPolicyQuestion(reward, minutes, by, clip, exploration, Path(rules).name)
        result = judge(served, log, question, None if rules == NONE else TargetRules(served, store, document))
    made = publish_result(store, served, result, document)
    print_tables([estimates_table(made.reference, made.facts)], form)


def estimates_table(reference: str, facts: dict[str, Any]) -> ResultTable:
    """Estimates a row each: rewards a list, and how many more than as shown."""
    from movierec_engine.recommending.exploration import ExplorationConfig
    from movierec_engine.reporting import numbers
    from movierec_engine.reporting.off_policy import described

    found, asked = facts["estimates"], facts["question"]
    rows = [
        {
            "estimator": name,
            **found[key],
            **{f"gain_{end}": value for end, value in found.get(f"{key}_gain", {}).items()},
            "covered": found["covered"]["value"],
            "lists": found["lists"],
            "users": found["users"],
            "effective_places": found["effective_places"],
            "largest_weight": found["largest_weight"],
        }
        for key, name in _NAMES.items()
    ]

    return ResultTable(
        f"{reference.split('/')[2]}, {described(ExplorationConfig(**asked['exploration']))}, rules: {asked['rules']}: "
        f"{asked['reward']}s a list within {asked['minutes']:g} minutes",
        [
            TableColumn("estimator", cell("estimator"), left=True),
            TableColumn(f"{asked['reward']}s a list", lambda row: numbers.score(row["value"], 4)),
            TableColumn("95 %", cell("low", "high", form=numbers.interval)),
            TableColumn("more than as shown", lambda row: numbers.signed(row.get("gain_value"))),
            TableColumn("95 %", cell("gain_low", "gain_high", form=numbers.signed_interval)),
        ],
        rows,
        facts["sentences"],
        [f"estimates: {reference}"],
    )
