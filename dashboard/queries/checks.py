"""Checks of the newest versions of each model, made again from what the store holds.

The leak canaries were run by whoever published them; the other checks are those that Dagster runs with the assets, done
again over the same files, as far as they take no longer than reading them. A check of what a version does not have,
such as epochs, is not run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dashboard.queries.store_files import newest, store_at
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.pipeline import model_checks
from movierec_engine.pipeline.popularity_floor import FACT
from movierec_engine.store import Artifact, ArtifactStore, kinds, parse_reference

KINDS = (kinds.TRAINED_MODEL, kinds.EVALUATION_REPORT, kinds.FAISS_INDEX, kinds.LEAK_CANARIES)


def _epochs(trained_model: Artifact) -> int:
    return int(trained_model.facts.get("epochs") or 0)


_EXAMINED: tuple[tuple[str, Callable[[ArtifactStore, Artifact], Finding], Callable[[Artifact], bool]], ...] = (
    (kinds.TRAINED_MODEL, model_checks.loss_is_finite, lambda model: _epochs(model) >= 1),
    (kinds.TRAINED_MODEL, model_checks.loss_falls, lambda model: _epochs(model) >= 2),
    (kinds.TRAINED_MODEL, model_checks.reaches_popularity, lambda model: FACT in model.facts),
    (kinds.EVALUATION_REPORT, model_checks.report_adds_up, lambda report: True),
    (kinds.FAISS_INDEX, model_checks.index_finds_the_best, lambda index: True),
)
"""Kind, check, and whether a version has what the check looks at."""


@dataclass(frozen=True)
class Checked:
    """One check of the newest version of a kind of a model."""

    model: str
    device: str
    of: str
    """The version that was looked at."""
    name: str
    passed: bool
    sentence: str
    leak: bool
    """Whether it is one of the leak canaries."""


def checks(root: Path, data: str) -> list[Checked]:
    """All checks of every model and device of a data set that could be run."""
    found = []
    for kind, examine, applies in _EXAMINED:
        for artifact in newest(root, kind, data):
            if applies(artifact):
                found.append(_examined(artifact.reference, root, artifact.folder, examine.__name__))
    for artifact in newest(root, kinds.LEAK_CANARIES, data):
        for finding in artifact.facts.get("findings") or []:
            if isinstance(finding, dict) and "name" in finding:
                found.append(
                    Checked(
                        artifact.slot.model,
                        artifact.slot.device,
                        str(artifact.parents.get(kinds.TRAINED_MODEL, artifact.reference)),
                        str(finding["name"]),
                        bool(finding.get("passed")),
                        str(finding.get("sentence", "")),
                        leak=True,
                    )
                )
    return found


@lru_cache(maxsize=2_000)
def _examined(reference: str, root: Path, folder: Path, name: str) -> Checked:
    """One check of one version, which never changes; a version that cannot be examined has not passed."""
    kind, examine = next((kind, one) for kind, one, _ in _EXAMINED if one.__name__ == name)
    store = store_at(root)
    try:
        artifact = store.resolve(reference)
        finding = examine(store, artifact)
        passed, sentence = finding.passed, finding.sentence
    except (StoreError, OSError, KeyError, TypeError, ValueError) as error:
        passed, sentence = False, f"the {kind.replace('_', ' ')} cannot be examined ({error})"
    slot, _ = parse_reference(reference)
    return Checked(slot.model, slot.device, reference, name, passed, sentence, leak=False)
