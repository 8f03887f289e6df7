"""The command lines that make a number again, into the store of whoever runs them."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from movierec_engine.evaluation.protocols import Protocol


def train_command(config: Mapping[str, Any], **own: object) -> str:
    """The command that trains with the overrides of a resolved configuration, or that measures given lists.

    own: settings that stand first, in place of the overrides of their names: model, device, seed. Overrides of
    `paths`, which only say where to write, are left out.
    """
    if lists := config.get("lists"):
        return shlex.join(["movierec", "evaluate", "--lists", str(lists), "--name", str(own["model"])])
    overrides = config.get("overrides")
    words = [str(word) for word in overrides] if isinstance(overrides, list) else []
    kept = [word for word in words if (name := _name(word)) not in own and not name.startswith("paths.")]
    return shlex.join(["movierec", "train", *(f"{name}={value}" for name, value in own.items()), *kept])


def evaluate_command(data_set: str, model: str, device: str, version: str, protocol: str) -> str:
    """The command that measures a data set's trained model by a protocol, given by its name."""
    which = ["--data", data_set, "--model", model, "--device", device, "--version", version]
    return shlex.join(["movierec", "evaluate", *which, "--protocol", _option(protocol)])


def compare_command(data_set: str, reports: Sequence[str], metric: str, protocol: str) -> str:
    """The command that compares reports of a data set by a metric; reports: names such as `ease/cpu/VERSION`."""
    how = ["--data", data_set, "--metric", metric, "--protocol", _option(protocol)]
    return shlex.join(["movierec", "compare", *how, *reports])


def _name(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _option(protocol: str) -> str:
    parsed = Protocol.named(protocol)
    return f"{parsed.kind}:{parsed.negatives}:{parsed.seed}" if parsed.negatives else parsed.kind
