"""Measure how long every page of the dashboard takes over a large store.

    python benchmarks/dashboard_pages.py [--users 200000] [--ratings 20000000] [--versions 2000]
        [--store FOLDER] [--before CHECKOUT] [--only PAGE ...]

A visitor opens each page (`AppTest`), each page in a process of its own whose libraries are loaded: the first load
reads and aggregates, then the same page once more, then one choice after another. The store of
`benchmarks/dashboard_store.py` is made in a temporary folder, or in --store, where it stays. --before: another
checkout, such as an earlier release, whose pages are measured in turn. Writes benchmarks/results/dashboard_pages.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "dashboard_pages.md"
OLDER_REPORT = "als/cpu/20200101T000000007Z-old-0000"

App = Any
"""Streamlit's AppTest."""
Choice = Callable[[App], object]


def pick(key: str, value: str) -> Choice:
    return lambda app: app.selectbox(key=key).select(value)


def other(key: str) -> Choice:
    """Another option of a box than the one that is chosen."""
    return lambda app: app.selectbox(key=key).select_index(1 if app.selectbox(key=key).index == 0 else 0)


def other_user(app: App) -> object:
    """Another user of the box of users, whose options are called `User 17`."""
    box = app.selectbox(key="user")
    return box.select(box.options[1 if box.index == 0 else 0].removeprefix("User "))


def add(key: str, value: str) -> Choice:
    return lambda app: app.multiselect(key=key).select(value)


def write(key: str, text: str) -> Choice:
    return lambda app: app.text_input(key=key).set_value(text)


def drag(key: str, value: float) -> Choice:
    return lambda app: app.slider(key=key).set_value(value)


METRIC, K = {"metric": pick("metric", "recall")}, {"k": pick("k", "20")}
PAGES: dict[str, dict[str, Choice]] = {
    "leaderboard": {
        **(METRIC | K),
        "column": add("metrics", "precision"),
        "older report": add("models", OLDER_REPORT),
        "cost": other("cost"),
    },
    "compare": {**(METRIC | K), "model": other("b"), "users of a bar": other("difference"), "user": other_user},
    "side_by_side": {**(METRIC | K), "older report": add("reports", OLDER_REPORT), "user": write("listed", "4711")},
    "tradeoffs": {**(METRIC | K), "axis": pick("x", "ndcg"), "older report": add("models", OLDER_REPORT)},
    "training": {"curve": pick("curve", "loss"), "axis": other("along")},
    "segments": {**(METRIC | K), "model": add("shown", "mlp"), "users of a segment": pick("segment", "genre:Genre 3")},
    "explore": {
        "user": write("user", "4711"),
        "dial": drag("dial_novelty", 0.5),
        "places": pick("places", "20"),
        "new user": pick("who", "history"),
    },
    "data": {"version": other("version")},
    "sweeps": {"trial": other("rank")},
    "operations": {"decision": other("decision"), "measure": pick("by", "recall@10"), "of": other("group_of")},
}
"""Page -> what is chosen on it, one after another; what a page does not have is left out."""


class Visit(NamedTuple):
    """Seconds by the clock and of the processor."""

    clock: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long every page of the dashboard takes.")
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--ratings", type=int, default=20_000_000)
    parser.add_argument("--versions", type=int, default=2_000, help="of reports, and as many of trained models")
    parser.add_argument("--store", type=Path, help="a folder for the store, which stays there")
    parser.add_argument("--before", type=Path, help="another checkout, whose pages are measured too")
    parser.add_argument("--only", nargs="+", choices=PAGES, default=list(PAGES), metavar="PAGE")
    parser.add_argument("--visit", nargs=2, metavar=("CHECKOUT", "PAGE"), help="measure one page and print it")
    arguments = parser.parse_args()
    if arguments.visit:
        print(json.dumps(visited(Path(arguments.visit[0]), arguments.visit[1])))
        return
    with tempfile.TemporaryDirectory(prefix="dashboard-") as scratch:
        root = (arguments.store or Path(scratch) / "store").resolve()
        if not root.exists():
            from dashboard_store import build

            build(root, arguments.users, arguments.ratings, arguments.versions)
        checkouts = [ROOT, *([arguments.before.resolve()] if arguments.before else [])]
        measured = {}
        for page in arguments.only:
            measured[page] = [measure(one, page, root) for one in checkouts]
            print(page, *measured[page], sep="\n  ", file=sys.stderr)
    text = results(arguments.users, arguments.ratings, arguments.versions, measured)
    if arguments.only == list(PAGES):
        RESULT.write_text(text, encoding="utf-8")
    print(text)


def measure(checkout: Path, page: str, store: Path) -> dict[str, Visit] | None:
    """What a visit of a page took, by its name; None where the checkout has no such page."""
    if not (checkout / "dashboard" / "views" / f"{page}.py").is_file():
        return None
    environment = {**os.environ, "PYTHONPATH": str(checkout), "MOVIEREC_ARTIFACTS": str(store)}
    command = [sys.executable, __file__, "--visit", str(checkout), page]
    done = subprocess.run(command, env=environment, cwd=checkout, stdout=subprocess.PIPE, check=True, text=True)
    return {name: Visit(*one) for name, one in json.loads(done.stdout.splitlines()[-1]).items()}


