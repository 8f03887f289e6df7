"""Values as JSON has them."""

import math
from collections.abc import Mapping
from typing import Any


def plain_json(value: Any) -> Any:
    """A value with null for NaN and infinities, which JSON does not have, and Python's numbers for numpy's."""
    if isinstance(value, Mapping):
        return {str(name): plain_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(part) for part in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
