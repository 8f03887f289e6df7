"""What the drift of data says of unchanged data, of data that have grown, and of data that have changed; and its cost.

python benchmarks/drift.py [--halves N] [--ratings N]

The bundled ratings against themselves, halves of their users at random, their growth in time and their halves in time;
and the time and the peak memory of comparing two versions of so many ratings. The limits of DriftConfig are to stand
above what random halves and growth by a tenth say, and below the halves in time. Writes results/drift.md.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.data.config import DataConfig
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.evaluation.drift import Drift, DriftConfig, drifts
from movierec_engine.reporting import numbers

RESULTS = Path(__file__).parent / "results" / "drift.md"
NAMES = ("users", "items", "ratings", "genres")


def version(folder: Path, table: pa.Table) -> Path:
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / "ratings.parquet", compression="zstd")
    return folder


def cases(root: Path, table: pa.Table, halves: int) -> Iterator[tuple[str, list[list[Drift]]]]:
    """What is compared, and the drifts that were found, several of random halves."""
    movies = root / "movies"
    every = version(root / "every", table)
    rows = len(table)
    yield "the same", [drifts(every, every, movies)]
    users = table["user_id"].to_numpy()
    found = []
    for seed in range(halves):
        half = np.random.default_rng(seed).random(int(users.max()) + 1)[users] < 0.5
        sides = [version(root / name, table.filter(pa.array(own))) for name, own in (("a", half), ("b", ~half))]
        found.append(drifts(sides[0], sides[1], movies))
    yield f"{halves} random halves of the users, the largest", found
    for share in (0.95, 0.9, 0.8, 0.5):
        first = version(root / "a", table.slice(0, int(share * rows)))
        yield f"the first {share:.0%} in time, then all", [drifts(first, every, movies)]
    late = version(root / "b", table.slice(rows // 2))
    yield "the first half in time, then the second", [drifts(first, late, movies)]


def cost(root: Path, ratings: int) -> tuple[float, float]:
    """Seconds of CPU, and peak memory in MB of this process, of comparing versions with so many made-up ratings."""
    generator = np.random.default_rng(0)
    users, movies = max(ratings // 100, 1), 60_000
    table = pa.table(
        {
            "user_id": generator.integers(0, users, ratings),
            "movie_id": np.minimum((generator.pareto(1.0, ratings) * 50).astype(np.int64), movies - 1),
            "rating": generator.integers(1, 11, ratings).astype(np.float32) / 2,
        }
    )
    both = version(root / "c", table.slice(0, ratings * 9 // 10)), version(root / "d", table)
    del table
    began = time.process_time()
    drifts(*both, root / "movies")
    return time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the drift of data says, and what it costs.")
    parser.add_argument("--halves", type=int, default=200, help="random halves of the users")
    parser.add_argument("--ratings", type=int, default=20_000_000, help="made-up ratings to compare")
    arguments = parser.parse_args()
    config, limits = DataConfig(), DriftConfig()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "movies").mkdir()
        read_movies(config).save(root / "movies")
        table = read_ratings(config).table.sort_by("timestamp")
        lines = ["| compared | users | items | ratings | genres | told |", "|---|---|---|---|---|---|"]
        lines.append("| limit | " + " | ".join(f"{getattr(limits, name):.2f}" for name in NAMES) + " | |")
        for name, found in cases(root, table, arguments.halves):
            largest = [max(one[place].distance for one in found) for place in range(len(NAMES))]
            told = [one.of for own in found for one in own if one.told(limits)]
            said = numbers.listed(list(dict.fromkeys(told))) if told else "nothing"
            if len(found) > 1 and told:
                said = f"{len(told)} of {len(found) * len(NAMES)}: {said}"
            lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in largest) + f" | {said} |")
        seconds, memory = cost(root, arguments.ratings)
    text = f"""# Drift of data

By `python benchmarks/drift.py --halves {arguments.halves} --ratings {arguments.ratings}`. Jensen-Shannon distances of
the bundled ratings; told is what is above both its limit and chance (see `movierec_engine/evaluation/drift.py`).

{chr(10).join(lines)}

Comparing two versions of {arguments.ratings:,} and {arguments.ratings * 9 // 10:,} ratings takes
{seconds:.1f} s of CPU; the process, which made them too, peaks at {memory:,.0f} MB.
"""
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
