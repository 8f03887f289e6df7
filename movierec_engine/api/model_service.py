"""The models that answer: the version for each request, and descriptions of all versions."""

from collections.abc import Hashable
from typing import Any

from movierec_engine.api.answers import About, Models, ModelVersions, ServerHealth, Version, VersionMetrics
from movierec_engine.api.error_codes import error_body
from movierec_engine.api.errors import ApiError
from movierec_engine.api.workers import Workers
from movierec_engine.errors import StoreError
from movierec_engine.serving.index_reloader import IndexReloader, ServingState
from movierec_engine.serving.known_ids import KnownIds
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.store import SERVING, Artifact, ArtifactStore, kinds, measured_version

_GRAVITY = ("damaged", "empty", "loading", "ok")
EMPTY = "there is no index to serve yet; run `movierec demo` or `movierec train model=lightgcn`"
OUT_OF_REACH = "the artifact store is out of reach, so there is nothing to serve yet; the server's log says why"
DAMAGED = "the index to serve or its pointer is damaged, or cannot be read here; GET /api/ready says which, and why"
LOADING = "the index is being loaded; ask again in a moment"
DRAINING = "this server is about to end; ask another one"
STANDS_IN = "the version that should answer cannot be read now and is tried again; another one answers in its place"
NO_POINTER = "what should answer cannot be told (`refused` says why), so what was released before answers"


class ModelService:
    """The versions that `reloader` follows; every other service asks it for the one to answer from."""

    def __init__(self, reloader: IndexReloader, store: ArtifactStore, workers: Workers) -> None:
        self._reloader, self.store, self._workers = reloader, store, workers
        self._measured: dict[str, tuple[Hashable, VersionMetrics]] = {}

    def served(self, model: str | None = None) -> LoadedIndex:
        """The version to answer from: the default one, or a model's newest.

        Raises ApiError 404 for a model that has none, and 503 while there is nothing to answer from.
        """
        served = self._reloader.current(model)
        if served is not None:
            return served
        now = self._reloader.state()
        if model is not None and now.newest and model not in now.newest:
            known = ", ".join(sorted(now.newest))
            raise ApiError(404, f"there is no index of model {model!r}; there are {known}", "model")
        status = self._status(now)
        retry = {"Retry-After": "1"} if status == "loading" else {}
        raise ApiError(
            503, LOADING if status == "loading" else DAMAGED if now.refused else self._empty(), headers=retry
        )

    def ids(self, model: object = None) -> KnownIds | None:
        """The ids and the ratings of the data set that is served; None while there is none.

        model: whose are asked for, as a client has named it; those of the default one where there is no such model.
        """
        named = self._reloader.current(model) if isinstance(model, str) else None
        served = named or self._reloader.current()
        return None if served is None else served.known_ids

    def names(self) -> list[str]:
        """The models that can answer, sorted."""
        return sorted(self._reloader.state().newest)

    def models(self) -> Models:
        """Each model's newest version with all its versions, newest first, and which version answers by default."""
        now = self._reloader.state()
        default = now.served.get(None)

        def described(artifact: Artifact) -> Version:
            return {
                "version": artifact.version,
                "measured_version": measured_version(artifact),
                "device": artifact.slot.device,
                "created_at": artifact.created_at,
                "fingerprint": artifact.fingerprint,
                "trained_model": artifact.parents.get(kinds.TRAINED_MODEL),
                "refitted_model": artifact.parents.get(kinds.REFITTED_MODEL),
                "metrics": self._metrics(artifact),
                "runs": {
                    "mlflow_run_id": artifact.origin.get("mlflow_run_id"),
                    "dagster_run_id": artifact.origin.get("dagster_run_id"),
                },
                "index": artifact.facts,
                "default": default is not None and default.artifact.reference == artifact.reference,
                "loaded": any(one.artifact.reference == artifact.reference for one in now.served.values()),
            }

        rows: list[ModelVersions] = [
            {"model": model, **described(newest), "versions": [described(v) for v in self._reloader.versions(model)]}
            for model, newest in sorted(now.newest.items())
        ]
        return {"models": rows, "default": None if default is None else about(default)}

    def health(self) -> ServerHealth:
        """Alive; what is served, and which versions in the store are refused and why."""
        now = self._reloader.state()
        default = now.served.get(None)
        status = self._status(now)
        message = self._message(status)
        if status == "ok" and (SERVING in now.refused or now.stands_in):
            message = NO_POINTER if SERVING in now.refused else STANDS_IN
        return {
            "status": status,
            "message": message,
            "serving": None if default is None else about(default),
            "refused": now.refused,
        }

    def readiness(self) -> tuple[dict[str, Any], int]:
        """`health` of the whole server, and 200 if each of its workers has an index to answer from, else 503."""
        own = self.health()
        others = self._workers.others()
        statuses = [own["status"], *(one["status"] for one in others)]
        expected = max(self._workers.expected, len(statuses))
        ready = statuses.count("ok")
        refused = {reference: why for one in (*others, own) for reference, why in one["refused"].items()}
        body = {**own, "refused": refused, "workers": {"expected": expected, "ready": ready}}
        if self._workers.draining.is_set():
            body |= {"status": "draining", "message": DRAINING}
        elif ready < expected:
            worst = min(statuses, key=_GRAVITY.index)
            status = "loading" if worst == "ok" else worst  # one of them has not said anything yet
            body |= {"status": status, "message": self._message(status)}
        else:
            return body, 200
        return {**body, "error": error_body(503, str(body["message"]))}, 503

    def _message(self, status: str) -> str | None:
        return {"ok": None, "damaged": DAMAGED, "loading": LOADING, "empty": self._empty()}[status]

    def _metrics(self, index: Artifact) -> VersionMetrics:
        """The metrics of an index's trained model on validation and test, each None where it was not measured.

        They are of the index's fingerprint, as a model is measured on the data that it was trained for.
        """
        slot, trained = index.slot.beside(kinds.EVALUATION_REPORT), index.parents.get(kinds.TRAINED_MODEL, "")
        known = self._measured.get(trained)
        try:
            changed = self.store.storage.slot_changes(slot)
        except StoreError:  # the store is away, and this host has never read them
            return known[1] if known else {"validation": None, "test": None, "report": None}
        if known is None or known[0] != changed:
            reports = [
                one
                for one in self.store.versions(slot)
                if one.parents.get(kinds.TRAINED_MODEL) == trained and one.fingerprint == index.fingerprint
            ]
            facts = reports[-1].facts if reports else {}
            known = self._measured[trained] = (
                changed,
                {
                    "validation": facts.get("validation_metrics"),
                    "test": facts.get("metrics"),
                    "report": reports[-1].reference if reports else None,
                },
            )
        return known[1]

    def _status(self, now: ServingState) -> str:
        if None in now.served:
            return "ok"
        if not self._reloader.looked:
            return "loading"
        return "damaged" if now.refused else "empty"

    def _empty(self) -> str:
        if self._reloader.out_of_reach:
            return OUT_OF_REACH
        device = self._reloader.device
        if device == "auto":
            return EMPTY
        return f"there is no index of a model trained on {device}; start the server without --device to serve any"


def about(served: LoadedIndex) -> About:
    """Fields of every answer: the version that it comes from, and the measured version that vouches for that."""
    artifact = served.artifact
    return {
        "model": served.model,
        "version": artifact.version,
        "measured_version": measured_version(artifact),
        "device": artifact.slot.device,
        "fingerprint": artifact.fingerprint,
    }
