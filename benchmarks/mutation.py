"""Share of subtle mistakes that the tests catch: makes them one at a time and runs the tests that mirror the module.

    python benchmarks/mutation.py --areas training store --sample 40

For each area its tests run once on an untouched copy of the checkout, where every test's calls are traced. Then a
seeded sample of the area's single-place mistakes (`mistakes.py`), as many of each kind, is made in that copy one by
one, and the tests that call the changed function are run, the quickest first, until one fails. Nothing is written to
the checkout but the results, benchmarks/results/mutation.json and .md. What can't change any answer is listed with the
reason in benchmarks/mutation_equivalent.txt, and left out of the score.
"""

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

from mistakes import Mistake, compiles, functions, mistakes

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "mutation.json"
EQUIVALENT = ROOT / "benchmarks" / "mutation_equivalent.txt"
AREAS = {
    "evaluation": (["movierec_engine/evaluation"], ["tests/evaluation"]),
    "data": (["movierec_engine/data"], ["tests/data"]),
    "models": (["movierec_engine/models"], ["tests/models", "tests/conformance"]),
    "training": (["movierec_engine/training"], ["tests/training"]),
    "store": (["movierec_engine/store"], ["tests/store"]),
    "feedback": (["movierec_engine/feedback"], ["tests/feedback"]),
    "recommending": (["movierec_engine/recommending"], ["tests/recommending"]),
    "release": (["movierec_engine/release"], ["tests/release"]),
    "serving": (["movierec_engine/serving"], ["tests/api"]),
    "api": (["movierec_engine/api"], ["tests/api"]),
    "pipeline": (["movierec_engine/pipeline"], ["tests/pipeline"]),
    "assets": (["movierec_assets"], ["tests/assets"]),
    "retrieval": (["movierec_engine/retrieval"], ["tests/retrieval"]),
    "tuning": (["movierec_engine/tuning"], ["tests/tuning"]),
    "tracking": (["movierec_engine/tracking"], ["tests/tracking"]),
    "dashboard queries": (["dashboard/queries"], ["tests/dashboard"]),
}
"""Name of an area -> its modules, and the tests that mirror them."""
SKIPPED = "not browser and not killed and not dagster_dev and not two_at_once and not installed_wheel"
"""Of the tests those that drive other programs for long, which no trace follows."""
SECONDS = 60.0
"""Of tests that one mistake is given, as measured without it; the quickest are taken first."""
GRACE = 30.0
"""Seconds beyond three times those after which a mistake counts as caught, since something hangs."""


# In the copy: one process a worker that has loaded the libraries, and forks a child for each run of the tests


class Traced:
    """A pytest plugin that notes which functions of the modules each test calls, its seconds, and whether it passed."""

    def __init__(self, root: Path, folders: list[str]) -> None:
        self.tests: dict[str, dict[str, Any]] = {}
        self._within = tuple(str(root / folder) for folder in folders)
        self._root = root
        self._names: dict[Any, tuple[str, int] | None] = {}
        self._calls: set[tuple[str, int]] = set()

    def _call(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if code not in self._names:
            path = code.co_filename
            self._names[code] = (
                (str(Path(path).relative_to(self._root)), code.co_firstlineno)
                if path.startswith(self._within)
                else None
            )
        if name := self._names[code]:
            self._calls.add(name)

    def pytest_sessionstart(self) -> None:
        threading.settrace(self._call)
        sys.settrace(self._call)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._calls.clear()  # a fixture of a module counts for its first test, so a file's tests are taken together

    def pytest_runtest_logreport(self, report: Any) -> None:
        test = self.tests.setdefault(report.nodeid, {"seconds": 0.0, "passed": True, "calls": []})
        test["seconds"] += report.duration
        test["passed"] &= not report.failed
        test["skipped"] = test.get("skipped", False) or report.skipped
        test["calls"] = sorted({*map(tuple, test["calls"]), *self._calls})


class Chosen:
    """A pytest plugin that runs only the named tests."""

    def __init__(self, names: list[str]) -> None:
        self.names = set(names)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid in self.names]


def serve(copy: Path) -> None:
    """Answer lines of JSON on standard input, each `{"what": ..., ...}`, with one line each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path[:0] = [str(copy), str(copy / "tests")]
    os.chdir(copy)
    for line in sys.stdin:
        request = json.loads(line)
        if request["what"] == "load":
            for module in request["modules"]:
                with suppress(BaseException):
                    importlib.import_module(module)
            answer: dict[str, Any] = {}
        else:
            answer = in_child(copy, request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def in_child(copy: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Run tests in a fork of this process: exit status, seconds, and what was traced."""
    started = time.monotonic()
    traced = copy / ".traced.json"
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(copy / ".tests.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(2, 1)
        status = 70
        try:
            status = run_tests(copy, request, traced)
        finally:
            os._exit(status)
    while time.monotonic() - started < request["limit"]:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.02)
    else:
        status = -1
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status == -1:
        os.waitpid(child, 0)
    code = "hung" if status == -1 else os.waitstatus_to_exitcode(status)
    return {"status": code, "seconds": time.monotonic() - started}


