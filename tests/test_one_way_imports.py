"""The house rules of DESIGN: one-way imports, late heavy libraries, unique classes, docstrings that name the thing."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Container, Iterator
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest
from sources import nodes_of

import movierec_engine

ROOT = Path(__file__).parents[1]
LAYERS = {
    "errors": 0,
    "overrides": 0,
    "store": 1,
    "store.process": 0,
    "store.scratch": 0,
    "data": 1,
    "training.config": 1,
    "workers": 1,
    "feedback": 2,
    "device": 1,
    "models": 2,
    "recommending": 3,
    "evaluation": 4,
    "training": 5,
    "retrieval": 5,
    "models.popularity_weight": 6,
    "models.classic.als": 6,
    "models.classic.ease": 6,
    "models.classic.gf_cf": 6,
    "models.classic.item_cf": 6,
    "models.classic.prior_strength": 6,
    "models.classic.svd": 6,
    "models.gradient": 6,
    "models.history_network": 6,
    "models.graph": 6,
    "models.neural": 6,
    "models.sequence": 6,
    "models.ensemble.hybrid": 6,
    "models.ensemble.fusion_weights": 6,
    "models.ensemble.member_selection": 6,
    "tracking": 5,
    "serving": 6,
    "api": 7,
    "config": 8,
    "pipeline": 9,
    "release": 10,
    "reporting": 11,
    "reporting.numbers": 0,
    "reporting.off_policy": 5,
    "reporting.progress": 0,
    "tuning": 10,
    "backup": 11,
    "cli": 12,
    "train": 13,
    "sweep": 13,
}
"""Parts of the engine; a part imports only from lower layers, and of its own layer only from its own package.

What `models` is to everybody else lies below evaluation and the training loop; the models that are trained by the loop,
or weigh something by evaluation, lie above them. How numbers are written lies below everything, since every part words
sentences; the words of off-policy estimates lie below the pipeline, which publishes them.
"""

DASHBOARD_LAYERS = {"queries": 0, "plots": 2, "views": 3, "app": 4, "__main__": 4}
"""Parts of the dashboard, likewise; what all pages share stands beside them, between queries and plots."""
DASHBOARD_SHARED = 1

HEAVY = (
    *("torch", "torch_geometric", "mlflow", "surprise", "faiss", "dagster_mlflow", "wandb", "streamlit"),
    "scipy.stats",
)


def imported_modules(path: Path) -> set[str]:
    """Modules of this project that a file imports, anywhere in it."""
    names = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in ("movierec_engine", "movierec_assets", "dashboard")}


def part(module: str) -> str:
    """The longest beginning of a module's name, below `movierec_engine`, that has a layer; else its first name."""
    names = module.split(".")[1:]
    beginnings = (".".join(names[:length]) for length in range(len(names), 0, -1))
    return next((name for name in beginnings if name in LAYERS), [*names, ""][0])


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def test_engine_modules_import_downwards_only() -> None:
    wrong = []
    for path in files_of("movierec_engine"):
        own = part(module_name(path))
        if own in ("", "__init__"):  # the engine's face, of which the next test is
            continue
        for module in sorted(imported_modules(path) - {"movierec_engine.reporting"}):  # it has nothing but its modules
            other = part(module)
            same = other.split(".")[0] == own.split(".")[0]
            above = other in LAYERS and other != own and LAYERS[other] >= LAYERS[own] + same
            if above or not module.startswith("movierec_engine"):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}, which is not below it")
    assert wrong == []


def test_the_dashboards_modules_import_downwards_only() -> None:
    def layer(module: str) -> int:
        return DASHBOARD_LAYERS.get(module.split(".")[1], DASHBOARD_SHARED)

    wrong = [
        f"{path.relative_to(ROOT)} imports {module}, which is not below it"
        for path in files_of("dashboard")
        for module in sorted(imported_modules(path))
        if module.startswith("dashboard.") and layer(module) > layer(module_name(path))
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ["movierec_engine", "movierec_assets", "dashboard"])
def test_no_module_imports_itself_by_way_of_others(package: str) -> None:
    files = {module_name(path): path for path in files_of(package)}
    del files[package]  # the engine's face, which imports what it is asked for
    graph = {name: set[str]() for name in files}
    for name, path in files.items():
        imported = imported_modules(path) & set(files)
        packages = {one.rpartition(".")[0] for one in imported}  # named on the way to one of their modules
        graph[name] = {one for one in imported if one not in packages or from_package(path, one, files)} - {name}
    TopologicalSorter(graph).prepare()  # raises CycleError with the modules of a cycle


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def from_package(path: Path, package: str, modules: Container[str]) -> bool:
    """Whether a file imports something of a package that is none of its modules."""
    froms = (node for node in nodes_of(path) if isinstance(node, ast.ImportFrom))
    names = {alias.name for node in froms if node.module == package for alias in node.names}
    return any(f"{package}.{name}" not in modules for name in names)


