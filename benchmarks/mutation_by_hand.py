"""Share of subtle mistakes, thought up by people, that the tests catch; `mutation.py` draws its own.

    python benchmarks/mutation_by_hand.py --match models/classic

benchmarks/mutation_by_hand.toml lists them by module, with the tests that mirror it. Each is made in a copy of the
checkout, and those tests run on it until one fails. Results, benchmarks/results/mutation_by_hand.json and .md, keep
what an earlier run found of modules that this one passed over.
"""

import argparse
import json
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mistakes import Mistake, compiles
from mutation import AREAS, ROOT, Worker

LIST = ROOT / "benchmarks" / "mutation_by_hand.toml"
RESULTS = ROOT / "benchmarks" / "results" / "mutation_by_hand.json"
LIMIT = 240.0
"""Seconds of tests after which a mistake counts as caught, since something hangs."""
LIBRARIES = (
    *(
        "numpy",
        "scipy.sparse.linalg",
        "scipy.optimize",
        "pyarrow.parquet",
        "pyarrow.compute",
        "duckdb",
        "torch",
        "faiss",
    ),
    *("safetensors.torch", "hypothesis.extra.numpy", "orjson", "jinja2", "flask", "pydantic", "prometheus_client"),
)
"""Loaded once, before any copy of the tests' process is made."""


def listed(match: str) -> dict[str, tuple[list[str], list[tuple[Mistake, bool]]]]:
    """Module -> its tests, and its mistakes, each with whether the tests missed it when it was thought up."""
    found = {}
    for path, entry in tomllib.loads(LIST.read_text(encoding="utf-8")).items():
        if match in path:
            source = (ROOT / path).read_text(encoding="utf-8")
            chosen = [made(path, source, *one) for one in entry["mistakes"]]
            found[path] = entry["tests"], [one for one in chosen if one]
    return found


def made(path: str, source: str, before: str, after: str, once: str = "caught") -> tuple[Mistake, bool] | None:
    """The mistake at the only place of the module that reads as `before`; None where the module has changed since."""
    if source.count(before) != 1:
        print(f"{path}: {source.count(before)} places read `{before}`; it is left out until {LIST.name} names one")
        return None
    start = source.index(before)
    mistake = Mistake(path, source[:start].count("\n") + 1, "", "by hand", start, start + len(before), before, after)
    if not compiles(mistake.applied(source)):
        raise SystemExit(f"{mistake.name} does not compile")
    return mistake, once == "lived"


def measure(
    modules: dict[str, tuple[list[str], list[tuple[Mistake, bool]]]], scratch: Path
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Module and the outcome of each of its mistakes."""
    worker = Worker(scratch, 0)
    worker.load(LIBRARIES)
    clean: dict[tuple[str, ...], int] = {}
    try:
        for path, (tests, chosen) in modules.items():
            if tuple(tests) not in clean:
                clean[tuple(tests)] = worker.ask("run", tests=[], paths=tests, limit=LIMIT)["status"]
            if clean[tuple(tests)] != 0:
                print(f"{path}: its tests fail without any mistake, so it is passed over", flush=True)
                continue
            outcomes = []
            for mistake, lived in chosen:
                begun = time.monotonic()
                outcome = worker.outcome(mistake, [], LIMIT / 3, paths=tests)
                print(f"{outcome} ({time.monotonic() - begun:.0f} s) line {mistake.line}, {mistake.name}", flush=True)
                outcomes.append({"name": mistake.name, "line": mistake.line, "outcome": outcome, "lived": lived})
            yield path, outcomes
    finally:
        worker.end()


def earlier() -> dict[str, list[dict[str, Any]]]:
    """The results so far, by module."""
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def report(results: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield "# Subtle mistakes thought up by hand that the tests catch"
    yield ""
    yield "Written by `python benchmarks/mutation_by_hand.py` from mutation_by_hand.toml. The tests that mirror the"
    yield "module run on each mistake. Listed: how many there are, of modules that no run has come to as well. At"
    yield "first: what the tests caught when the mistake was thought up."
    yield ""
    yield "| area | listed | tried | caught at first | caught | score |"
    yield "|---|---|---|---|---|---|"
    rows, listed = {area: [] for area in AREAS}, Counter[str]()
    for path, entry in tomllib.loads(LIST.read_text(encoding="utf-8")).items():
        area = next(area for area, (folders, _) in AREAS.items() if path.startswith(tuple(folders)))
        rows[area] += results.get(path, [])
        listed.update({area: len(entry["mistakes"]), "all": len(entry["mistakes"])})
    for area, outcomes in [*rows.items(), ("all", [one for found in rows.values() for one in found])]:
        if outcomes:
            caught = sum(one["outcome"] != "lived" for one in outcomes)
            first = sum(not one["lived"] for one in outcomes)
            score = f"{100 * caught / len(outcomes):.0f} %"
            yield f"| {area} | {listed[area]} | {len(outcomes)} | {first} | {caught} | {score} |"
    left = [one for outcomes in results.values() for one in outcomes if one["outcome"] == "lived"]
    if left:
        yield ""
        yield "Not caught:"
        yield ""
        yield from (f"- line {one['line']}, {one['name']}" for one in left)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--match", default="", help="only modules with this in their path")
    parser.add_argument("--new", action="store_true", help="only modules whose list has changed since the results")
    arguments = parser.parse_args()
    modules = listed(arguments.match)
    if arguments.new:
        known = {path: [one["name"] for one in found] for path, found in earlier().items()}
        modules = {path: one for path, one in modules.items() if [m.name for m, _ in one[1]] != known.get(path)}
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        for path, outcomes in measure(modules, Path(scratch)):
            results = earlier() | {path: outcomes}
            RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n", encoding="utf-8")
            RESULTS.with_suffix(".md").write_text("\n".join(report(results)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