def run_tests(copy: Path, request: dict[str, Any], traced: Path) -> int:
    import pytest

    options = ["-q", "-x", "-p", "no:cacheprovider", "--tb=line", "-k", SKIPPED]
    if request["what"] == "trace":
        plugin = Traced(copy, request["modules"])
        before = set(sys.modules)
        status = int(pytest.main([*options[:1], *options[2:], *request["paths"]], plugins=[plugin]))
        sys.settrace(None)
        own = ("movierec_", "dashboard", "test", "conftest", "_hypothesis", "pytest", "_pytest", "__")
        loaded = [name for name in sys.modules if name not in before and not name.startswith(own)]
        origin = [getattr(sys.modules[name], "__file__", None) or "" for name in loaded]
        modules = [name for name, file in zip(loaded, origin, strict=True) if not file.startswith(str(copy))]
        traced.write_text(json.dumps({"tests": plugin.tests, "modules": modules}))
        return status
    chosen = [Chosen(request["tests"])] if request["tests"] else []
    return int(pytest.main([*options, *request["paths"]], plugins=chosen))


class Worker:
    """A copy of the checkout and the process that runs tests in it."""

    def __init__(self, scratch: Path, number: int) -> None:
        self.copy = scratch / f"copy{number}"
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (self.copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.copy / name)
        (scratch / f"tmp{number}").mkdir()
        environment = os.environ | {
            "PYTHONPATH": f"{self.copy}:{self.copy / 'tests'}",
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(scratch / f"tmp{number}"),
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(self.copy)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.edits = 0

    def ask(self, what: str, **request: object) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"what": what, **request}) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def trace(self, folders: list[str], tests: list[str]) -> dict[str, Any]:
        """Functions that every test of the paths calls; the libraries that they load are loaded for later runs."""
        self.ask("trace", modules=folders, paths=tests, limit=7200)
        found = dict(json.loads((self.copy / ".traced.json").read_text()))
        self.load(found["modules"])
        return found

    def load(self, modules: list[str]) -> None:
        self.ask("load", modules=modules)

    def outcome(self, mistake: Mistake, tests: list[str], seconds: float, paths: list[str] | None = None) -> str:
        """`caught`, `hung` or `lived` by the named tests, or with none named by all of the paths."""
        path = self.copy / mistake.path
        source = path.read_text(encoding="utf-8")
        path.write_text(mistake.applied(source), encoding="utf-8")
        self.edits += 1
        os.utime(path, (self.edits, self.edits))  # compiled anew, also when the size is the same
        try:
            files = paths or list(dict.fromkeys(test.partition("::")[0] for test in tests))
            status = self.ask("run", tests=tests, paths=files, limit=3 * seconds + GRACE)["status"]
        finally:
            path.write_text(source, encoding="utf-8")
            self.edits += 1
            os.utime(path, (self.edits, self.edits))
        return {0: "lived", "hung": "hung"}.get(status, "caught")

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


# Which mistakes, and which tests


def sampled(folders: list[str], number: int, seed: int, match: str) -> list[Mistake]:
    """So many mistakes of the modules below the folders, as many of each kind as there are, at most one a line."""
    by_kind: dict[str, list[Mistake]] = defaultdict(list)
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if match in name:
                for one in mistakes(name, path.read_text(encoding="utf-8")):
                    by_kind[one.kind].append(one)
    rng = random.Random(seed)
    for found in by_kind.values():
        rng.shuffle(found)
    chosen: list[Mistake] = []
    lines: set[tuple[str, int]] = set()
    while len(chosen) < number and any(by_kind.values()):
        for found in by_kind.values():
            while found:
                one = found.pop()
                source = (ROOT / one.path).read_text(encoding="utf-8")
                if (one.path, one.line) not in lines and compiles(one.applied(source)):
                    lines.add((one.path, one.line))
                    chosen.append(one)
                    break
    return chosen[:number]


def tests_of(mistake: Mistake, traced: dict[str, Any]) -> tuple[list[str], float]:
    """The tests that call the changed function, or where none is called by name the module, and their seconds."""
    source = (ROOT / mistake.path).read_text(encoding="utf-8")
    lines = {line for name, line in functions(source) if name == mistake.function}
    passed = {name: test for name, test in traced["tests"].items() if test["passed"] and not test.get("skipped")}

    def calling(wanted: set[int] | None) -> dict[str, list[str]]:
        files: dict[str, list[str]] = defaultdict(list)
        for name, test in passed.items():
            if any(path == mistake.path and (wanted is None or line in wanted) for path, line in test["calls"]):
                files[name.partition("::")[0]].append(name)
        return files

    files = calling(lines) or calling(None)
    seconds = {file: sum(passed[name]["seconds"] for name in names) for file, names in files.items()}
    chosen: list[str] = []
    total = 0.0
    for file in sorted(files, key=lambda file: seconds[file]):
        if total + seconds[file] > SECONDS:
            names = sorted(files[file], key=lambda name: passed[name]["seconds"])
        else:
            names = files[file]
        for name in names:
            if total + passed[name]["seconds"] <= SECONDS or not chosen:
                chosen.append(name)
                total += passed[name]["seconds"]
    return chosen, total


