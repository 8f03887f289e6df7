"""The house rules of DESIGN: imports point one way, heavy libraries load late, class names are unique."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {
    "errors": 0,
    "store": 1,
    "data": 1,
    "feedback": 1,
    "device": 1,
    "models": 2,
    "recommending": 3,
    "evaluation": 4,
    "training": 5,
    "retrieval": 5,
    "tracking": 5,
    "api": 6,
    "config": 7,
    "pipeline": 8,
    "release": 9,
    "reporting": 10,
    "tuning": 9,
    "cli": 11,
    "train": 12,
    "sweep": 12,
}
"""Parts of the engine; a part imports only from its own layer or a lower one, and of its own layer only itself."""

HEAVY = ("torch", "torch_geometric", "mlflow", "surprise", "faiss", "dagster_mlflow", "wandb", "streamlit")


def imported_modules(path: Path) -> set[str]:
    """Modules of this project that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in ("movierec_engine", "movierec_assets", "dashboard")}


def part(module: str) -> str:
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("path", sorted((ROOT / "movierec_engine").rglob("*.py")), ids=lambda path: path.name)
def test_engine_modules_import_downwards_only(path: Path) -> None:
    own = part(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own == "__init__":
        assert not imported_modules(path)
        return
    for module in imported_modules(path):
        assert module.startswith("movierec_engine"), f"{path} imports {module}"
        other = part(module)
        if other in LAYERS and other != own:
            assert LAYERS[other] < LAYERS[own], f"{path} imports {module}, which is not below it"


def test_every_part_of_the_engine_has_a_layer() -> None:
    parts = {path.stem for path in (ROOT / "movierec_engine").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__init__", "__pycache__", "py"} == set(LAYERS)


def test_the_assets_and_the_dashboard_do_not_import_each_other() -> None:
    for package, other in (("movierec_assets", "dashboard"), ("dashboard", "movierec_assets")):
        for path in (ROOT / package).rglob("*.py"):
            assert not [name for name in imported_modules(path) if name.startswith(other)], path


@pytest.mark.parametrize(
    "module",
    ["movierec_assets.definitions", "movierec_engine.cli.main", "movierec_engine.models", "movierec_engine.config"],
)
def test_loading_imports_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_no_two_classes_have_one_name() -> None:
    where: dict[str, list[str]] = {}
    for package in ("movierec_engine", "movierec_assets", "dashboard"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    where.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not {name: places for name, places in where.items() if len(places) > 1}
