"""The layout's rules that a machine can hold: docs/adr/0001-layout.md."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import assets
import resources

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("torch", "diffusers", "transformers", "ultralytics", "lightning", "cv2", "matplotlib")


def test_loading_the_definitions_imports_nothing_heavy():
    program = f"import sys, bolid_pipeline.definitions; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_assets_and_resources_come_from_this_repository():
    for package in (assets, resources):
        assert Path(str(package.__file__)).is_relative_to(REPOSITORY)


def test_import_contracts_hold():
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_environment_is_read_in_one_place():
    readers = [
        path.relative_to(REPOSITORY).as_posix()
        for folder in ("bolid_pipeline", "assets", "resources")
        for path in (REPOSITORY / folder).rglob("*.py")
        if "BOLID_" in (text := path.read_text("utf-8")) and re.search(r"\benviron\b|\bgetenv\b", text)
    ]
    assert readers == ["resources/environment.py"]


def test_private_modules_of_dagsters_core_are_imported_only_by_the_two_classes_that_dagster_yaml_names():
    folders = ("bolid_pipeline", "bodyworld", "assets", "resources", "tests", "benchmarks")
    importers = [
        path.relative_to(REPOSITORY).as_posix()
        for folder in folders
        for path in (REPOSITORY / folder).rglob("*.py")
        if re.search(r"^\s*(from|import) dagster\._core", path.read_text("utf-8"), re.MULTILINE)
    ]
    named = re.findall(r"module: (bolid_pipeline\S+)", (REPOSITORY / "dagster.yaml").read_text("utf-8"))
    assert len(named) == 2
    assert sorted(importers) == sorted(f"{module.replace('.', '/')}.py" for module in named)


def test_every_room_of_the_domain_is_under_the_contract_about_dagster():
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (watched,) = [c["source_modules"] for c in contracts if c.get("forbidden_modules") == ["dagster"]]
    rooms = [path.stem for path in (REPOSITORY / "bolid_pipeline").iterdir() if path.name[0] != "_"]
    found = {f"bolid_pipeline.{room}" for room in rooms}
    assert found - set(watched) == {
        "bolid_pipeline.definitions",
        "bolid_pipeline.cli",
        "bolid_pipeline.orchestration",
    }


def test_the_synthetic_world_knows_six_modules_of_the_product():
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (forbidden,) = [
        c["forbidden_modules"] for c in contracts if "bodyworld.render" in c.get("source_modules", [])
    ]
    rooms = [path.stem for path in (REPOSITORY / "bolid_pipeline").iterdir() if path.name[0] != "_"]
    open_rooms = {f"bolid_pipeline.{room}" for room in rooms} - set(forbidden)
    assert open_rooms == {
        f"bolid_pipeline.{room}" for room in ("errors", "images", "names", "redaction", "settings", "pose")
    }
