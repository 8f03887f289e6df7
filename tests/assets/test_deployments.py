"""The files of deploy/, as far as they can be checked without the machines that they are for."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = "1.33"
"""The version by whose schemas the manifests are checked; they use nothing that is newer than 1.27."""
UNITS = sorted(path.name for path in (DEPLOY / "one-machine").glob("movierec*"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_takes_the_units_and_finds_their_programs(tmp_path: Path) -> None:
    for name in UNITS:
        text = (DEPLOY / "one-machine" / name).read_text(encoding="utf-8")
        text = text.replace("/srv/movierec/venv/bin", str(Path(sys.executable).parent))
        (tmp_path / name).write_text(text.replace("/srv/movierec", str(tmp_path)), encoding="utf-8")
    assert len(UNITS) == 8
    verified = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_the_environment_of_the_services_names_what_their_commands_and_dagsters_files_ask_for() -> None:
    lines = (DEPLOY / "one-machine" / "environment.example").read_text(encoding="utf-8").splitlines()
    named = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    asked = set()
    for path in (DEPLOY / "dagster" / "team").glob("*.yaml"):
        asked |= _variables(yaml.safe_load(path.read_text(encoding="utf-8")))
    for name in UNITS:
        text = (DEPLOY / "one-machine" / name).read_text(encoding="utf-8")
        asked |= {part.partition("}")[0] for part in text.split("${")[1:]}
    assert asked == {*_postgres(), "MOVIEREC_CODE_HOST", "MOVIEREC_CODE_PORT", "DAGSTER_HOME"}
    assert asked <= named


def test_a_run_in_a_pod_is_given_all_that_its_instance_and_its_definitions_ask_for() -> None:
    """The definitions of a run make the same partitions as the code server's, which may have no such device.

    dagster-k8s takes the password from the secret that is named; the others have what their examples have.
    """
    instance = _yaml("dagster", "cluster", "dagster.yaml")
    config = instance["run_launcher"]["config"]
    assert (config["env_secrets"], bool(config["postgres_password_secret"])) == (["movierec"], True)
    given = {"DAGSTER_PG_PASSWORD", *_example("kubernetes"), *(one.partition("=")[0] for one in config["env_vars"])}
    asked = _variables({name: part for name, part in instance.items() if name != "run_launcher"})
    assert {*_postgres(), "MOVIEREC_LOGS_BUCKET"} == asked <= given
    assert {"MOVIEREC_ARTIFACTS", "MOVIEREC_CHECKPOINTS", "MOVIEREC_FEEDBACK_URL", "MOVIEREC_AUTOMATION"} <= given
    assert [set(one) for one in config["volumes"]] == [{"name", "emptyDir"}], "pods share no volume"
    assert f"MOVIEREC_LOCAL={config['volume_mounts'][0]['mountPath']}" in config["env_vars"]


def test_the_guide_names_what_the_instance_on_ray_asks_for_which_hands_ray_no_secret() -> None:
    """A node has the same environment, which its runs inherit: tests/assets/test_three_hosts.py."""
    instance = _yaml("dagster", "ray", "dagster.yaml")
    assert "env_vars" not in instance["run_launcher"]["config"]["ray"]
    guide = (DEPLOY.parent / "docs" / "guides" / "several_machines.md").read_text(encoding="utf-8")
    asked = _variables(instance)
    assert asked == {*_postgres(), "RAY_API_SERVER_ADDRESS", "MOVIEREC_LOGS_BUCKET"}
    assert [name for name in asked if f"\n{name}=" not in guide] == []
    assert instance["storage"] == _yaml("dagster", "team", "dagster.yaml")["storage"]


def test_the_files_of_compose_are_such_by_its_specification() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec",
         *(str(DEPLOY / "compose" / name) for name in ("compose.yaml", "api-host.yaml"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_container_has_more_rights_than_it_needs_and_each_says_whether_it_is_well() -> None:
    stages = _stages()
    assert stages["base"][-1].startswith("USER 10001"), "and what is made from it has no other"
    for name, service in _compose()["services"].items():
        target = service.get("build", {}).get("target") or ("dagster" if "dagster" in service["image"] else "")
        own = any(line.startswith("HEALTHCHECK") for line in stages.get(target, []))
        assert own or "healthcheck" in service, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if name != "postgres":  # whose image gives up root by itself
            assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
            assert [line for line in stages[target] if line.startswith("USER")][-1:] in ([], ["USER 10001:10001"])


def test_an_api_host_without_state_has_the_same_rights_and_nothing_but_its_variables_and_a_cache() -> None:
    (host,), usual = _yaml("compose", "api-host.yaml")["services"].values(), _compose()["services"]["api"]
    own = ("environment", "env_file", "volumes", "networks")
    assert {name: part for name, part in host.items() if name not in own} == {
        name: part for name, part in usual.items() if name not in own
    }
    assert (host["env_file"], host["volumes"]) == (["api-host.env"], [f"cache:{host['environment']['MOVIEREC_LOCAL']}"])
    named = set(_example("compose", "api-host.example"))
    assert {"MOVIEREC_ARTIFACTS", "MOVIEREC_FEEDBACK_URL", "MOVIEREC_API_KEYS"} <= named
    for stage in ("install-api", "install-dashboard", "install-dagster"):
        assert any("postgres,objectstore " in line for line in _stages()[stage]), stage


def test_kubernetes_takes_every_manifest_and_none_claims_a_volume() -> None:
    folder = DEPLOY / "kubernetes"
    files = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    manifests = [one for name in files for one in yaml.safe_load_all((folder / name).read_text(encoding="utf-8"))]
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    pods = [one["spec"]["template"]["spec"] for one in manifests if one["kind"] == "Deployment"]
    assert len(pods) == 2
    for volume in (volume for pod in pods for volume in pod.get("volumes", [])):
        assert "persistentVolumeClaim" not in volume and "hostPath" not in volume, volume["name"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")
def test_what_kustomize_makes_is_what_kubernetes_takes_and_shares_no_volume() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, text=True, check=True
    )
    manifests = list(yaml.safe_load_all(built.stdout))
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    kinds = ("Deployment", "PodDisruptionBudget", "Service")
    assert {(one["kind"], one["metadata"]["name"]) for one in manifests if one["kind"] != "NetworkPolicy"} == {
        (kind, name) for kind in kinds for name in ("movierec-api", "movierec-dashboard")
    }
    images = [
        one["spec"]["template"]["spec"]["containers"][0]["image"] for one in manifests if "replicas" in one["spec"]
    ]
    assert images == [f"registry.example.org/movierec-{name}:CHANGE-ME" for name in ("api", "dashboard")]


def test_no_secret_is_in_an_image_or_in_a_file_of_compose() -> None:
    """Each is a variable that has to be set, in an environment whose example has none that would work."""
    text = (DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8")
    for name in ("DAGSTER_PG_PASSWORD", "MOVIEREC_API_KEYS"):
        assert set(re.findall(r"\$\{" + name + r"([^}]*)\}", text)) == {":?copy environment.example to .env"}
        assert name not in (DEPLOY / "compose" / "Dockerfile").read_text(encoding="utf-8")
    assert (DEPLOY / "compose" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()[1] == "*"
    named = _example("compose")
    assert set(re.findall(r"\$\{(\w+):", text)) <= {*named, "MOVIEREC_ALERTS_WEBHOOK", "MOVIEREC_ALERTS_SLACK"}
    assert "CHANGE-ME" in named["DAGSTER_PG_PASSWORD"] and "CHANGE-ME" in named["MOVIEREC_API_KEYS"]


def test_the_images_are_made_by_the_script_that_the_wheels_test_runs() -> None:
    """tests/test_installed_wheel.py builds the wheel and runs install.sh in an empty folder."""
    runs = [line for stage in _stages().values() for line in stage if line.startswith("RUN") and "apt-get" not in line]
    assert len(runs) == 4
    assert all("pip wheel" in line or line.startswith("RUN /source/deploy/compose/install.sh ") for line in runs)


@pytest.mark.parametrize("name", ["api", "dashboard", "network"])
def test_the_manifests_are_what_kubernetes_takes(name: str) -> None:
    manifests = _manifests(name)
    assert manifests
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", ["api", "dashboard"])
def test_a_pod_has_no_rights_that_it_does_not_need_and_its_service_finds_it(name: str) -> None:
    found = {manifest["kind"]: manifest for manifest in _manifests(name)}
    template = found["Deployment"]["spec"]["template"]
    pod, (container,) = template["spec"], template["spec"]["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"readinessProbe", "livenessProbe"} <= set(container) and container["resources"]["limits"]["memory"]
    assert all(one["emptyDir"]["sizeLimit"] for one in pod["volumes"]), "each pod's own, and it cannot fill the node"
    assert container["env"][0] == {"name": "MOVIEREC_LOCAL", "value": container["volumeMounts"][0]["mountPath"]}
    secrets = [one["secretRef"]["name"] for one in container["envFrom"]]
    assert secrets == (["movierec", "movierec-api"] if name == "api" else ["movierec"]), "no key for the dashboard"
    labels = template["metadata"]["labels"].items()
    assert found["Service"]["spec"]["selector"].items() <= labels
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert found[kind]["spec"]["selector"]["matchLabels"].items() <= labels
    spec = found["Deployment"]["spec"]
    assert (spec["replicas"] > 1, spec["strategy"]["rollingUpdate"]["maxUnavailable"]) == (True, 0)


def test_the_secret_of_all_pods_has_where_everything_is_and_no_key_of_the_api() -> None:
    named = _example("kubernetes")
    assert {"MOVIEREC_ARTIFACTS", "MOVIEREC_CHECKPOINTS", "MOVIEREC_LOGS_BUCKET", "MOVIEREC_FEEDBACK_URL"} <= set(named)
    assert "MOVIEREC_API_KEYS" not in named
    ports = [one["port"] for rule in _manifests("network")[-1]["spec"]["egress"] for one in rule.get("ports", [])]
    assert {443, 5432} <= set(ports), "the dashboard reaches the object store and the database"
    values = _yaml("kubernetes", "dagster-values.yaml")
    (code,) = values["dagster-user-deployments"]["deployments"]
    runs = values["runLauncher"]["config"]["k8sRunLauncher"]
    for part in (values["dagsterWebserver"], values["dagsterDaemon"], code, runs):
        assert {"name": "movierec"} in part["envSecrets"]
    for part in (code, runs):
        assert [set(one) for one in part["volumes"]] == [{"name", "emptyDir"}]
    assert runs["envVars"] == [f"{one['name']}={one['value']}" for one in code["env"]], "a run knows the partitions"
    assert not code["includeConfigInLaunchedRuns"]["enabled"], "a run has the memory that training takes"


def test_the_kustomization_names_every_manifest_and_image() -> None:
    listed = _yaml("kubernetes", "kustomization.yaml")
    files = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert set(listed["resources"]) == files - {"kustomization.yaml", "dagster-values.yaml"}
    assert {one["name"] for one in listed["images"]} == {"movierec-api", "movierec-dashboard"}


def test_the_helm_values_make_the_instance_of_a_cluster(tmp_path: Path) -> None:
    values, cluster = _yaml("kubernetes", "dagster-values.yaml"), _yaml("dagster", "cluster", "dagster.yaml")
    daemon = values["dagsterDaemon"]
    own = {"run_coordinator": daemon["runCoordinator"]["config"]["customRunCoordinator"]}
    own |= values["additionalInstanceConfig"]
    assert own == {name: cluster[name] for name in ("concurrency", "run_coordinator")}
    assert values["computeLogManager"]["config"]["customComputeLogManager"] == cluster["compute_logs"]
    assert values["postgresql"]["postgresqlScheme"] == cluster["storage"]["postgres"]["postgres_db"]["scheme"]
    monitoring, theirs = daemon["runMonitoring"], cluster["run_monitoring"]
    assert (monitoring["startTimeoutSeconds"], monitoring["pollIntervalSeconds"]) == (
        theirs["start_timeout_seconds"], theirs["poll_interval_seconds"]
    )  # fmt: skip
    assert daemon["runRetries"]["maxRetries"] == cluster["run_retries"]["max_retries"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    assert dagster_instance_config(str(tmp_path))[0]["concurrency"] == own["concurrency"]


def _yaml(*path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DEPLOY.joinpath(*path).read_text(encoding="utf-8"))
    return loaded


def _example(folder: str, name: str = "environment.example") -> dict[str, str]:
    """Variables of an example of an environment, with their values."""
    text = (DEPLOY / folder / name).read_text(encoding="utf-8")
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def _compose() -> dict[str, Any]:
    return _yaml("compose", "compose.yaml")


def _manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8")))


def _stages() -> dict[str, list[str]]:
    """The instructions of each stage of the Dockerfile, by its name."""
    text = (DEPLOY / "compose" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    stages: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("FROM"):
            own = stages.setdefault(line.rpartition(" AS ")[2], [])
        elif line and not line.startswith(("#", "ARG PYTHON")):
            own.append(line)
    return stages


def _postgres() -> set[str]:
    return {f"DAGSTER_PG_{name}" for name in ("USERNAME", "PASSWORD", "HOST", "PORT", "DB")}


def _variables(part: object) -> set[str]:
    """The names of all `{env: NAME}`."""
    if isinstance(part, dict):
        own = {part["env"]} if isinstance(part.get("env"), str) else set()
        return own.union(*map(_variables, part.values()))
    return set().union(*map(_variables, part)) if isinstance(part, list) else set()
