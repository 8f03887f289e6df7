"""Runs what the documents say: the commands and programs of every page, in order, in an empty folder."""

import contextlib
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from ports import free_port

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.store import ArtifactStore

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
RUNS = re.compile(r"^ *```(bash|python)", re.MULTILINE)
README, PRODUCTION = ROOT / "README.md", ROOT / "docs" / "tutorials" / "production.md"
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if RUNS.search(page.read_text(encoding="utf-8")))
IN_THE_README = {
    "make demo ": "# make demo",
    "make test ": "# make test",
    '"data/movielens-small/ratings.csv"': f"{str(ROOT / 'data' / 'movielens-small' / 'ratings.csv')!r}",
    "train model=lightgcn ": "train model=lightgcn trainer.max_epochs=1 ",
    "--minutes 10 ": "--minutes 0.3 ",
    "movierec serve ": "movierec serve --port $PORT & ",
    "localhost:5000": "localhost:$PORT",
    'curl "': 'curl -s --retry 60 --retry-all-errors --retry-delay 1 --fail "',
}
"""What the README says -> what is run of it: shorter trainings, the data of this checkout, a port of the test's own."""
SERVICE = """
set -eu
{environment}
mkdir "$DAGSTER_HOME"
{start} &
api=http://127.0.0.1:$PORT
curl -s --retry 60 --retry-all-errors --retry-delay 1 --fail $api/api/ready
curl -s --fail -X POST $api/api/feedback -H "Authorization: Bearer the-test-key-to-WRITE" \\
    -H "Content-Type: application/json" -d '{{"user_id": 1, "movie_id": 102, "kind": "rating", "rating": 4.5}}'
curl -s --fail -X DELETE $api/api/users/2 -H "Authorization: Bearer the-test-key-to-ERASE"
{backup}
kill %1
wait %1
"""


def script(page: Path) -> str:
    """A page as one shell script: `bash` and `python` blocks run, blocks with a title are files, others are left."""
    lines, written = ["set -eu"], page.read_text(encoding="utf-8")
    for said, instead in IN_THE_README.items() if page == README else ():
        assert said in written, said
        written = written.replace(said, instead)
    for indent, language, title, body in FENCE.findall(written):
        text = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        if title:
            lines.append(f"cat > {shlex.quote(title)} <<'END-OF-FILE'\n{text}END-OF-FILE")
        elif language == "bash":
            lines.append(text)
        elif language == "python":
            lines.append(f"python - <<'END-OF-PROGRAM'\n{text}END-OF-PROGRAM")
    return "\n".join(lines)


def run(commands: str, folder: Path) -> None:
    """Run a shell script in a new folder with a space in its name; what it leaves running ends with it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MOVIEREC_", "DAGSTER_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    python_path = os.pathsep.join(filter(None, (str(ROOT / "client"), environment.get("PYTHONPATH"))))
    environment |= {"COLUMNS": "200", "PORT": str(free_port()), "PYTHONPATH": python_path}
    output = folder.parent / "output.txt"
    folder.mkdir(exist_ok=True)
    with output.open("wb") as written:
        process = subprocess.Popen(
            ["bash", "-c", commands],
            cwd=folder,
            env=environment,
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=900)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # servers that the page left running
    assert code == 0, output.read_text(encoding="utf-8", errors="replace")[-4000:]


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    run(script(page), tmp_path / "a folder with a space")


@pytest.mark.slow
def test_the_service_of_the_production_page_starts_and_its_backup_can_be_read(
    tmp_path: Path, small_data: list[str]
) -> None:
    folder, text = tmp_path / "a folder with a space", PRODUCTION.read_text(encoding="utf-8")
    settings = load_settings([*small_data, "model=popularity", "data.name=movielens-small"])
    pipeline.run(ArtifactStore(folder / "artifacts"), settings)
    variables, unit = (
        (ROOT / "deploy" / "one-machine" / name).read_text(encoding="utf-8")
        for name in ("environment.example", "movierec-api.service")
    )
    (start,) = re.findall(r"ExecStart=/srv/movierec/venv/bin/(.*?[^\\])\n", unit, re.DOTALL)
    (backup,) = (block for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL) if "movierec backup" in block)
    variables = variables.replace("/srv/movierec", "$PWD").replace("CHANGE-ME-TO-", "the-test-key-to-")
    environment = re.sub(r"^(\w+)=(.*)$", r'export \1="\2"', variables, flags=re.MULTILINE)
    start = start.replace("--port 5000", "--port $PORT")
    run(SERVICE.format(environment=environment, start=start, backup=backup), folder)
    (copied,) = folder.glob("backups/*/feedback/movielens-small")
    with contextlib.closing(sqlite3.connect(copied / "feedback.db")) as log:
        assert log.execute("SELECT user_id, movie_id FROM events").fetchall() == [(1, 102)]
    assert (copied / "erasures.tsv").read_text(encoding="utf-8").split("\t")[1] == "2"


@pytest.mark.slow
def test_the_site_builds_and_none_of_its_links_is_broken(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trainer.max_epochs" in (tmp_path / "site/reference/settings/index.html").read_text(encoding="utf-8")
    assert "/api/recommend" in (tmp_path / "site/reference/rest/index.html").read_text(encoding="utf-8")


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(re.findall(r"\w[\w'.-]*", re.sub(r"\(.*?\)", "", text))) <= 1200
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert target.startswith("http") or (ROOT / target).exists(), target