def equivalent() -> dict[str, str]:
    """Mistakes that are none -> why; a line of the file is `name # reason`."""
    if not EQUIVALENT.exists():
        return {}
    lines = [line for line in EQUIVALENT.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {name: reason for name, _, reason in (line.partition("  # ") for line in lines)}


def measure(area: str, arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """The outcome of every sampled mistake of an area."""
    folders, tests = AREAS[area]
    chosen = sampled(folders, arguments.sample, arguments.seed, arguments.match)
    started = time.monotonic()
    workers = [Worker(scratch, number) for number in range(arguments.jobs)]
    try:
        print(f"{area}: tracing its tests", flush=True)
        traced = workers[0].trace(folders, tests)
        for worker in workers[1:]:
            worker.load(traced["modules"])
        if not any(test["passed"] for test in traced["tests"].values()):
            sys.exit(f"{area}: none of its tests passes on the checkout as it is; run pytest {' '.join(tests)}")
        broken = [name for name, test in traced["tests"].items() if not test["passed"]]
        if broken:
            print(f"{area}: fail without any mistake, so they are left out: {', '.join(broken)}", flush=True)
        slowest = sorted(traced["tests"].items(), key=lambda item: -item[1]["seconds"])
        (scratch / f"{area}.times").write_text("\n".join(f"{test['seconds']:.2f} {name}" for name, test in slowest))
        free: SimpleQueue[Worker] = SimpleQueue()
        for worker in workers:
            free.put(worker)
        reasons = equivalent()

        def judged(mistake: Mistake) -> dict[str, Any]:
            worker = free.get()
            begun = time.monotonic()
            try:
                names, seconds = tests_of(mistake, traced)
                if mistake.name in reasons:
                    outcome = "equivalent"
                else:
                    outcome = worker.outcome(mistake, names, seconds) if names else "not reached"
            finally:
                free.put(worker)
            return {
                "line": mistake.line,
                "kind": mistake.kind,
                "name": mistake.name,
                "outcome": outcome,
                "tests": len(names),
                "seconds": round(time.monotonic() - begun, 1),
            }

        outcomes = []
        with ThreadPoolExecutor(len(workers)) as pool:
            for number, one in enumerate(pool.map(judged, chosen), start=1):
                outcomes.append(one)
                print(f"{area} {number}/{len(chosen)} {one['outcome']} ({one['seconds']} s): {one['name']}", flush=True)
    finally:
        for worker in workers:
            worker.end()
    return {
        "seed": arguments.seed,
        "seconds": round(time.monotonic() - started),
        "tests": len(traced["tests"]),
        "outcomes": outcomes,
    }


# What is reported


def report(results: dict[str, Any]) -> Iterator[str]:
    yield "# Subtle mistakes that the tests catch"
    yield ""
    yield "Written by `python benchmarks/mutation.py`. Each mistake is one small edit of a module, drawn by a seed, as"
    yield "many of each kind; the tests that mirror the module are run on it. What hangs counts as caught."
    yield ""
    yield "| area | tests | mistakes | caught | lived | not reached | equivalent | score |"
    yield "|---|---|---|---|---|---|---|---|"
    rows = {area: _counts(found["outcomes"]) for area, found in results.items()}
    rows["all"] = {name: sum(row[name] for row in rows.values()) for name in next(iter(rows.values()))}
    for area, row in rows.items():
        tests = results[area]["tests"] if area in results else sum(found["tests"] for found in results.values())
        counted = row["caught"] + row["lived"] + row["not reached"]
        score = f"{100 * row['caught'] / counted:.0f} %" if counted else "-"
        cells = [
            tests,
            counted + row["equivalent"],
            *(row[n] for n in ("caught", "lived", "not reached", "equivalent")),
        ]
        yield f"| {area} | {' | '.join(map(str, cells))} | {score} |"
    for area, found in results.items():
        left = [one for one in found["outcomes"] if one["outcome"] in ("lived", "not reached")]
        if left:
            yield ""
            yield f"## {area}: not caught (seed {found['seed']}, {found['seconds']} s)"
            yield ""
            for one in left:
                path, _, rest = one["name"].partition(" ")
                yield f"- {path}:{one['line']} {rest} ({one['outcome']}, {one['tests']} tests)"


def _counts(outcomes: list[dict[str, Any]]) -> dict[str, int]:
    counts = dict.fromkeys(("caught", "lived", "not reached", "equivalent"), 0)
    for one in outcomes:
        counts["caught" if one["outcome"] == "hung" else one["outcome"]] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--areas", nargs="+", choices=AREAS, default=list(AREAS))
    parser.add_argument("--sample", type=int, default=40, help="mistakes an area")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--match", default="", help="only modules with this in their path; results are not recorded")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    for area in arguments.areas:
        with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
            found = measure(area, arguments, Path(scratch))
        if arguments.match:
            print("\n".join(report({area: found})))
            continue
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results = {name: found if name == area else results[name] for name in AREAS if name in {*results, area}}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        RESULTS.with_suffix(".md").write_text("\n".join(report(results)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
