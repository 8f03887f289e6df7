"""Start a team of workers where the settings say."""

from collections.abc import Iterable
from typing import Any

from movierec_engine.workers.local import LocalTeam
from movierec_engine.workers.team import Team


def start_team(
    kind: type,
    arguments: Iterable[tuple[Any, ...]],
    size: int,
    *,
    ray_address: str = "",
    threads: int = 0,
    gpus: int = 0,
) -> Team:
    """Start a team of workers: processes of this machine, or actors of the Ray cluster at an address.

    arguments: each worker's own, made when they are sent. threads, gpus: of each; 0 threads is its share of the
    machine, and on Ray one.

    Raises ConfigError for a cluster that does not answer, or has too few CPUs or GPUs.
    """
    if ray_address:
        from movierec_engine.workers.on_ray import RayTeam

        return RayTeam(kind, arguments, size, ray_address, threads, gpus)
    return LocalTeam(kind, arguments, size, threads)
