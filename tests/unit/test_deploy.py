"""The settings in deploy/ open the door of every service with TLS, and health for probes beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from refinery_core.serving.door import Door
from refinery_core.settings import from_environment
from refinery_local.authority import Authority

DEPLOY = Path(__file__).parents[2] / "deploy"
OURS = ("ledger_service", "resolver_service", "process_worker")
FILES = {
    "/secure/ca.pem": "ca.pem",
    "/secure/server.pem": "server.pem",
    "/secure/server.key": "server.key",
    "/secure/worker.pem": "server.pem",
    "/secure/worker.key": "server.key",
    "/tls/ca.crt": "ca.pem",
    "/tls/tls.crt": "server.pem",
    "/tls/tls.key": "server.key",
}


def documents(path: Path) -> list[Any]:
    return list(YAML(typ="safe").load_all(path))


def in_compose() -> list[dict[str, str]]:
    (compose,) = documents(DEPLOY / "compose.yaml")
    services = compose["services"].values()
    return [one["environment"] for one in services if one.get("command", [""])[-1] in OURS]


def containers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container of ours in the manifests, and the pod that it is in."""
    found = []
    for path in sorted((DEPLOY / "kubernetes/base").glob("*.yaml")):
        for document in documents(path):
            if document["kind"] == "Deployment":
                pod = document["spec"]["template"]["spec"]
                found += [(container, pod) for container in pod["containers"]]
    return found


def in_kubernetes() -> list[dict[str, str]]:
    return [
        {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
        for container, _ in containers()
    ]


@pytest.mark.parametrize("written", [*in_compose(), *in_kubernetes()], ids=lambda at: at["REFINERY_LISTEN"])
def test_every_service_starts_with_tls_on_both_sides(written: dict[str, str], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.prepare()
    authority.certificate("server", hosts=["localhost"])
    environment = {
        name: str(tmp_path / FILES[value]) if value in FILES else value for name, value in written.items()
    }
    door = from_environment(Door, environment)
    tls = door.opened()
    assert tls is not None
    assert tls.asks_back
    assert door.auth == "tls"


def test_all_three_are_looked_at() -> None:
    assert len(in_compose()) == len(in_kubernetes()) == len(OURS)


def test_a_worker_trusts_those_it_calls() -> None:
    for written in (*in_compose(), *in_kubernetes()):
        assert ("REFINERY_LEDGER" in written) == ("REFINERY_TLS_CA" in written)


def test_probes_ask_the_port_that_is_in_the_clear_and_files_are_mounted() -> None:
    for container, pod in containers():
        environment = {one["name"]: one.get("value") for one in container["env"]}
        port = int(environment["REFINERY_HEALTH_LISTEN"].rpartition(":")[2])
        probes = [container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
        assert {(probe.get("grpc") or probe.get("tcpSocket"))["port"] for probe in probes} == {port}
        assert port in {one["containerPort"] for one in container["ports"]}
        (mount,) = container["volumeMounts"]
        assert {Path(path).parent for path in map(str, environment.values()) if "/tls/" in path} == {
            Path(mount["mountPath"])
        }
        (volume,) = pod["volumes"]
        assert volume["name"] == mount["name"]
        assert "subPath" not in mount


def test_certificates_are_made_for_the_names_and_secrets_that_are_used() -> None:
    made = {
        document["spec"]["secretName"]: document["spec"].get("dnsNames", [])
        for document in documents(DEPLOY / "kubernetes/overlays/example/certificates.yaml")
        if document["kind"] == "Certificate"
    }
    for container, pod in containers():
        assert container["name"] in made[pod["volumes"][0]["secret"]["secretName"]]