def visited(checkout: Path, page: str) -> dict[str, Visit]:
    """The first load of a page, the slowest of three more, and of every choice."""
    from streamlit.testing.v1 import AppTest

    def opened() -> App:
        app = AppTest.from_file(str(checkout / "dashboard" / "app.py"), default_timeout=300)
        if page != "leaderboard":
            app.switch_page(f"views/{page}.py")
        return app

    store = os.environ["MOVIEREC_ARTIFACTS"]
    with tempfile.TemporaryDirectory() as empty:  # loads the libraries
        os.environ["MOVIEREC_ARTIFACTS"] = empty
        run(opened())
    os.environ["MOVIEREC_ARTIFACTS"] = store
    app, began = opened(), now()
    standing = when_the_rest_stands()
    found = {"first": run(app), "again": max(run(app) for _ in range(3))}
    if standing:
        found["standing"] = since(began, standing[0])
    for name, choose in PAGES[page].items():
        try:
            choose(app)
        except (KeyError, ValueError, IndexError):
            continue
        found[name] = run(app)
    return found


def when_the_rest_stands() -> list[Visit]:
    """Will hold the moments from which Operations draws what takes long; none where it draws it with all else."""
    moments: list[Visit] = []
    try:
        from dashboard.views import over_time
    except ImportError:
        return moments
    shown = over_time.show

    def noted(*given: Any) -> Callable[[], None]:
        finish = shown(*given)

        def late() -> None:
            moments.append(now())
            finish()

        return late

    vars(over_time)["show"] = noted
    return moments


def now() -> Visit:
    return Visit(time.perf_counter(), time.process_time())


def since(began: Visit, ended: Visit) -> Visit:
    return Visit(ended.clock - began.clock, ended.cpu - began.cpu)


def run(app: App) -> Visit:
    began = now()
    app.run()
    taken = since(began, now())
    assert not app.exception, app.exception
    return taken


def results(users: int, ratings: int, versions: int, measured: dict[str, list[dict[str, Visit] | None]]) -> str:
    from dashboard_store import DECISIONS, DIMENSIONS, EVENTS, MODELS, MOVIES, TRIALS

    lines = [
        "# How long the dashboard's pages take",
        "",
        "`python benchmarks/dashboard_pages.py`",
        "",
        f"{users:,} users, {ratings:,} ratings, {MOVIES:,} movies; {len(MODELS)} models, {versions:,} versions of "
        f"reports and as many of trained models; two indices of {DIMENSIONS} dimensions; {TRIALS} trials, {DECISIONS} "
        f"decisions, {EVENTS:,} feedback events; {os.cpu_count()} cores, a load of {os.getloadavg()[1]:.1f}. Seconds "
        "until the server has drawn the page, measured by AppTest, by the clock and of the processor. First: nothing "
        "is cached but the libraries. Again: the slowest of three further runs. Slowest choice: of those below, each "
        "asked for the first time. Before: the same of the checkout that --before names.",
        "",
        "| page | first, s | CPU | before, CPU | ratio | again, s | CPU | slowest choice | s | CPU |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for page, (own, *others) in measured.items():
        assert own is not None
        first, again, slowest = own["first"], own["again"], slowest_choice(own)
        earlier = others[0]["first"].cpu if others and others[0] else None
        before = ["–", "–"] if earlier is None else [f"{earlier:.2f}", f"{first.cpu / earlier:.2f}"]
        cells = [page, *both(first), *before, *both(again), slowest, *both(own[slowest])]
        lines.append(f"| {' | '.join(cells)} |")
    for page, (own, *_) in measured.items():
        if own and (standing := own.get("standing")):
            lines += [
                "",
                f"{page.capitalize()}: what is served, runs and fails stands after {standing.clock:.2f} s, "
                f"{standing.cpu:.2f} of the processor; drift and the rates of releases come then.",
            ]
    lines += ["", "Every choice, s by the clock (of the processor; before, of the processor):", ""]
    for page, (own, *others) in measured.items():
        assert own is not None
        old = (others[0] if others else None) or {}
        said = []
        for name in choices(own):
            then = f"; {old[name].cpu:.2f}" if name in old else ""
            said.append(f"{name} {own[name].clock:.2f} ({own[name].cpu:.2f}{then})")
        lines.append(f"- {page}: {', '.join(said)}")
    return "\n".join(lines) + "\n"


def choices(own: dict[str, Visit]) -> list[str]:
    return [name for name in own if name in set().union(*PAGES.values())]


def slowest_choice(own: dict[str, Visit]) -> str:
    return max(choices(own), key=lambda name: own[name].cpu)


def both(one: Visit) -> list[str]:
    return [f"{one.clock:.2f}", f"{one.cpu:.2f}"]


if __name__ == "__main__":
    main()
