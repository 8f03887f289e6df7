"""MLflow's model registry follows what is served: the alias `champion` names the promoted version, and no other."""

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from movierec_engine.errors import StoreError
from movierec_engine.store import Artifact, ArtifactStore
from movierec_engine.tracking.credentials import without_credentials
from movierec_engine.tracking.mlflow_database import open_client
from movierec_engine.tracking.patience import within
from movierec_engine.tracking.tracker import PATIENCE_SECONDS

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

CHAMPION = "champion"


def promote(artifacts: Path, trained_model: Artifact, alias: str = CHAMPION) -> str:
    """Let the alias name a trained model's registered version, which is made if need be, and no other model's.

    Returns `models:/<name>@<alias>`, or `` where the model has no MLflow run, or MLflow fails or does not answer: that
    is logged, and never keeps anything from being served.
    """
    if not trained_model.origin.get("mlflow_run_id"):
        log.info("MLflow: %s has no run, so there is nothing to name %s", trained_model.reference, alias)
        return ""
    try:
        return within(PATIENCE_SECONDS, partial(_promote, artifacts, trained_model, alias))
    except Exception as error:  # whatever MLflow raises, the release goes on
        why = without_credentials(" ".join(str(error).split()))
        log.warning("MLflow: %s is not named %s (%s)", trained_model.reference, alias, why)
        return ""


def follow(store: ArtifactStore, served: Artifact) -> None:
    """Let the alias name the model of the index that is served now; whatever goes wrong is logged alone."""
    try:
        trained_model = store.resolve(served.parents["trained_model"])
    except (StoreError, KeyError) as error:
        log.warning("MLflow: the model of %s is not there to be named %s (%s)", served.reference, CHAMPION, error)
        return
    promote(store.root, trained_model)


def register(client: "MlflowClient", trained_model: Artifact, run_id: str) -> str:
    """The number of the registered version of a trained model, under the model's name; made unless it is there."""
    from mlflow.exceptions import MlflowException

    name, device = trained_model.slot.path
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


def _promote(artifacts: Path, trained_model: Artifact, alias: str) -> str:
    client, name = open_client(artifacts), trained_model.slot.path[0]
    version = register(client, trained_model, trained_model.origin["mlflow_run_id"])
    client.set_registered_model_alias(name, alias, version)
    for other in client.search_registered_models():
        if other.name != name and alias in other.aliases:
            client.delete_registered_model_alias(other.name, alias)
    return f"models:/{name}@{alias}"
