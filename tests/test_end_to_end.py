"""The main job: raw files through Dagster to an answer of the API, and what a killed run leaves behind."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from movierec_assets.materialize import materialize
from movierec_engine.api.app import create_app
from movierec_engine.store import SERVING, ArtifactStore, Slot

ROOT = Path(__file__).parents[1]


def without_device(overrides: list[str]) -> list[str]:
    return [item for item in overrides if not item.startswith("device=")]


@pytest.mark.slow
def test_the_api_answers_from_what_dagster_materialized(
    movielens_folder: Path, small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even users liked even movies alone: they are answered with unseen even movies, under their own titles."""
    with (movielens_folder / "movies.csv").open("a", encoding="utf-8") as movies:
        movies.write("7,Nobody Rated This (1950),Drama\n99,Nor This (1951),Drama\n")  # rows before the catalogue's
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path / "store"))
    with dg.instance_for_test() as instance:
        materialize(["popularity", "ease", "lightgcn"], "cpu", without_device(small_data), instance)
    with (movielens_folder / "ratings.csv").open(encoding="utf-8") as file:
        rated = {(int(row["userId"]), int(row["movieId"])) for row in csv.DictReader(file)}
    split = ArtifactStore(tmp_path / "store").require(Slot("splits", "camps"))
    client = create_app(tmp_path / "store").test_client()
    for user in (2, 3, 30, 31):
        body = client.get(f"/api/recommend?user_id={user}&top_k=4").json
        assert (body["source"], body["fingerprint"]) == ("personal", split.fingerprint)
        assert body["model"] in ("ease", "lightgcn")
        for movie in body["recommendations"]:
            number = movie["movie_id"] - 100
            assert number % 2 == user % 2
            assert movie["title"] == f"Camp {number % 2}, The"
            assert movie["year"] == 1950 + number
            assert movie["genres"] == ["Drama", "War"]
    unseen = [m["movie_id"] for m in client.get("/api/recommend?user_id=2&top_k=40").json["recommendations"]]
    assert len(unseen) == 40 - 14
    assert not {(2, movie) for movie in unseen} & rated, "what is rated in test is masked too"


@pytest.mark.slow
def test_a_killed_materialization_leaves_what_was_served_and_the_next_run_is_clean(
    small_data: list[str], tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    home = tmp_path / "dagster"
    home.mkdir()
    environment = {**os.environ, "MOVIEREC_ARTIFACTS": str(store.root), "DAGSTER_HOME": str(home)}
    command = [sys.executable, "-m", "movierec_assets.materialize", *without_device(small_data)]
    subprocess.run([*command, "--model", "ease"], cwd=ROOT, env=environment, check=True)
    served = store.pointed(SERVING, "camps")
    assert served is not None

    endless = ["trainer.max_epochs=1000000", "trainer.early_stopping.enabled=false"]
    process = subprocess.Popen(
        [*command, "--model", "lightgcn", *endless],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "lightgcn: epoch 3 " in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()

    assert store.pointed(SERVING, "camps") == served.verify()
    client = create_app(store.root).test_client()
    assert client.get("/api/recommend?user_id=1").json["version"] == served.version
    assert not list(store.slots("trained_model"))[1:], "the killed model published nothing"

    command += ["--model", "lightgcn", "trainer.max_epochs=2"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert store.require(Slot("trained_model", "camps", "lightgcn", "cpu")).verify().facts["epochs"] == 2
    assert not list((store.root / ".incoming").iterdir())


@pytest.mark.slow
def test_the_demo_serves_all_three_and_ends_on_ctrl_c(small_data: list[str], tmp_path: Path) -> None:
    ports = {"dagster": 38300, "dashboard": 38501, "api": 38500}
    command = [sys.executable, "-m", "movierec_engine.cli", "demo", "--artifacts", str(tmp_path / "a store")]
    command += [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
    command += ["--model", "popularity", "--model", "ease", "--device", "cpu", *without_device(small_data)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    shown = ""
    deadline = time.monotonic() + 120
    for line in process.stdout:
        shown += line
        if "Ctrl-C ends all three" in line or time.monotonic() > deadline:
            break
    try:
        for name, port in ports.items():
            assert f"http://127.0.0.1:{port}" in shown, name
        taken = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert taken.returncode == 1
        assert all(f"{port} (for {name}" in taken.stderr for name, port in ports.items())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)
        process.stdout.close()
    for port in ports.values():
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=2):
            pass
