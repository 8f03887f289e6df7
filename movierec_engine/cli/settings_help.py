"""Help on settings: each one's name, default and meaning, read from the dataclasses, which are their one home."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from itertools import pairwise
from typing import Any, get_type_hints

from omegaconf import OmegaConf

from movierec_engine.config import GROUPS, PathsConfig, Settings, config_dir
from movierec_engine.models.registry import model_class


@dataclass(frozen=True)
class Setting:
    """A setting as one gives it on the command line."""

    key: str
    """Its dotted name, such as trainer.max_epochs."""
    default: Any
    """A plain value: a number, text, true or false, or a list."""
    meaning: str
    """Its meaning, in one line."""


def settings_help(model: str = "lightgcn") -> Iterator[Setting]:
    """Every setting of a run that trains a model; the settings under `model.` differ from model to model.

    Raises ConfigError for an unknown model.
    """
    at_top: Any = OmegaConf.load(config_dir() / "config.yaml")
    for name in ("device", "seed", "experiment_name", "run_name"):
        yield Setting(name, at_top[name], meanings(Settings)[name])
    yield from settings_of(PathsConfig, "paths")
    yield from settings_of(model_class(model).Config, "model")
    for group, kind in GROUPS.items():
        yield from settings_of(kind, group)


def settings_of(kind: type, prefix: str) -> Iterator[Setting]:
    """The settings of a dataclass, and of those within it, below a prefix."""
    hints = get_type_hints(kind)
    for item in fields(kind):
        key = f"{prefix}.{item.name}"
        if is_dataclass(hints[item.name]):
            yield from settings_of(hints[item.name], key)
        else:
            default = item.default if item.default is not MISSING else None
            yield Setting(key, list(default) if isinstance(default, tuple) else default, meanings(kind)[item.name])


@cache
def meanings(kind: type) -> dict[str, str]:
    """Field -> the text below it in the class, in one line; "" where there is none."""
    found: dict[str, str] = {item.name: "" for item in fields(kind)}
    for base in reversed(kind.__mro__):
        if not is_dataclass(base):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for statement, after in pairwise(statements):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found[statement.target.id] = " ".join(text.value.split())
    return found


def in_hydras_syntax(value: Any) -> str:
    """A default as one would give it on the command line."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(in_hydras_syntax, value))}]"
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
