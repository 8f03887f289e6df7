"""Off-policy estimates: what models' lists would have earned, as `movierec offpolicy` has published it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.queries.store_files import newest
from movierec_engine.store import kinds

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
    def about(self) -> str:
        """What was estimated; estimates of one kind can stand side by side."""
        asked = self.question
        return f"{asked['reward']}s within {asked['minutes']:g} minutes, by {asked['by']}"

    def rows(self) -> list[dict[str, Any]]:
        """A row an estimator: the gain over what was shown, with its interval; without those that are not known."""
        gains = ((name, self.estimates[f"{key}_gain"]) for key, name in ESTIMATORS.items())
        return [
            {"model": self.model, "estimator": name, **gain, "lists": self.estimates["lists"]}
            for name, gain in gains
            if gain["value"] is not None and gain["low"] is not None
        ]


def estimates(root: Path, data: str) -> list[OffPolicy]:
    """The newest of every model and device on a data set, newest first."""
    found = []
    for made in sorted(newest(root, kinds.OFF_POLICY, data), key=lambda one: one.version, reverse=True):
        facts = made.facts
        if {"question", "estimates", "sentences"} <= set(facts):
            sentences = tuple(facts["sentences"])
            of = made.slot.model, made.slot.device, made.created_at
            found.append(OffPolicy(*of, facts["question"], facts["estimates"], sentences))
    return found
