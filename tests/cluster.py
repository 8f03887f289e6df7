"""A cluster of hosts that share nothing but the network: the first has the object store, PostgreSQL, Dagster and Ray's
head, the others work and serve."""

import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from hosts import Host, hosts
from object_store import ObjectStoreServer, object_store_server
from ports import free_port
from postgres import PASSWORD, SUPERUSER, PostgresServer, postgres_server

from movierec_engine.store import ArtifactStore

DEPLOY = Path(__file__).parents[1] / "deploy" / "dagster"
RAY = Path(sys.executable).with_name("ray")
TOKEN = "a-token-of-the-tests-that-is-long-enough"


@dataclass
class Cluster:
    main: Host
    workers: list[Host]
    objects: ObjectStoreServer
    database: PostgresServer
    artifacts: str
    checkpoints: str
    ports: dict[str, int]

    def movierec(self, *words: object) -> str:
        """What a command prints on the first host."""
        return self.main.run(sys.executable, "-m", "movierec_engine.cli", *words)

    def environment(self, host: Host) -> dict[str, str]:
        """What a host's environment file says."""
        return {
            **self.objects.environment(host.home / "local"),
            "MOVIEREC_ARTIFACTS": self.artifacts,
            "MOVIEREC_CHECKPOINTS": self.checkpoints,
            "MOVIEREC_LOGS_BUCKET": "logs",
            "MOVIEREC_FEEDBACK_URL": self.database.url,
            "MOVIEREC_PLUGINS": str(host.home / "plugin.py"),
            "MOVIEREC_CODE_HOST": self.main.address,
            "MOVIEREC_CODE_PORT": str(self.ports["code"]),
            "DAGSTER_HOME": str(host.home / "dagster"),
            "DAGSTER_PG_USERNAME": SUPERUSER,
            "DAGSTER_PG_PASSWORD": PASSWORD,
            "DAGSTER_PG_HOST": self.main.address,
            "DAGSTER_PG_PORT": str(self.database.port),
            "DAGSTER_PG_DB": "dagster",
            "RAY_API_SERVER_ADDRESS": f"http://{self.main.address}:{self.ports['jobs']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_health_check_initial_delay_ms": "1000",  # a lost node is noticed within seconds
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_timeout_ms": "2000",
            "RAY_health_check_failure_threshold": "5",
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(host.home / "tmp"),
        }

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.artifacts)

    @contextmanager
    def first_host_cut_off(self) -> Iterator[None]:
        """Neither the object store nor the database answers in the body, and no connection to them ends.

        Where hosts are addresses both are stopped for it.
        """
        if self.main.namespace:
            self.main.cut_off()
            try:
                yield
            finally:
                self.main.come_back()
            return
        self.database.signal(signal.SIGSTOP)
        try:
            with self.objects.away():
                yield
        finally:
            self.database.signal(signal.SIGCONT)

    def start_dagster(self) -> None:
        dagster, code = [sys.executable, "-m", "dagster"], self.ports["code"]
        workspace = ["-w", self.main.home / "dagster" / "workspace.yaml"]
        own = ["--use-python-environment-entry-point", "-m", "movierec_assets.definitions"]
        self.main.start("code", *dagster, "api", "grpc", "-h", self.main.address, "-p", code, *own)
        self.main.start("daemon", sys.executable, "-m", "dagster._daemon", "run", *workspace)
        ui = ["-h", self.main.address, "-p", self.ports["webserver"], *workspace]
        self.main.start("webserver", sys.executable, "-m", "dagster_webserver", *ui)

    def start_ray(self, host: Host) -> psutil.Popen:
        """The head, which does no work itself, or a node of one core."""
        own = [f"--address={self.main.address}:{self.ports['ray']}", "--num-cpus=1"]
        if host is self.main:
            own = ["--head", "--num-cpus=0", f"--port={self.ports['ray']}", f"--dashboard-host={host.address}"]
            own += [f"--dashboard-port={self.ports['jobs']}", f"--ray-client-server-port={free_port()}"]
        own += [f"--dashboard-agent-listen-port={free_port()}", "--object-store-memory=80000000"]
        place = [f"--node-ip-address={host.address}", f"--temp-dir={host.home / 'ray'}"]
        again = 'until "$@"; do sleep 1; done'  # as a service would: a node that comes up too slowly gives up by itself
        return host.start(
            "ray", "sh", "-c", again, "sh", RAY, "start", "--block", "--disable-usage-stats", *own, *place
        )

    def worker_of(self, run: str) -> Host | None:
        """The host that a run went to, once it is there."""
        address = urlsplit(self.job_of(run).get("driver_agent_http_address") or "").hostname
        return next((host for host in self.workers if host.address == address), None)

    def job_of(self, run: str) -> dict[str, Any]:
        """What Ray says of a run's job; nothing before there is one."""
        jobs = (one for one in self._ray("/api/jobs/") if one["metadata"].get("dagster/run-id") == run)
        return next(jobs, {})

    def nodes(self) -> list[str]:
        """The addresses of Ray's nodes, of the head too."""
        try:
            nodes = self._ray("/nodes?view=summary")["data"]["summary"]
        except OSError:
            return []
        return [one["raylet"]["nodeManagerAddress"] for one in nodes if one["raylet"]["state"] == "ALIVE"]

    def _ray(self, path: str) -> Any:
        """What the head of Ray says."""
        url = f"{self.main.environment['RAY_API_SERVER_ADDRESS']}{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@contextmanager
def cluster_of(logs: Path, *workers: str, plugin: str = "") -> Iterator[Cluster]:
    """A cluster with no Ray and no Dagster yet; this process asks as one more host. logs: where logs are left.

    plugin: a program with models of a test's own, which every host has.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        hosts(logs, "main", *workers) as (main, *others),
        object_store_server(main.address, main.prefix) as objects,
        postgres_server(address=main.address, prefix=main.prefix) as database,
    ):
        server = ["-h", main.address, "-p", str(database.port), "-U", SUPERUSER]
        subprocess.run(["createdb", *server, "dagster"], check=True)
        ports = {name: free_port() for name in ("code", "webserver", "ray", "jobs")}
        made = Cluster(
            main, others, objects, database, f"{objects.bucket('movies')}/team", "s3://movies/checkpoints", ports
        )
        objects.bucket("logs")
        for host in (main, *others):
            (host.folder / "tmp").mkdir()
            (host.folder / "plugin.py").write_text(plugin, encoding="utf-8")
            host.environment |= made.environment(host)
        (main.folder / "dagster").mkdir()
        shutil.copy(DEPLOY / "ray" / "dagster.yaml", main.folder / "dagster")
        shutil.copy(DEPLOY / "team" / "workspace.yaml", main.folder / "dagster")
        for name, value in made.environment(main).items():
            patch.setenv(name, value.replace(str(main.home), str(main.folder)))
        patch.delenv("TMPDIR")
        yield made
