"""Workers as actors of a Ray cluster, which end with the program that started them."""

import logging
import socket
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.errors import ConfigError, MissingExtraError, MovierecError
from movierec_engine.workers.local import sendable
from movierec_engine.workers.team import Team, WorkerLost

log = logging.getLogger(__name__)


class RayTeam(Team):
    """One actor a worker, spread over the cluster's nodes; each node has this package, of the same version."""

    def __init__(
        self, kind: type, arguments: Iterable[tuple[Any, ...]], size: int, address: str, threads: int, gpus: int
    ) -> None:
        """threads: CPUs that each actor asks for, at least one. gpus: of each.

        Raises ConfigError for a cluster that does not answer, lets nobody in, or is too small.
        """
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError(error) from error
        self._ray, self.size, threads = ray, size, threads or 1
        self._own = not ray.is_initialized()
        if self._own:
            listens = False
            try:
                listens = _knock(address)
                ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
            except (OSError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    (
                        f"what listens at trainer.ray_address={address} does not let Ray in ({_first_line(error)}); "
                        "set RAY_AUTH_MODE and RAY_AUTH_TOKEN, and have the versions of Ray and Python, as on its head"
                        if listens
                        else f"no Ray cluster answers at trainer.ray_address={address} ({_first_line(error)}); start "
                        "one by `ray start --head`"
                    )
                    + ", or leave trainer.ray_address out to use this machine"
                ) from error
        self._actors: list[Any] = []
        try:
            self._require("CPU", size * threads)
            self._require("GPU", size * gpus)
            actor = ray.remote(Host).options(
                num_cpus=threads,
                num_gpus=gpus,
                scheduling_strategy="SPREAD",
                runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads)}},
            )
            made = []
            for own in arguments:
                self._actors.append(actor.remote())
                made.append(self._actors[-1].make.remote(kind, *own))
            self.hosts = self._wait(made)
        except BaseException:
            self.close()
            raise

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        pairs = zip(self._actors, arguments, strict=True)
        return self._wait([actor.call.remote(method, *own) for actor, own in pairs])

    def ask(self, number: int, method: str, *arguments: Any) -> Any:
        return self._wait([self._actors[number].call.remote(method, *arguments)])[0]

    def gather(
        self, method: str, arguments: tuple[Any, ...], rows: Sequence[int], width: int
    ) -> tuple[Any, NDArray[np.float32]]:
        array = np.concatenate(self.all(method, *arguments))
        return self._ray.put(array), array

    def close(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []
        if self._own:
            self._ray.shutdown()

    def _wait(self, results: list[Any]) -> list[Any]:
        """The results, or the first error: one worker's failure leaves the others waiting for it."""
        waiting = list(results)
        while waiting:
            done, waiting = self._ray.wait(waiting)
            for one in done:
                try:
                    error = self._ray.get(one)[0]
                except self._ray.exceptions.RayTaskError as failed:  # before the worker's own code
                    raise MovierecError(f"a worker failed on Ray:\n{failed}") from failed
                except self._ray.exceptions.RayError as lost:
                    raise WorkerLost(f"one of {self.size} workers is gone ({_first_line(lost)})") from lost
                if error:
                    raise error
        return [value for _, value in self._ray.get(results)]

    def _require(self, resource: str, needed: int) -> None:
        there = int(self._ray.cluster_resources().get(resource, 0))  # type: ignore[no-untyped-call]
        if needed > there:
            raise ConfigError(
                f"{self.size} workers on Ray need {needed} {resource}s and the cluster has {there}; set fewer "
                "trainer.workers, trainer.worker_threads or n_jobs of a sweep, or add nodes"
            )
        if needed > (free := int(self._ray.available_resources().get(resource, 0))):  # type: ignore[no-untyped-call]
            log.info("waiting for %d %ss of the Ray cluster, of which %d are free now", needed, resource, free)


class Host:
    """The actor around a worker, whose methods give an error, None where there is none, and a result."""

    def make(self, kind: type, *arguments: Any) -> tuple[Exception | None, str]:
        """Make the worker; the result is the host's address."""
        import ray

        try:
            self._worker = kind(*arguments)
            return None, str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
        except Exception as error:
            return sendable(error, traceback.format_exc()), ""

    def call(self, method: str, *arguments: Any) -> tuple[Exception | None, Any]:
        try:
            return None, getattr(self._worker, method)(*arguments)
        except Exception as error:
            return sendable(error, traceback.format_exc()), None


def _knock(address: str) -> bool:
    """True if somebody listens at `host:port`, False for an address of another form.

    Raises OSError where nobody listens, for which Ray itself would wait for minutes.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        return False
    socket.create_connection((host, int(port)), timeout=5).close()
    return True


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
