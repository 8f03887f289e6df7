"""Slots, the places of versions in a store, and references to versions."""

import json
import re
from dataclasses import dataclass, replace

from movierec_engine.errors import StoreError

MANIFEST = "manifest.json"
LATEST = "LATEST"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")


def is_name(text: str) -> bool:
    """True for a text that can be part of a slot, or a version."""
    return bool(_NAME.fullmatch(text)) and text not in (LATEST, MANIFEST)


@dataclass(frozen=True)
class Slot:
    """The folder of one artifact's versions: `splits/ml-1m`, or `trained_model/ml-1m/lightgcn/cpu`."""

    kind: str
    data_set: str
    model: str = ""
    device: str = ""
    """The kind of device; a slot has both, model and device, or neither."""

    def __post_init__(self) -> None:
        for part in self.parts:
            if not is_name(part):
                raise StoreError(
                    f"{part!r} cannot be part of an artifact's name; use letters, digits, '.', '_' and '-'"
                )

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of its folders, from the kind on."""
        return (self.kind, self.data_set, *((self.model, self.device) if self.model or self.device else ()))

    def beside(self, kind: str) -> "Slot":
        """The slot of another kind of the same data set, model and device."""
        return replace(self, kind=kind)

    @property
    def label(self) -> str:
        """The model for people, with its device unless that is the CPU."""
        return self.model if self.device == "cpu" else f"{self.model}/{self.device}"

    def __str__(self) -> str:
        return "/".join(self.parts)


def parse_reference(reference: str) -> tuple[Slot, str]:
    """The slot and the version that a reference `<slot>/<version>` names. Raises StoreError for what is none."""
    parts = str(reference).split("/")
    if len(parts) not in (3, 5):
        raise StoreError(
            f"{reference!r} is not a reference to an artifact, such as trained_model/DATA_SET/ease/cpu/VERSION"
        )
    return Slot(*parts[:-1]), parts[-1]


def slot_in(text: str) -> str | None:
    """The slot that a manifest's text names, "" where it is of something else, or None where it is damaged."""
    try:
        manifest = json.loads(text)
    except ValueError:
        return None
    return str(manifest.get("slot", "")) if isinstance(manifest, dict) else None
