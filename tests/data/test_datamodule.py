from pathlib import Path

from movierec_engine.config import load_settings
from movierec_engine.data import MovieLensDataModule
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.fingerprint import fingerprint
from movierec_engine.models import load_model
from movierec_engine.pipeline import run
from movierec_engine.store import ArtifactStore


def test_a_stored_model_is_evaluated_as_the_command_line_did(
    movielens_folder: Path, small_data: list[str], tmp_path: Path
) -> None:
    made = run(ArtifactStore(tmp_path / "store"), load_settings([*small_data, "model=ease"]))
    data = MovieLensDataModule(movielens_folder)
    data.setup()
    assert fingerprint(data.split) == made["splits"].fingerprint
    model = load_model(made["trained_model"].folder)
    assert Evaluator().evaluate(model, data.test_data).metrics == made["evaluation_report"].facts["metrics"]
    validation = Evaluator().evaluate(model, data.validation_data).metrics
    stored = made["trained_model"].facts["validation_metrics"]
    assert stored == {name: validation[name] for name in stored}
    assert "ndcg@10" in stored
    assert data.graph().n_edges == len(data.train_data)
