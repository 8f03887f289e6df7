"""Every training command of the reference description runs as it is typed, on a small folder with tiny settings.

Those that set more than a model, or sweep, are among the slow tests; that their settings are known is tested at once.
"""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from camps import camps_settings, write_camps
from hydra.core.override_parser.overrides_parser import OverridesParser
from pytest import CaptureFixture

from movierec_engine import train as training
from movierec_engine.config import load_settings
from movierec_engine.device import resolve_device
from movierec_engine.errors import DeviceError
from movierec_engine.store import ArtifactStore

FILE = Path(__file__).with_name("commands.txt")
PROGRAM = ["python", "-m", "movierec_engine.train"]
RUN = " ".join(PROGRAM) + " "
COMMANDS = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
EVERY_MODEL = "model=lightgcn,ngcf,ncf,svd,item_cf"

Run = Callable[[str], int]


def cut(words: list[str]) -> list[str]:
    """The words with fewer values to sweep: every model, since each has keys of its own, and of what follows the first
    value; else of the first two lists the first two values, of later ones the first one."""
    lists_cut = 0
    kept = []
    for word in words:
        override = OverridesParser.create().parse_override(word) if "=" in word else None
        if override is None or not override.is_sweep_override():
            kept.append(word)
        elif word == EVERY_MODEL:
            kept.append(word)
            lists_cut = 2
        else:
            values = list(override.sweep_string_iterator())[: 2 if lists_cut < 2 else 1]
            kept.append(f"{override.get_key_element()}={','.join(values)}")
            lists_cut += 1
    return kept


def key(word: str) -> str:
    return word.partition("=")[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all commands: the data are read once, and each command adds its reports."""
    folder = tmp_path_factory.mktemp("commands")
    write_camps(folder / "movies in camps")
    return folder


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command line with tiny settings appended, except for what it sets itself; returns its exit code."""
    for name in ("MLFLOW_TRACKING_URI", "WANDB_API_KEY", "HYDRA_FULL_ERROR"):
        monkeypatch.delenv(name, raising=False)

    def run_command(command: str) -> int:
        words = shlex.split(command)
        assert words[: len(PROGRAM)] == PROGRAM
        typed = cut(words[len(PROGRAM) :])
        tiny = [*camps_settings(home / "movies in camps", home / "checkpoints"), f"paths.artifacts={home / 'store'}"]
        tiny = [word for word in tiny if key(word) not in map(key, typed)]
        try:
            training.main([*typed, *tiny, "trainer.max_epochs=1"])
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run_command


def reports(store: Path) -> int:
    found = ArtifactStore(store)
    return sum(len(found.versions(slot)) for slot in found.slots("evaluation_report"))


def jobs(command: str) -> int:
    """How many jobs a cut command has."""
    number = 1
    for word in cut(shlex.split(command)[len(PROGRAM) :]):
        if "=" in word:
            override = OverridesParser.create().parse_override(word)
            number *= len(list(override.sweep_string_iterator())) if override.is_sweep_override() else 1
    return number


def is_short(command: str) -> bool:
    """Whether a command names a model and sets nothing that is trained by."""
    return {key(word) for word in command.removeprefix(RUN).split()} <= {"model", "device", "--cfg", "job"}


@pytest.mark.parametrize("command", [one for one in COMMANDS if not is_short(one) and "--multirun" not in one])
def test_the_settings_of_a_command_are_known(command: str) -> None:
    words = shlex.split(command)[len(PROGRAM) :]
    settings = load_settings(words)
    assert f"model={settings.model_name}" in words


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=command.removeprefix(RUN), marks=[] if is_short(command) else [pytest.mark.slow])
        for command in COMMANDS
    ],
)
def test_the_command_runs(command: str, run: Run, home: Path, capsys: CaptureFixture[str]) -> None:
    before = reports(home / "store")
    code = run(command)
    output = capsys.readouterr()
    device = next((word.partition("=")[2] for word in shlex.split(command) if word.startswith("device=")), "cpu")
    try:
        resolve_device(device)
    except DeviceError as absent:
        assert (code, f"error: {absent}" in output.err) == (1, True), output.err
        assert "Traceback" not in output.err
        return
    assert code == 0, output.err
    if "--cfg" in command:
        assert "name: lightgcn" in output.out
        assert reports(home / "store") == before
        return
    assert reports(home / "store") - before == jobs(command)
    assert ("best trials by validation NDCG@10" in output.out) == ("--multirun" in command)
    if "logger.use_mlflow=true" in command:
        assert (home / "store" / "mlflow" / "mlflow.db").is_file()
        assert list((home / "store" / "wandb").glob("offline-run-*"))
    assert "no longer recording" not in output.err


def test_a_grid_is_cut_to_two_values_of_its_first_two_lists() -> None:
    grid = ["--multirun", "model=ncf", "a=1,2,3", "b=[64,32],[32],[16]", "c=0.1,0.2"]
    assert cut(grid) == ["--multirun", "model=ncf", "a=1,2", "b=[64,32],[32]", "c=0.1"]
    assert cut([EVERY_MODEL, "seed=42,123,456"]) == [EVERY_MODEL, "seed=42"]


def test_the_file_holds_every_kind_of_command() -> None:
    words = {key(word) for command in COMMANDS for word in shlex.split(command)}
    assert words >= {
        "--multirun",
        "--cfg",
        "experiment_name",
        "run_name",
        "evaluation.k_values",
        "evaluation.metrics",
        "logger.use_mlflow",
        "logger.use_wandb",
        "logger.wandb.project",
    }
