"""A team whose processes take one piece of work after another, since starting them takes longer than what they do."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed

from movierec_engine.workers.local import LocalTeam
from movierec_engine.workers.team import Team


class Several:
    """A worker of any class, made anew by `again`."""

    def __init__(self) -> None:
        self._worker: Any = None

    def again(self, kind: type, *arguments: Any) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        self._worker = kind(*arguments)

    def __getattr__(self, method: str) -> Any:
        return getattr(self._worker, method)


class Kept(LocalTeam):
    """Is not closed by who uses it."""

    def close(self) -> None:
        pass

    def end(self) -> None:
        super().close()


@contextmanager
def kept_team(workers: int) -> Iterator[Any]:
    """What stands for `start_team`, and starts processes but once."""
    team = Kept(Several, [()] * workers, workers)

    def start(kind: type, arguments: Iterable[tuple[Any, ...]], size: int, **_: Any) -> Team:
        assert size == workers
        team.call("again", [(kind, *own) for own in arguments])
        return team

    try:
        yield start
    finally:
        team.end()
