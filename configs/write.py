"""Write the YAML files of configs/ from the dataclasses that they are about, where each default has its one home.

    python configs/write.py

By hand are config.yaml, the search spaces of sweep/, and what only changes defaults: data/custom.yaml,
data/presplit.yaml and automation/demo.yaml.
"""

import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from movierec_assets.automation import AutomationConfig
from movierec_engine.cli.settings_help import meanings
from movierec_engine.config import GROUPS
from movierec_engine.models.registry import OWN_MODELS, model_class

FOLDER = Path(__file__).parent
FILES = {"data": "movielens", "logger": "wandb_mlflow"}
"""The group's file with the defaults, where that isn't default.yaml."""
FOLLOWS = {
    ("als", "seed"): "${seed}",
    ("svd", "seed"): "${seed}",
    ("lightgcn", "num_negatives"): "${data.negative_samples}",
    ("ngcf", "num_negatives"): "${data.negative_samples}",
}
"""A model's settings that follow others unless they are given themselves."""
OF_ENVIRONMENT = {("feedback", "url"): '${oc.env:MOVIEREC_FEEDBACK_URL,""}'}
"""A group's settings that an environment variable gives unless they are given themselves."""
_BARE = re.compile(r"(?!(true|false|null|yes|no|on|off)$)[A-Za-z][A-Za-z0-9_@./-]*")


def main() -> None:
    for path, text in texts().items():
        path.write_text(text, encoding="utf-8")


def texts() -> dict[Path, str]:
    """Each written file, and what it holds."""
    found = {}
    for group, kind in GROUPS.items():
        own = {field: given for (name, field), given in OF_ENVIRONMENT.items() if name == group}
        found[FOLDER / group / f"{FILES.get(group, 'default')}.yaml"] = _file(kind, _lines(kind, None, own))
    for name in OWN_MODELS:
        kind = model_class(name).Config
        family = kind.__module__.split(".")[-2]
        own = {field: follows for (model, field), follows in FOLLOWS.items() if model == name}
        found[FOLDER / "model" / f"{name}.yaml"] = _file(kind, _lines(kind, list(meanings(kind)), own), name, family)
    found[FOLDER / "automation" / "default.yaml"] = _file(AutomationConfig, _lines(AutomationConfig))
    return found


def _file(kind: type, lines: Iterator[str], name: str = "", family: str = "") -> str:
    head = [f"# Written by configs/write.py from {kind.__name__} in {kind.__module__}: change it there."]
    head += [f"name: {name}", f"type: {family}"] if name else []
    return "\n".join([*head, *lines]).rstrip() + "\n"


def _lines(kind: type, names: list[str] | None = None, follows: dict[str, str] | None = None) -> Iterator[str]:
    """Each setting below its meaning; a group within the group is indented."""
    hints = get_type_hints(kind)
    for item in fields(kind):
        if names is not None and item.name not in names:
            continue
        yield ""
        if meaning := meanings(kind)[item.name]:
            yield from textwrap.wrap(meaning, 100, initial_indent="# ", subsequent_indent="# ")
        if is_dataclass(hints[item.name]):
            yield f"{item.name}:"
            inner = [f"  {line}".rstrip() for line in _lines(hints[item.name])]
            yield from inner[1:]
        else:
            yield f"{item.name}: {(follows or {}).get(item.name) or _text(item.default)}"


def _text(value: Any) -> str:
    """A plain value in YAML."""
    if isinstance(value, tuple):
        return f"[{', '.join(_text(part) for part in value)}]"
    return value if isinstance(value, str) and _BARE.fullmatch(value) else json.dumps(value)


if __name__ == "__main__":
    main()
