"""The shipped containers name only what the repository has. No container engine is needed."""

import re
import shlex
import subprocess
import tomllib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from assets.settings import Kubernetes
from pipeline.settings import load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVICE_KEYS = {
    *("image", "build", "restart", "volumes", "environment", "depends_on", "command", "ports", "expose", "profiles"),
    "healthcheck",
    "entrypoint",
}
SECRET = re.compile("PASSWORD|SECRET|URL")


def stages() -> dict[str, list[tuple[str, str]]]:
    """The Dockerfile's stages: name -> its instructions."""
    text = "\n".join(
        line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            _image, _, name = rest.partition(" AS ")
            found[name] = []
        found[name].append((instruction, rest))
    return found


def services() -> dict[str, dict]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def values() -> dict:
    return yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())


def test_the_image_copies_what_exists_and_all_that_the_package_needs():
    copied = set()
    for name, instructions in stages().items():
        for instruction, rest in instructions:
            if instruction == "COPY":
                flags = [word for word in rest.split() if word.startswith("--")]
                sources = [word for word in rest.split() if not word.startswith("--")][:-1]
                if origin := [flag.removeprefix("--from=") for flag in flags if flag.startswith("--from=")]:
                    assert origin[0] in stages(), f"{name} copies from {origin[0]}"
                    continue
                copied |= set(sources)
    assert [source for source in copied if not (ROOT / source).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    modules = {f"{name}.py" for name in project["tool"]["setuptools"]["py-modules"]}
    assert packages | modules | {project["project"]["readme"], *project["project"]["license-files"]} <= copied


def test_the_image_installs_extras_that_exist_and_runs_as_a_user():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (DEPLOY / "Dockerfile").read_text()
    named = [name for given in re.findall(r"EXTRAS=([\w,]+)", text) for name in given.split(",")]
    assert named
    assert set(named) <= set(extras)
    assert ("USER", "reelcast") in stages()["run"]


def commands() -> list[tuple[str, str]]:
    image = [("image", rest) for instruction, rest in stages()["run"] if instruction == "CMD"]
    told = [(name, shlex.join(service["command"])) for name, service in services().items() if "command" in service]
    return [(name, text.replace("$$", "$")) for name, text in image + told]


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_program_is_installed_by_the_package(name, command):
    scripts = {script.name for script in entry_points(group="console_scripts")}
    for word in re.findall(r"\b(?:dagster[\w-]*|reelcast)\b", command):
        assert word in scripts, f"{name}: {word} is no program of an installed package"
    for module in re.findall(r"--module-name\W+([\w.]+)", command):
        assert find_spec(module)


def environments() -> list[tuple[str, dict[str, str]]]:
    found = [(name, service["environment"]) for name, service in services().items() if "reelcast" in service["image"]]
    deployment = values()["dagster-user-deployments"]["deployments"][0]
    return [*found, ("chart", {entry["name"]: entry["value"] for entry in deployment["env"]})]


@pytest.mark.parametrize(("name", "variables"), environments())
def test_every_setting_is_known_and_allowed(name, variables):
    plain = {key: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for key, value in variables.items()}
    settings = load(environment={key: value for key, value in plain.items() if key.startswith("REELCAST_")})
    if settings.dagster.storage == "postgres":
        assert settings.dagster.url_variable in variables
    graph = set(settings.kubernetes.gpus) | set(settings.kubernetes.memory_of)
    assert all(find_asset(step) for step in graph)
    assert isinstance(settings.kubernetes, Kubernetes)


def find_asset(name: str) -> bool:
    return any(path.stem == name for path in (ROOT / "assets").glob("*/*.py"))


def test_compose_has_only_keys_that_we_know_and_services_that_exist():
    found = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in services().items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service.get("depends_on", ())) <= set(services()), name
        for volume in service.get("volumes", ()):
            source = re.sub(r"\$\{.*?\}", "/given", volume).split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{name}: {source}"
            elif not source.startswith("/"):
                assert source in found["volumes"], f"{name}: {source}"
        if build := service.get("build"):
            assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()
            assert build["target"] in stages()
    assert {"webserver", "daemon", "postgres", "s3", "worker"} <= set(services())


def test_the_services_find_each_other_on_the_ports_that_they_open():
    location = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"][0]["grpc_server"]
    assert str(location["port"]) in services()[location["host"]]["expose"]
    assert f"--port {location['port']}" in shlex.join(services()[location["host"]]["command"])
    assert (
        location["location_name"]
        == tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dagster"]["code_location_name"]
    )
    host, port = services()["worker"]["environment"]["REELCAST_RAY__ADDRESS"].split(":")
    assert port in services()[host]["expose"]
    assert all(port.startswith("127.0.0.1:") for service in services().values() for port in service.get("ports", ()))


def test_passwords_stand_in_no_file():
    for name, service in services().items():
        for variable, value in service["environment"].items():
            if SECRET.search(variable) and "://" not in value:
                assert value.startswith("${"), f"{name}: {variable}"
    url = services()["worker"]["environment"]["DAGSTER_POSTGRES_URL"]
    assert ":${POSTGRES_PASSWORD" in url


def test_the_charts_values_have_only_keys_of_its_schema():
    """Keys of Dagster's chart 1.13: helm/dagster/values.schema.json in its repository."""
    given = values()
    assert set(given) <= {"dagster-user-deployments", "runLauncher", "concurrency", "telemetry", "postgresql"}
    assert set(given["postgresql"]) <= {"postgresqlScheme"}
    deployment = given["dagster-user-deployments"]["deployments"][0]
    assert set(deployment) <= {
        *("name", "image", "port", "dagsterApiGrpcArgs", "includeConfigInLaunchedRuns", "env", "envSecrets"),
        *("volumes", "volumeMounts"),
    }
    assert {"name", "image", "port", "dagsterApiGrpcArgs"} <= set(deployment)
    assert set(deployment["image"]) == {"repository", "tag", "pullPolicy"}
    assert given["runLauncher"]["type"] in {"CeleryK8sRunLauncher", "K8sRunLauncher", "CustomRunLauncher"}
    instance = yaml.safe_load((ROOT / "pipeline" / "dagster.yaml").read_text())
    assert given["concurrency"]["pools"]["defaultLimit"] == instance["concurrency"]["pools"]["default_limit"]
    assert given["concurrency"]["pools"]["granularity"] == instance["concurrency"]["pools"]["granularity"]
    assert {volume["name"] for volume in deployment["volumeMounts"]} == {v["name"] for v in deployment["volumes"]}


@pytest.mark.parametrize(("name", "variables"), environments())
def test_a_store_in_a_bucket_has_its_package_and_its_server(name, variables):
    assert variables["REELCAST_STORE__PATH"].startswith("s3://reelcast/"), name
    extras = re.findall(r"EXTRAS=([\w,]+)", (DEPLOY / "Dockerfile").read_text())
    assert all("objects" in given.split(",") for given in extras)
    if name != "chart":  # the chart's bucket is the provider's
        assert variables["AWS_ENDPOINT_URL"] == "http://s3:9000"
        assert variables["AWS_ALLOW_HTTP"] == "true"
        assert "mc mb --ignore-existing s3/reelcast" in services()["bucket"]["entrypoint"][2]


@pytest.mark.parametrize("name", ["worker", "webserver", "daemon"])
def test_the_shell_can_read_the_commands(name):
    program, flag, script = services()[name]["command"]
    assert (program, flag) == ("sh", "-c")
    subprocess.run(["sh", "-n", "-c", script.replace("$$", "$")], check=True)
