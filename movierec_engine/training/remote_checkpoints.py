"""Checkpoints in an object store, so that a training that was killed on one host goes on at another.

    <model>/<run>/<epoch>-<SHA-256>.pt

Each is an object of its own that never changes and is there once it is whole. The two newest of a run are kept, in case
the newest is damaged; what no training has written to for a week is deleted by the next one that starts.
"""

import hashlib
import logging
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from movierec_engine.errors import StoreError
from movierec_engine.models.base import CHECKPOINT_SUFFIX
from movierec_engine.store import scratch
from movierec_engine.store.files import sha256_of
from movierec_engine.store.object_storage import local_root
from movierec_engine.store.objects import AwayError, Objects

log = logging.getLogger(__name__)
T = TypeVar("T")

KEPT, KEPT_DAYS = 2, 7
_CHECKPOINT = re.compile(rf"(.*/)?[^/]+/[^/]+/\d{{8}}-[0-9a-f]{{64}}{re.escape(CHECKPOINT_SUFFIX)}")


class RemoteCheckpoints:
    """The checkpoints of one run of a model, below a URL that all runs of a team may share."""

    def __init__(self, url: str, model: str, run: str) -> None:
        self.url = url.rstrip("/")
        self._objects, self._prefix = Objects(self.url), f"{model}/{run}/"

    def newest(self, read: Callable[[Path], T]) -> T | None:
        """The newest whole checkpoint, read by `read`; None without one.

        One that is not the content that was written is passed by. Raises AwayError when the store does not answer.
        """
        folder = scratch.new_folder(local_root() / ".incoming")
        try:
            for one in reversed(self._objects.list(self._prefix)):
                path = folder / one.key.rpartition("/")[2]
                try:
                    self._objects.download([(one.key, one.size, path)])
                    if path.stem.partition("-")[2] == sha256_of(path):
                        return read(path)
                except AwayError:
                    raise
                except StoreError as error:
                    log.debug("%s", error)
                log.warning("%s/%s is damaged or gone, and is passed by", self.url, one.key)
            return None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def write(self, content: bytes, epoch: int) -> None:
        """Let this be the checkpoint after so many epochs; training goes on without it while the store is away."""
        try:
            name = f"{epoch:08d}-{hashlib.sha256(content).hexdigest()}{CHECKPOINT_SUFFIX}"
            self._objects.upload(self._prefix + name, content)
            self._objects.delete([one.key for one in self._objects.list(self._prefix)[:-KEPT]])
        except AwayError as error:
            log.warning("the checkpoint after epoch %d is not kept, and training goes on: %s", epoch, error)

    def clear(self) -> None:
        """Delete this run's checkpoints, as before it starts afresh."""
        self._objects.delete([one.key for one in self._objects.list(self._prefix)])

    def sweep(self) -> None:
        """Delete checkpoints of any run that were written more than a week ago, and nothing else that lies there."""
        old = datetime.now(UTC) - timedelta(days=KEPT_DAYS)
        self._objects.delete(
            [one.key for one in self._objects.list("") if one.modified < old and _CHECKPOINT.fullmatch(one.key)]
        )
