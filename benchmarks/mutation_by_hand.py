"""Share of subtle mistakes, thought up by people, that the tests catch; `mutation.py` draws its own.

    python benchmarks/mutation_by_hand.py --match models/classic
    python benchmarks/mutation_by_hand.py --areas data release --sample 10 --seed 1

benchmarks/mutation_by_hand.toml lists them by module, with the tests that mirror it. Each is made in a copy of the
checkout, and those tests run on it until one fails. Results, benchmarks/results/mutation_by_hand.json and .md, keep
what earlier runs found of the mistakes that this one passed over, and of each what was found at first, so that the
page tells what the tests caught before and after they were made stronger.
"""

import argparse
import json
import random
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
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
    *("dagster", "optuna"),
)
"""Loaded once, before any copy of the tests' process is made."""
Modules = dict[str, tuple[list[str], list[tuple[Mistake, bool]]]]
"""Module -> its tests, and its mistakes, each with whether the tests missed it when it was thought up."""


def listed(match: str, areas: list[str]) -> Modules:
    """The mistakes of the list whose modules have a text in their path, of some areas."""
    found = {}
    for path, entry in tomllib.loads(LIST.read_text(encoding="utf-8")).items():
        if match in path and area_of(path) in areas:
            source = (ROOT / path).read_text(encoding="utf-8")
            chosen = [made(path, source, *one) for one in entry["mistakes"]]
            found[path] = entry["tests"], [one for one in chosen if one]
    return found


def area_of(path: str) -> str:
    return next(area for area, (folders, _) in AREAS.items() if path.startswith(tuple(folders)))


def drawn(modules: Modules, number: int, seed: int) -> Modules:
    """So many mistakes of each area, all equally likely."""
    of_area = defaultdict[str, list[tuple[str, int]]](list)
    for path, (_, mistakes) in modules.items():
        of_area[area_of(path)] += [(path, place) for place in range(len(mistakes))]
    chosen = {
        one
        for area, every in of_area.items()
        for one in random.Random(f"{seed} {area}").sample(every, min(number, len(every)))
    }
    kept = {
        path: (tests, [one for place, one in enumerate(mistakes) if (path, place) in chosen])
        for path, (tests, mistakes) in modules.items()
    }
    return {path: one for path, one in kept.items() if one[1]}


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


def measure(modules: Modules, scratch: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Module and the outcome of one of its mistakes."""
    worker = Worker(scratch, 0)
    worker.load(LIBRARIES)
    clean = set[tuple[str, ...]]()
    try:
        for path, (tests, chosen) in modules.items():
            for mistake, lived in chosen:
                begun = time.monotonic()
                outcome = worker.outcome(mistake, [], LIMIT / 3, paths=tests)
                if outcome != "lived" and tuple(tests) not in clean:
                    status = worker.ask("run", tests=[], paths=tests, limit=LIMIT)["status"]
                    if status != 0:
                        print(
                            f"{path}: its tests fail without any mistake ({status}), so it is passed over", flush=True
                        )
                        break
                clean.add(tuple(tests))
                print(f"{outcome} ({time.monotonic() - begun:.0f} s) line {mistake.line}, {mistake.name}", flush=True)
                yield path, {"name": mistake.name, "line": mistake.line, "outcome": outcome, "lived": lived}
    finally:
        worker.end()


def earlier() -> dict[str, list[dict[str, Any]]]:
    """The results so far, by module."""
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def record(path: str, found: dict[str, Any], seed: int | None) -> None:
    """Put an outcome among the results; an earlier run's tells whether the mistake was missed at first."""
    results = earlier()
    own = {one["name"]: one for one in results.get(path, [])}
    before = own.get(found["name"])
    found["lived"] = before["lived"] if before else found["lived"] or found["outcome"] == "lived"
    if (drawn_by := before.get("drawn") if before else seed) is not None:
        found["drawn"] = drawn_by
    results[path] = sorted({**own, found["name"]: found}.values(), key=lambda one: one["line"])
    RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n", encoding="utf-8")
    RESULTS.with_suffix(".md").write_text("\n".join(report(results)) + "\n", encoding="utf-8")


def report(results: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield "# Subtle mistakes thought up by hand that the tests catch"
    yield ""
    yield "Written by `python benchmarks/mutation_by_hand.py` from mutation_by_hand.toml. The tests that mirror the"
    yield "module run on each mistake. Listed: how many there are, of modules that no run has come to as well. At"
    yield "first: what the tests caught when the mistake was thought up or first tried, before they were made stronger."
    yield ""
    listed = Counter[str]()
    for path, entry in tomllib.loads(LIST.read_text(encoding="utf-8")).items():
        listed.update({area_of(path): len(entry["mistakes"]), "all": len(entry["mistakes"])})
    every = [(path, one) for path, found in results.items() for one in found]
    yield from _table(every, listed)
    if any("drawn" in one for _, one in every):
        yield ""
        yield "## Drawn"
        yield ""
        yield "Of these, the ones that a seed drew from an area's list before any of it was tried, as far as a run"
        yield "got with them: a fair sample of what the tests caught before they were made stronger. What turned out to"
        yield "change nothing that anybody could see is off the list, and left out."
        yield ""
        yield from _table([(path, one) for path, one in every if "drawn" in one], listed)
        yield ""
        yield from (
            f"- {'missed' if one['lived'] else 'caught'} at first, {_said(one)} when last tried: "
            f"line {one['line']}, {one['name']}"
            for _, one in every
            if "drawn" in one
        )
    left = [one for _, one in every if one["outcome"] == "lived"]
    if left:
        yield ""
        yield "## Not caught"
        yield ""
        yield from (f"- line {one['line']}, {one['name']}" for one in left)


def _table(outcomes: list[tuple[str, dict[str, Any]]], listed: Counter[str]) -> Iterator[str]:
    yield "| area | listed | tried | caught at first | | caught when last tried | |"
    yield "|---|---|---|---|---|---|---|"
    for area in (*AREAS, "all"):
        own = [one for path, one in outcomes if area in ("all", area_of(path))]
        if own:
            first, now = sum(not one["lived"] for one in own), sum(one["outcome"] != "lived" for one in own)
            shares = [f"{100 * count / len(own):.0f} %" for count in (first, now)]
            yield f"| {area} | {listed[area]} | {len(own)} | {first} | {shares[0]} | {now} | {shares[1]} |"


def _said(one: dict[str, Any]) -> str:
    return "missed" if one["outcome"] == "lived" else "caught"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--match", default="", help="only modules with this in their path")
    parser.add_argument("--areas", nargs="+", choices=AREAS, default=list(AREAS))
    parser.add_argument("--sample", type=int, help="only so many mistakes of each area, drawn by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--new", action="store_true", help="only mistakes that no run has tried")
    parser.add_argument("--left", action="store_true", help="only mistakes that were not caught when last tried")
    arguments = parser.parse_args()
    modules = listed(arguments.match, arguments.areas)
    if arguments.sample:
        modules = drawn(modules, arguments.sample, arguments.seed)
    outcomes = {one["name"]: one["outcome"] for found in earlier().values() for one in found}
    for _, chosen in modules.values():
        if arguments.new:
            chosen[:] = [one for one in chosen if one[0].name not in outcomes]
        if arguments.left:
            chosen[:] = [one for one in chosen if outcomes.get(one[0].name) == "lived"]
    modules = {path: one for path, one in modules.items() if one[1]}
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        for path, outcome in measure(modules, Path(scratch)):
            record(path, outcome, arguments.seed if arguments.sample else None)


if __name__ == "__main__":
    main()
