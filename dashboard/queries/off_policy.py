"""Off-policy estimates: what models' lists would have earned, as `movierec offpolicy` has published it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dashboard.queries.store_files import slot_folders, slot_of, store_at, wanted_first
from movierec_engine.errors import StoreError
from movierec_engine.store import Artifact, kinds

LOOKED_AT = 30
"""Newest versions of a model that are read, so that other rules' estimates stand beside one another."""
ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "dr": "DR"}


@dataclass(frozen=True)
class OffPolicy:
    """The newest estimates of a model on a device.

    question, estimates: as the facts of the artifact have them. sentences: what to know before believing them.
    """

    model: str
    device: str
    created_at: str
    question: dict[str, Any]
    estimates: dict[str, Any]
    sentences: tuple[str, ...]

    @property
    def name(self) -> str:
        """The model, with the rules that it was judged under where they are not those of then."""
        rules = self.question.get("rules", "none")
        return self.model if rules == "then" else f"{self.model}, {'no' if rules == 'none' else rules} rules"

    @property
    def about(self) -> str:
        """The kind of estimate, in words; estimates of one kind can stand side by side."""
        asked = self.question
        return f"{asked['reward']}s within {asked['minutes']:g} minutes, by {asked['by']}"

    def rows(self) -> list[dict[str, Any]]:
        """A row an estimator: the gain over what was shown, with its interval; without those that are not known."""
        gains = ((name, self.estimates[f"{key}_gain"]) for key, name in ESTIMATORS.items())
        return [
            {"model": self.name, "estimator": name, **gain, "lists": self.estimates["lists"]}
            for name, gain in gains
            if gain["value"] is not None and gain["low"] is not None
        ]


def estimates(root: Path, data: str) -> list[OffPolicy]:
    """The newest of every model, device and rules on a data set, newest first."""
    found: dict[tuple[str, str, str, str], OffPolicy] = {}
    for made in sorted(_versions(root, data), key=lambda one: one.version, reverse=True):
        facts = made.facts
        if {"question", "estimates", "sentences"} <= set(facts):
            sentences = tuple(facts["sentences"])
            of = made.slot.model, made.slot.device, made.created_at
            one = OffPolicy(*of, facts["question"], facts["estimates"], sentences)
            found.setdefault((one.model, one.device, one.name, one.about), one)
    return [*found.values()]


def _versions(root: Path, data: str) -> Iterator[Artifact]:
    """The newest versions of each slot whose manifests can be read."""
    store = store_at(root)
    for folder in slot_folders(root, kinds.OFF_POLICY, data):
        for version in islice(wanted_first(folder), LOOKED_AT):
            with suppress(StoreError, OSError, ValueError):
                yield store.get(slot_of(root, folder), version)
