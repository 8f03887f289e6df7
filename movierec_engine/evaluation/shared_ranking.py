"""Rankings by several workers: each ranks some blocks of users, to the bits that one process would give them."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.heldout import HeldOut
from movierec_engine.evaluation.rank_block import RankedBlock
from movierec_engine.evaluation.rankings import RankBlocks, Ranked, block_rows, ranked_blocks
from movierec_engine.models.base import Recommender
from movierec_engine.models.registry import load_model
from movierec_engine.training.config import TrainerConfig
from movierec_engine.workers.start import start_team


class RankingWorker:
    """Ranks users of a held-out part by a saved model."""

    def __init__(self, files: dict[str, bytes], heldout: HeldOut) -> None:
        """files: of the saved model's folder, by their path in it."""
        with TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._model = load_model(Path(folder))
        self._heldout = heldout

    def rank(self, users: NDArray[np.int64], depth: int, deep: bool) -> list[RankedBlock]:
        """The blocks of some users, int64 [n], ascending."""
        relevant = self._heldout.interactions.matrix()[users]
        return list(ranked_blocks(self._model, self._heldout, users, relevant, depth, deep))


def ranked_by_workers(trainer: TrainerConfig) -> RankBlocks:
    """`ranked_blocks` by `trainer.workers`, where its workers are.

    Each has the whole model and held-out part, and whole blocks of users, so that every score is computed as it would
    be here.
    """

    def rank(
        model: Ranked, heldout: HeldOut, users: NDArray[np.int64], relevant: sparse.csr_matrix, depth: int, deep: bool
    ) -> Iterator[RankedBlock]:
        assert isinstance(model, Recommender)
        rows, n = block_rows(heldout.interactions.n_items), trainer.workers
        blocks = -(-len(users) // rows)
        cuts = [blocks * worker // n * rows for worker in range(n)] + [len(users)]
        parts = [users[first:last] for first, last in pairwise(cuts)]
        with TemporaryDirectory() as folder:
            model.save(folder)
            saved = [path for path in Path(folder).rglob("*") if path.is_file()]
            files = {str(path.relative_to(folder)): path.read_bytes() for path in saved}
        team = start_team(
            RankingWorker,
            ((files, heldout) for _ in range(n)),
            n,
            ray_address=trainer.ray_address,
            threads=trainer.worker_threads,
        )
        with team:
            for found in team.call("rank", [(part, depth, deep) for part in parts]):
                yield from found

    return rank
