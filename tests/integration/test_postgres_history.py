"""The history in PostgreSQL, as deploy/postgres/dagster.yaml asks for it, on a real server."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pytest
import yaml
from commands import start_command

REPOSITORY = Path(__file__).parents[2]
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
DEFINITIONS = """
import dagster as dg

@dg.asset(pool="gpu")
def greeting():
    return dg.MaterializeResult(metadata={"said": "hello"})

defs = dg.Definitions([greeting], jobs=[dg.define_asset_job("all_steps")])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """A new PostgreSQL server on loopback that wants a password: the variables that lead to it."""
    if not SERVERS:
        pytest.skip("no PostgreSQL server under /usr/lib/postgresql: apt-get install postgresql")
    commands = SERVERS[-1].parent
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with TemporaryDirectory(prefix="bolid-postgres-") as folder:
        password = Path(folder) / "password"
        password.write_text("correct horse")
        for path in (folder, password):
            if user:
                shutil.chown(path, user)
        data = Path(folder) / "data"

        def run(command: str, *arguments: str) -> None:
            subprocess.run(
                [commands / command, "--pgdata", data, *arguments],
                user=user,
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=120,
            )

        run("initdb", "--username=dagster", "--auth=scram-sha-256", f"--pwfile={password}")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "start", "--wait", "--log", f"{folder}/log", "--options", settings)
        try:
            yield {
                "DAGSTER_PG_HOST": "127.0.0.1",
                "DAGSTER_PG_PORT": port,
                "DAGSTER_PG_USERNAME": "dagster",
                "DAGSTER_PG_PASSWORD": "correct horse",
                "DAGSTER_PG_DB": "postgres",
            }
        finally:
            run("pg_ctl", "stop", "--mode=immediate")


@pytest.fixture
def project(tmp_path):
    shutil.copy(REPOSITORY / "deploy" / "postgres" / "dagster.yaml", tmp_path)
    (tmp_path / "greetings.py").write_text(DEFINITIONS)
    return tmp_path


def execute(project: Path, server: dict[str, str]):
    job = ["job", "execute", "-m", "greetings", "-j", "all_steps"]
    return start_command(project, "dagster", *job, **server, DAGSTER_HOME=str(project))


@pytest.mark.slow
def test_a_run_is_remembered_in_postgres(project, server, monkeypatch):
    with execute(project, server) as run:
        assert run.wait() == 0, run.output

    assert not list(project.rglob("*.db"))
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project)
    with dg.DagsterInstance.from_config(str(project)) as instance:
        (run,) = instance.get_runs()
        (made,) = instance.fetch_materializations(dg.AssetKey("greeting"), limit=10).records
        slots = instance.event_log_storage.get_concurrency_info("gpu")
    assert (run.job_name, run.status) == ("all_steps", dg.DagsterRunStatus.SUCCESS)
    assert made.asset_materialization.metadata["said"].value == "hello"
    assert (slots.slot_count, slots.active_slot_count) == (1, 0)


@pytest.mark.slow
def test_a_wrong_password_is_refused(project, server):
    with execute(project, {**server, "DAGSTER_PG_PASSWORD": "wrong"}) as run:
        assert run.wait() != 0
    assert "password authentication failed" in run.output


def test_the_two_instances_differ_in_their_storage_alone():
    here, there = (
        yaml.safe_load((REPOSITORY / path / "dagster.yaml").read_text()) for path in (".", "deploy/postgres")
    )
    assert here.pop("storage")["custom"]["class"] == "SqliteHistory"
    assert there.pop("storage").keys() == {"postgres"}
    assert here == there