def test_every_part_of_the_engine_has_a_layer() -> None:
    parts = {path.stem for path in (ROOT / "movierec_engine").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__init__", "__pycache__", "py"} == {name for name in LAYERS if "." not in name}


def test_the_page_on_architecture_has_every_part_of_the_engine_and_the_layers() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    (engine,) = re.findall(r"^movierec_engine/ .*?(?=^\w)", page, re.MULTILINE | re.DOTALL)
    folders = {path.name for path in (ROOT / "movierec_engine").iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(re.findall(r"^    (\w+)/ ", engine, re.MULTILINE))
    (sentence,) = re.findall(r"the layers before its own: (.*?)\.", " ".join(page.split()))
    written = [set(re.findall(r"`(\w+)`", layer)) for layer in sentence.split(" < ")]
    parts = {name: layer for name, layer in LAYERS.items() if "." not in name}
    assert written == [{name for name in parts if parts[name] == layer} for layer in sorted(set(parts.values()))]


def test_the_engine_itself_imports_nothing_until_it_is_asked_for_a_name() -> None:
    program = (
        "import sys, movierec_engine; "
        "print([one for one in sys.modules if one.split('.')[0] in ('movierec_engine', 'numpy', 'pyarrow')])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "['movierec_engine']"
    for name in movierec_engine.__all__:
        assert getattr(movierec_engine, name).__name__ == name


def test_the_assets_and_the_dashboard_do_not_import_each_other() -> None:
    for package, other in (("movierec_assets", "dashboard"), ("dashboard", "movierec_assets")):
        for path in files_of(package):
            assert not [name for name in imported_modules(path) if name.startswith(other)], path


@pytest.mark.parametrize(
    "module",
    ["movierec_assets.definitions", "movierec_engine.cli.main", "movierec_engine.models", "movierec_engine.config"],
)
def test_loading_imports_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_lists_are_made_without_a_web_server() -> None:
    modules = [module_name(path) for path in (ROOT / "movierec_engine" / "serving").glob("*.py")]
    web = ("flask", "werkzeug", "pydantic", "prometheus_client", "gunicorn")
    program = f"import sys, {', '.join(modules)}; print([name for name in {web!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_what_is_on_the_command_line_is_known_before_anything_slow_is_imported() -> None:
    slow = ("numpy", "pyarrow", "scipy", "hydra", "duckdb")
    program = f"import sys, movierec_engine.cli.main; print([name for name in {slow!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_no_two_classes_have_one_name() -> None:
    where: dict[str, list[str]] = {}
    for package in ("movierec_engine", "movierec_assets", "dashboard"):
        for path in files_of(package):
            for node in nodes_of(path):
                if isinstance(node, ast.ClassDef):
                    where.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not {name: places for name, places in where.items() if len(places) > 1}


def test_docstrings_name_the_thing_first() -> None:
    hiding = re.compile(r"(Of|Those|That of|What)\b")
    found = []
    for package in ("movierec_engine", "movierec_assets", "dashboard", "client"):
        for path in files_of(package):
            for line, said in (one for node in nodes_of(path) for one in docstrings(node)):
                if hiding.match(said):
                    found.append(f"{path.relative_to(ROOT)}:{line}: {said.splitlines()[0]}")
    assert found == []


def docstrings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of a module's, class's or function's docstring, and of those right below assignments in it."""
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    said = node.body[:1]
    if isinstance(node, ast.Module | ast.ClassDef):
        said += [below for above, below in pairwise(node.body) if isinstance(above, ast.Assign | ast.AnnAssign)]
    for one in said:
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str):
            yield one.lineno, inspect.cleandoc(one.value.value)
