"""Runs what the documents say: the commands and programs of every page, in order, in an empty folder."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
RUNS = re.compile(r"^ *```(bash|python)", re.MULTILINE)
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if RUNS.search(page.read_text(encoding="utf-8")))


def script(page: Path) -> str:
    """A page as one shell script: `bash` and `python` blocks run, blocks with a title are files, others are left."""
    lines = ["set -eu"]
    for indent, language, title, body in FENCE.findall(page.read_text(encoding="utf-8")):
        text = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        if title:
            lines.append(f"cat > {shlex.quote(title)} <<'END-OF-FILE'\n{text}END-OF-FILE")
        elif language == "bash":
            lines.append(text)
        elif language == "python":
            lines.append(f"python - <<'END-OF-PROGRAM'\n{text}END-OF-PROGRAM")
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MOVIEREC_", "DAGSTER_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["COLUMNS"] = "200"
    output = tmp_path / "output.txt"
    folder = tmp_path / "a folder with a space"
    folder.mkdir()
    with output.open("wb") as written:
        command = ["bash", "-c", script(page)]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=written, stderr=written, start_new_session=True
        )
        try:
            code = process.wait(timeout=900)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # servers that the page left running
    assert code == 0, output.read_text(encoding="utf-8", errors="replace")[-4000:]


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
