"""Mirrors of object stores that this process keeps up to date while the pages read them."""

import logging
import threading
import time
from functools import cache

from movierec_engine.errors import StoreError
from movierec_engine.store.mirror import Mirror
from movierec_engine.store.objects import AwayError

log = logging.getLogger(__name__)

SECONDS = 10.0
"""Between two looks at an object store."""


@cache
def followed(url: str) -> Mirror:
    """The mirror of an object store, filled once and then kept up to date by a thread.

    Raises AwayError where the store does not answer and nothing was mirrored before.
    """
    mirror = Mirror(url)
    try:
        problems[url] = mirror.refresh()
    except AwayError as error:
        if not any(mirror.folder.glob("*/*/LATEST")) and not any(mirror.folder.glob("*/*/*/*/LATEST")):
            raise
        problems[url] = [_stale(error)]
    threading.Thread(target=_follow, args=(mirror, url), name="mirror", daemon=True).start()
    return mirror


def _follow(mirror: Mirror, url: str) -> None:
    while True:
        time.sleep(SECONDS)
        try:
            problems[url] = mirror.refresh()
        except (StoreError, OSError) as error:
            problems[url] = [_stale(error)]
        except Exception as error:  # whatever it is, the thread goes on following, as no other would
            log.exception("%s cannot be followed", url)
            problems[url] = [_stale(error)]


def _stale(error: Exception) -> str:
    return f"{error}; what is shown is what this host has read before"


problems: dict[str, list[str]] = {}
"""Problems of each mirror, by its object store's URL."""
