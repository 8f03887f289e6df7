"""An export from beginning to end: the lists of users into a target, as the command line and Dagster call it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from movierec_engine.errors import MovierecError
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.pipeline.data import choose_data_set
from movierec_engine.pipeline.export import LOCK, begun_in, index_to_export, make_lists, of_tier, read_users
from movierec_engine.pipeline.export_config import ExportConfig
from movierec_engine.pipeline.export_target import target_of
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.live_rules import LiveRules
from movierec_engine.store import Artifact, ArtifactStore, kinds


@dataclass(frozen=True)
class Exported:
    """The result of an export. kept: users whose lists an earlier, interrupted one had made. rows: places of lists."""

    index: Artifact
    target: str
    users: int
    kept: int
    rows: int
    seconds: float

    @property
    def users_a_second(self) -> float:
        return (self.users - self.kept) / self.seconds


def export_lists(
    store: ArtifactStore,
    asked: ExportConfig,
    *,
    data_set: str = "",
    model: str = "",
    device: str = "",
    feedback_url: str = "",
    repeat: bool = False,
    threads: int = 0,
    parts: Path | None = None,
) -> Exported:
    """Write the lists of users into a target, which stays as it was where this fails; run again, it goes on.

    The lists are made under the rules for mail that hold when it begins.
    data_set: "" for the only one. model: "" for what is served. feedback_url, repeat: as the settings `feedback.url`
    and `serving.repeat` of the server whose lists these are. parts: a folder for what is made so far, new or empty at
    first.
    """
    started = time.monotonic()
    target = target_of(asked.to)
    served = index_to_export(store, choose_data_set(store, kinds.FAISS_INDEX, data_set), model, device, repeat)
    live = LiveFeedback(FeedbackLogs(store.root, feedback_url))
    only = read_users(Path(asked.users), served.index.users.are_texts) if asked.users else None
    if asked.tier:
        only = of_tier(served, live, asked.tier)
    rules = LiveRules(store, store).active(served, "mail")
    with _alone(folder := parts or target.parts):
        lists = make_lists(served, live, folder, asked.k, only, threads, rules)
        rows = target.write(lists)
        lists.remove()
    return Exported(served.artifact, target.name, lists.users, lists.kept, rows, time.monotonic() - started)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While this runs no other export works in a folder; who is killed lets go of it.

    Raises ConfigError for a folder of other files, and leaves it as it is.
    """
    try:
        begun_in(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout as error:
        raise MovierecError(
            f"another export is at work in {folder}; wait for its end, or let --parts name another folder"
        ) from error
    except OSError as error:
        raise MovierecError(
            f"{error.filename or folder} could not be written: {error.strerror or error}; once there is room, the same "
            "export goes on where it stopped"
        ) from error
