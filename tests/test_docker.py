"""The image and the compose files, as far as they can be checked without an engine."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from app.settings import Settings

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not built for this machine")
def test_the_dockerfile_passes_hadolint():
    done = subprocess.run(
        [HADOLINT, "--no-color", str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def instructions():
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def stages():
    found, name = {}, ""
    for line in instructions():
        if match := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            name = match[2]
            found[name] = [line]
        else:
            found[name].append(line)
    return found


def test_the_image_is_what_the_package_is():
    copied = {line.split()[1] for line in stages()["source"] if line.startswith("COPY") and "." not in line}
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert copied == set(wheel["packages"])
    let_in = {
        line[1:] for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert let_in == copied | {"pyproject.toml", "constraints.txt", "README.md"}
    assert "/work" not in "\n".join(path.read_text() for path in DOCKER.iterdir())


def test_it_runs_as_nobody_special_and_keeps_its_data_in_one_place():
    run = "\n".join(stages()["run"])
    assert "USER 1000" in run
    assert run.index("--owner=brushedit") < run.index("VOLUME /data")
    assert "BRUSHEDIT_DATA=/data" in run
    assert "/healthz" in run
    for target in ("cpu", "cuda"):
        assert stages()[target][0] == f"FROM run AS {target}"
        assert "[postgres,s3,otel]" in "".join(stages()[f"built-for-{target}"])
    assert list(stages())[-1] == "cpu"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def test_what_compose_names_is_there(compose):
    services, volumes = compose["services"], set(compose["volumes"])
    for name, service in services.items():
        assert set(service["profiles"]) <= {"one", "many"}, name
        assert set(service.get("depends_on", ())) <= set(services), name
        assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= volumes, name
        if "build" in service:
            assert service["build"]["target"] in stages(), name
            assert (ROOT / "docker" / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        else:
            assert re.fullmatch(r"\S+:\S+", service["image"]), name
    changed = yaml.safe_load((DOCKER / "compose.cuda.yaml").read_text())["services"]
    assert set(changed) <= set(services)
    assert all(service["build"]["target"] in stages() for service in changed.values())


def test_compose_sets_what_there_is_to_set(compose):
    known = {f"BRUSHEDIT_{name.upper()}" for name in Settings.model_fields}
    for service in compose["services"].values():
        ours = {name for name in service.get("environment", {}) if name.startswith("BRUSHEDIT_")}
        assert ours <= known
    shared = compose["services"]["api"]["environment"]
    settings = Settings(
        host=shared["BRUSHEDIT_HOST"],
        blobs_url=shared["BRUSHEDIT_BLOBS_URL"],
        database_url=shared["DATABASE_URL"],
        log=shared["BRUSHEDIT_LOG"],
    )
    assert not settings.loopback
    assert settings.sql_url.startswith("postgresql+psycopg://")
