"""What exploration costs a request of /api/recommend, beside the same server without it.

    python benchmarks/exploration_cost.py

EASE is trained on the bundled data into a store of its own. Clients of one process each, with exploration off and on in
several ways, are asked for the same users in turn, round by round; CPU of the process is measured, which other work on
the machine changes little. Writes benchmarks/results/exploration_cost.md, in a minute.
"""

import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from movierec_engine import pipeline
from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.config import load_settings
from movierec_engine.recommending.exploration import ExplorationConfig
from movierec_engine.store import ArtifactStore

RESULT = Path(__file__).parent / "results" / "exploration_cost.md"
ROUNDS, USERS = 12, 300
SETTINGS: dict[str, dict[str, Any]] = {
    "off": {},
    "off, a second time": {},
    "5 % of places 8 to 10, new movies, Thompson": {"share": 0.05, "from_place": 8},
    "5 % of places 8 to 10, new movies, epsilon-greedy": {"share": 0.05, "from_place": 8, "strategy": "epsilon"},
    "5 % of places 8 to 10, next movies, Thompson": {"share": 0.05, "from_place": 8, "candidates": "next"},
    "50 % of all places, new movies, Thompson": {"share": 0.5, "from_place": 1},
}


def seconds_a_round(client: FlaskClient) -> float:
    started = time.process_time()
    for user in range(1, USERS + 1):
        assert client.get(f"/api/recommend?user_id={user}").status_code == 200
    return time.process_time() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        own = [f"paths.artifacts={folder}", f"paths.checkpoints={folder}/checkpoints", "device=cpu"]
        own += ["logger.use_mlflow=false", "logger.use_wandb=false"]
        pipeline.run(ArtifactStore(Path(folder)), load_settings(["model=ease", *own]))
        measure(Path(folder))


def measure(folder: Path) -> None:
    """Measure over a store, and write the result."""
    clients = {
        name: create_app(folder, ServingConfig(follow="latest", exploration=ExplorationConfig(**own))).test_client()
        for name, own in SETTINGS.items()
    }
    taken: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(ROUNDS + 1):
        for name, client in clients.items():
            seconds = seconds_a_round(client)
            if number:  # the first loads the index and places the new movies
                taken[name].append(seconds)
    for client in clients.values():
        client.application.extensions["movierec"]["live"].close()
    rows = []
    for name, own_seconds in taken.items():
        ratio = statistics.median(mine / off for mine, off in zip(own_seconds, taken["off"], strict=True))
        rows.append(f"| {name} | {1e6 * statistics.median(own_seconds) / USERS:,.0f} | {ratio:.2f} |")
        print(rows[-1], flush=True)
    RESULT.write_text(
        f"""# What exploration costs a request

By `python benchmarks/exploration_cost.py`, {platform.machine()}, Python {platform.python_version()}: CPU of
`/api/recommend` in process, with what notes the list in the background, medians of {ROUNDS} rounds of {USERS} users;
lists are remembered as in a server.

| explored | microseconds of CPU a request | times off |
|---|---|---|
{chr(10).join(rows)}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
