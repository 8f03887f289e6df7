"""`movierec rules`: check, price, try, publish and roll back the rules that lists are made under."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from movierec_engine.cli.options import ARTIFACTS, DATA, FORMAT, CommandGroup, ModelChoice, trained_model
from movierec_engine.cli.tables import Format, ResultTable, TableColumn, cell, print_line, print_tables
from movierec_engine.store import kinds
from movierec_engine.store.storage import Location

if TYPE_CHECKING:
    from movierec_engine.recommending.rules.document import RuleDocument

SCENARIOS = click.Choice(["home", "similar", "mail"])
SCENARIO = click.argument("scenario", metavar="SCENARIO", type=SCENARIOS)
FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
BY = click.option("--by", default=getpass.getuser, show_default="who is logged in", help="Who does it.")
NOTE = click.option("--note", default="", help="Why; it is kept in the history.")


@click.group(cls=CommandGroup)
def rules() -> None:
    """Rules on lists, such as filters, pins and shares: what they cost, what they would do, and which hold.

    SCENARIO is home (/api/recommend), similar (/api/similar) or mail (movierec export). A file of rules is JSON; the
    guide on rules says what may stand in it.
    """


@rules.command("price", examples=["rules price rules.json ease"])
@FILE
@ARTIFACTS
@FORMAT
@click.option("--scenario", default="home", type=SCENARIOS, show_default=True, help="What the rules are meant for.")
@click.option("--region", default=None, help="Where the lists are shown.", show_default="not known")
@trained_model(default="ease")
def price(
    file: Path, artifacts: Location, form: Format, scenario: str, region: str | None, chosen: ModelChoice
) -> None:
    """Measure what each rule of a file does to a trained model's lists, alone and all together, on validation.

    Look at it before you publish them. Test stays untouched.
    """
    from movierec_engine.pipeline.rules_price import price_rules
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    made = price_rules(store, chosen.find(store), read_rules(file), scenario, region)
    print_tables([price_table(made.folder, chosen.model, str(made.facts["data"]))], form)
    print_line(f"price: {made.folder}", form)


@rules.command("dry-run", examples=["rules dry-run home rules.json", "rules dry-run mail rules.json users=500"])
@SCENARIO
@FILE
@ARTIFACTS
@DATA
@click.option("--users", default=100, show_default=True, type=click.IntRange(1, 10_000), help="Lists that are made.")
@click.option("--region", default=None, help="Where the lists are shown.", show_default="not known")
@click.option("--k", default=10, show_default=True, type=click.IntRange(1, 500), help="Length of the lists.")
def dry_run(
    scenario: str, file: Path, artifacts: Location, data_set: str, users: int, region: str | None, k: int
) -> None:
    """Say what rules would do to the served lists of some users at this moment; nothing changes."""
    from movierec_engine.api.requests import PersonalRequest
    from movierec_engine.api.rules_trial import try_rules
    from movierec_engine.feedback import FeedbackLogs
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.pipeline.export import index_to_export
    from movierec_engine.reporting import numbers
    from movierec_engine.serving.live_rules import LiveRules
    from movierec_engine.serving.person import of_user
    from movierec_engine.store import ArtifactStore

    document, store = read_rules(file), ArtifactStore(artifacts)
    served = index_to_export(store, choose_data_set(store, kinds.FAISS_INDEX, data_set))
    log = FeedbackLogs.of_environment(store.root).of(served.lineage.data_set)
    ids = served.index.users.ids[:users].tolist()
    people = [(one, of_user(served, one, log.state(one))) for one in ids]
    request = PersonalRequest(top_k=k, scenario=scenario, region=region)
    trial = try_rules(served, people, document, request, LiveRules(store, store).active(served, scenario, region))
    for finding in trial["findings"]:
        click.echo(f"note: {finding}")
    for name, count in trial["movies"].items():
        unmet = trial["unmet"].get(name, 0)
        click.echo(f"{name}: {numbers.counted(count, 'movie')}; unmet in {numbers.counted(unmet, 'list')}")
    click.echo(f"{trial['changed']} of {numbers.counted(trial['users'], 'list')} would change")
    for one in trial["lists"][:2]:
        for when, movies in (("now", one["before"]), ("then", one["after"])):
            click.echo(f"user {one['user_id']} {when}: {', '.join(movie['title'] for movie in movies[:5])}, ...")


@rules.command("publish", examples=['rules publish home rules.json --note "Christmas"'])
@SCENARIO
@FILE
@ARTIFACTS
@DATA
@BY
@NOTE
@click.option("--based-on", default=None, help="Refuse where another version holds by now.", show_default="any")
def publish(
    scenario: str, file: Path, artifacts: Location, data_set: str, by: str, note: str, based_on: str | None
) -> None:
    """Let the rules of a file hold from now on, at every host within a second; they are checked first."""
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.pipeline.export import index_to_export
    from movierec_engine.recommending.rules.versions import publish_rules
    from movierec_engine.serving.live_rules import LiveRules
    from movierec_engine.store import ArtifactStore

    document, store = read_rules(file), ArtifactStore(artifacts)
    of = choose_data_set(store, kinds.FAISS_INDEX, data_set)
    for finding in LiveRules.fitted(index_to_export(store, of), document):
        click.echo(f"note: {finding}")
    made = publish_rules(store, of, scenario, document, by=by, note=note, based_on=based_on)
    click.echo(f"{len(document.rules)} rules hold for {scenario}: {made.version}")


@rules.command("show", examples=["rules show home > rules.json"])
@SCENARIO
@ARTIFACTS
@DATA
def show(scenario: str, artifacts: Location, data_set: str) -> None:
    """Print the rules that hold, as JSON."""
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.recommending.rules.versions import current_rules
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    held = current_rules(store, choose_data_set(store, kinds.FAISS_INDEX, data_set), scenario)
    click.echo(held.document().text if held else '{"rules": []}')


@rules.command("history", examples=["rules history home"])
@SCENARIO
@ARTIFACTS
@DATA
@FORMAT
def history(scenario: str, artifacts: Location, data_set: str, form: Format) -> None:
    """List the versions that have held, the one that holds first: who published each, when and why."""
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.recommending.rules.versions import rules_history
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    found = rules_history(store, choose_data_set(store, kinds.FAISS_INDEX, data_set), scenario)
    rows = [{name: getattr(one, name) for name in ("version", "at", "by", "action", "note")} for one in found]
    columns = [TableColumn(name, cell(name), left=True) for name in ("version", "at", "by", "action")]
    columns.append(TableColumn("note", cell("note"), left=True, wraps=True))
    print_tables([ResultTable(f"Rules for {scenario}", columns, rows)], form)


@rules.command("rollback", examples=["rules rollback home 20261129T1200"])
@SCENARIO
@click.argument("version")
@ARTIFACTS
@DATA
@BY
@NOTE
def rollback(scenario: str, version: str, artifacts: Location, data_set: str, by: str, note: str) -> None:
    """Let the rules of an earlier VERSION hold again; the beginning of its name is enough."""
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.recommending.rules.versions import roll_back_rules
    from movierec_engine.store import ArtifactStore

    store = ArtifactStore(artifacts)
    of = choose_data_set(store, kinds.FAISS_INDEX, data_set)
    made = roll_back_rules(store, of, scenario, version, by=by, note=note)
    click.echo(f"{made.action} for {scenario}: {made.version}")


def price_table(folder: Path, model: str, data: str) -> ResultTable:
    """A rule a row, all of them together first."""
    import pyarrow.parquet as pq

    from movierec_engine.evaluation.rules_price import K, RulePrice
    from movierec_engine.pipeline.rules_price import PRICE_FILE
    from movierec_engine.reporting import numbers
    from movierec_engine.reporting.rules_price import without_rules

    rows = pq.read_table(folder / PRICE_FILE).to_pylist()
    columns = [
        TableColumn("rule", cell("rule"), left=True),
        TableColumn("", cell("kind"), left=True, sheds=2),
        TableColumn(f"ndcg@{K}", cell("ndcg", form=numbers.score)),
        TableColumn("difference", cell("difference", form=numbers.signed)),
        TableColumn("95 %", cell("low", "high", form=numbers.signed_interval), sheds=1),
        TableColumn("coverage", cell("coverage", form=numbers.percent)),
        TableColumn("novelty", cell("novelty", form=lambda value: f"{value:.2f}")),
        TableColumn("lists changed", cell("changed", form=numbers.percent)),
        TableColumn("unmet", cell("unmet", form=numbers.percent)),
    ]
    notes = [without_rules(RulePrice(**rows[0]), K)]
    return ResultTable(f"{model}: the price of rules, {data}, validation", columns, rows, notes)


def read_rules(file: Path) -> "RuleDocument":
    """The document in a file. Raises ConfigError, which names the file, for one that cannot be read or is not sound."""
    from movierec_engine.errors import ConfigError
    from movierec_engine.recommending.rules.document import RuleDocument

    try:
        return RuleDocument.parse(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
