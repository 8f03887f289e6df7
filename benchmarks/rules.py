"""Lists under ten rules beside plain ones: latencies of /api/recommend, and the rate of an export.

    python benchmarks/rules.py [--store artifacts]

Trains EASE on the bundled data into a scratch store unless one is given. Both APIs run in this process, and a request
to one is followed by the same request to the other, so that whatever else the machine does meets both. Every list is
computed (`remembered_lists=0`), and then again as a server does, which remembers lists. Writes
benchmarks/results/rules.md, and docs/images/rules_price.svg with what each of the rules costs on validation.
"""

import argparse
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.pipeline import find_trained_model
from movierec_engine.pipeline.export import index_to_export, make_lists
from movierec_engine.pipeline.rules_price import PRICE_FILE, price_rules
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import publish_rules
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.live_rules import LiveRules
from movierec_engine.store import ArtifactStore, kinds

RESULT = Path(__file__).with_name("results") / "rules.md"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "rules_price.svg"
REQUESTS = 2000
GENRES: dict[str, Any] = {"column": "genres"}
RULES = RuleDocument.of({"rules": [
    {"name": "no horror", "filter": {"not": {**GENRES, "in": ["Horror"]}}},
    {"name": "lawsuit", "deny": [1721, 2571]},
    {"name": "crime", "boost": {"where": {**GENRES, "in": ["Crime"]}, "factor": 2}},
    {"name": "old", "boost": {"where": {"column": "year", "to": 1980}, "factor": 0.5}},
    {"name": "premiere", "pin": [{"movie_id": 318, "place": 1}]},
    {"name": "recent", "share": {"where": {"column": "year", "from": 2008}, "at_least": 0.2}, "priority": 10},
    {"name": "few comedies", "cap": {"where": {**GENRES, "in": ["Comedy"]}, "at_most": 3}},
    {"name": "genres", "cap": {"column": "genres", "at_most": 6}},
    {"name": "not too much drama", "share": {"where": {**GENRES, "in": ["Drama"]}, "at_most": 0.6}},
    {"name": "region", "available": [{"where": {"column": "year", "to": 1940}, "regions": ["US"]}]},
]})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        root = given.store or trained(Path(folder))
        store = ArtifactStore(root)
        (data_set,) = store.data_sets(kinds.FAISS_INDEX)
        publish_rules(store, data_set, "mail", RULES, by="benchmarks/rules.py")
        rows = [latency_row(store, "every list computed", 0), latency_row(store, "lists remembered", 8192)]
        served = index_to_export(store, data_set)
        live = LiveFeedback(FeedbackLogs(Path(folder) / "log", ""))
        active = LiveRules(store, store).active(served, "mail")
        rates = []
        for number, rules in enumerate((None, active) * 3):
            started = time.perf_counter()
            users = make_lists(served, live, Path(folder) / f"parts {number}", 50, rules=rules).users
            rates.append(users / (time.perf_counter() - started))
        priced = price_rules(store, find_trained_model(store, data_set, "ease"), RULES, "mail")
        PICTURE.write_text(picture(pq.read_table(priced.folder / PRICE_FILE).to_pylist()), encoding="utf-8")
    plain, ruled = (float(np.median(rates[first::2])) for first in (0, 1))
    RESULT.write_text(
        "\n".join([
            "# Lists under ten rules",
            "",
            f"`python benchmarks/rules.py`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load average "
            f"{os.getloadavg()[0]:.0f}; EASE on the bundled data, {len(served.index.items):,} movies; {REQUESTS:,} "
            "requests of top_k=10 each, plain and ruled alternately in one process. The ten rules: a filter, a list of "
            "what is denied, two boosts, a pin, two shares, two caps, a region.",
            "",
            "| /api/recommend | plain p50 ms | ruled p50 ms | plain p99 ms | ruled p99 ms | p50 ratio | p99 ratio |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Export of {users:,} users' 50 best, the median of three: {plain:,.0f} users a second without rules, "
            f"{ruled:,.0f} under them.",
            "",
        ]),
        encoding="utf-8",
    )  # fmt: skip
    print(RESULT.read_text(encoding="utf-8"))


def trained(root: Path) -> Path:
    command = [sys.executable, "-m", "movierec_engine.cli", "train", "ease", f"paths.artifacts={root}"]
    subprocess.run(command, check=True)
    return root


def latency_row(store: ArtifactStore, name: str, remembered: int) -> str:
    """A row of the table: latencies of the same requests, plain (home has no rules) and for mail."""
    app = create_app(store.root, ServingConfig(remembered_lists=remembered), watch=True)
    client = app.test_client()
    served = index_to_export(store, store.data_sets(kinds.FAISS_INDEX)[0])
    users = served.index.users.ids.tolist()
    seconds: dict[str, list[float]] = {"home": [], "mail": []}
    for number in range(REQUESTS + 200):
        user = users[number * 7919 % len(users)]
        for scenario, own in seconds.items():
            started = time.perf_counter()
            answer = client.get(f"/api/recommend?user_id={user}&top_k=10&scenario={scenario}")
            own.append(time.perf_counter() - started)
            assert answer.status_code == 200
    plain, ruled = (1000 * np.array(own[200:]) for own in seconds.values())
    (a, c), (b, d) = (np.percentile(one, [50, 99]) for one in (plain, ruled))
    return f"| {name} | {a:.2f} | {b:.2f} | {c:.2f} | {d:.2f} | {b / a:.2f} | {d / c:.2f} |"


def picture(rows: list[dict[str, Any]]) -> str:
    """A line of the chart for each rule, as SVG: its difference of ndcg with the interval, and the lists it changes."""
    width, left, top, step = 860, 190, 64, 30
    low, high = min(row["low"] for row in rows), max(0.004, *(row["high"] for row in rows))
    height = top + step * len(rows) + 36

    def at(value: float) -> str:
        return f"{left + (value - low) / (high - low) * (width - left - 150):.1f}"

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="13" fill="#333">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        '<text x="16" y="26" font-size="16" font-weight="bold">What each rule costs: ndcg@10 on validation</text>',
        '<text x="16" y="46" fill="#666">difference from the lists without rules, 95 % intervals over '
        f"{rows[0]['users']} paired users; at the right, lists that change</text>",
        f'<line x1="{at(0)}" x2="{at(0)}" y1="{top - 4}" y2="{height - 34}" stroke="#999" stroke-dasharray="3 3"/>',
    ]
    for number, row in enumerate(rows):
        y, told = top + step * number + 14, row["high"] < 0 or row["low"] > 0
        colour = "#b5452c" if told else "#777"
        lines += [
            f'<text x="{left - 14}" y="{y + 4}" text-anchor="end">{row["rule"]}</text>',
            f'<line x1="{at(row["low"])}" x2="{at(row["high"])}" y1="{y}" y2="{y}" stroke="{colour}"/>',
            f'<circle cx="{at(row["difference"])}" cy="{y}" r="5" fill="{colour}"/>',
            f'<text x="{width - 130}" y="{y + 4}">{row["difference"]:+.4f}</text>',
            f'<text x="{width - 16}" y="{y + 4}" text-anchor="end" fill="#666">{100 * row["changed"]:.0f} %</text>',
        ]
    ticks = [value / 100 for value in range(-20, 1) if value / 100 >= low]
    lines += [f'<text x="{at(one)}" y="{height - 14}" text-anchor="middle" fill="#666">{one:g}</text>' for one in ticks]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    main()
