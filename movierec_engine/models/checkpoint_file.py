"""The file that the training loop leaves behind: a model, and what training needs to go on from there."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from movierec_engine.errors import StoreError

Model = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""A recommender's `description` and `arrays`."""


@dataclass(frozen=True)
class CheckpointFile:
    """model: what scores. training: tensors and plain values to go on from, empty where there is nothing to go on."""

    model: Model
    training: dict[str, Any]


def checkpoint_content(checkpoint: CheckpointFile) -> bytes:
    """A checkpoint's file, in PyTorch's own format."""
    description, arrays = checkpoint.model
    tensors = {name: torch.from_numpy(np.require(array, requirements="W")) for name, array in arrays.items()}
    buffer = io.BytesIO()
    torch.save({"description": description, "arrays": tensors, "training": checkpoint.training}, buffer)
    return buffer.getvalue()


def read_checkpoint(path: Path) -> CheckpointFile:
    """The checkpoint in a file, on the CPU; nothing but tensors and plain values is ever unpickled.

    Raises StoreError when the file is missing, damaged or something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        arrays = {name: np.asarray(tensor) for name, tensor in content["arrays"].items()}
        return CheckpointFile((content["description"], arrays), content["training"])
    except FileNotFoundError as error:
        raise StoreError(f"{path}: there is no such checkpoint; train the model first") from error
    except (OSError, EOFError, KeyError, TypeError, AttributeError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"{path}: not a readable checkpoint ({reason}); train the model again") from error
