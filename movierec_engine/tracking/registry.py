"""MLflow's model registry follows what is served: the alias `champion` names each data set's promoted version alone."""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from movierec_engine.store import SERVING, Artifact, ArtifactStore, kinds
from movierec_engine.tracking.mlflow_database import open_client
from movierec_engine.tracking.server import within, without_credentials
from movierec_engine.tracking.tracker import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

CHAMPION = "champion"


def follow(store: ArtifactStore, data_set: str) -> str:
    """Let the alias name the registered model of the index that is served of a data set, and no other of its models.

    Returns `models:/<name>@champion`, or `` where the model has no MLflow run, or MLflow fails or does not answer: that
    is logged, and never keeps anything from being served. A call that answers too late looks at what is served by then,
    so that the alias never stays on what was served before.
    """
    try:
        return within(TIMEOUT_SECONDS, partial(_follow, store, data_set))
    except Exception as error:  # whatever MLflow raises, the release goes on
        why = without_credentials(" ".join(str(error).split()))
        log.warning("MLflow: what is served of %s is not named %s (%s)", data_set, CHAMPION, why)
        return ""


def registered_name(trained_model: Artifact) -> str:
    """The name of a model in the registry, where those of all data sets stand together: `<data set>.<model>`."""
    return f"{trained_model.slot.data_set}.{trained_model.slot.model}"


def register(client: "MlflowClient", trained_model: Artifact, run_id: str) -> str:
    """The number of a trained model's registered version, under its data set and model; made unless it is there."""
    from mlflow.exceptions import MlflowException

    name, device = registered_name(trained_model), trained_model.slot.device
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"name='{name}'"):
        if version.tags.get("artifact") == trained_model.reference:
            return str(version.version)
    client.log_artifacts(run_id, str(trained_model.folder), "model")
    made = client.create_model_version(
        name,
        source=f"{client.get_run(run_id).info.artifact_uri}/model",
        run_id=run_id,
        tags={"artifact": trained_model.reference, "fingerprint": trained_model.fingerprint, "device": device},
    )
    return str(made.version)


def _follow(store: ArtifactStore, data_set: str) -> str:
    """Point the alias at the served version, again if that changed meanwhile, until the two agree."""
    named, alias = None, ""
    while (served := store.pointed(SERVING, data_set)) is not None and served != named:
        trained_model = store.resolve(served.parents[kinds.TRAINED_MODEL])
        alias = _name(store, trained_model, lambda: store.pointed(SERVING, data_set) == served)
        named = served
    return alias


def _name(store: ArtifactStore, trained_model: Artifact, is_served: Callable[[], bool]) -> str:
    """Let the alias name a trained model's version, registered if need be, as long as that is what is served."""
    if not (run_id := trained_model.origin.get("mlflow_run_id")):
        log.info("MLflow: %s has no run, so there is nothing to name %s", trained_model.reference, CHAMPION)
        return ""
    client, name = open_client(store.root), registered_name(trained_model)
    version = register(client, trained_model, run_id)
    if is_served():
        client.set_registered_model_alias(name, CHAMPION, version)
    for other in client.search_registered_models():
        of_data_set = other.name.rpartition(".")[0] == trained_model.slot.data_set
        if of_data_set and other.name != name and CHAMPION in other.aliases and is_served():
            client.delete_registered_model_alias(other.name, CHAMPION)
    return f"models:/{name}@{CHAMPION}"
