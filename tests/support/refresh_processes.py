"""Real processes that run `dataset_refresh` over small photos, and that kill themselves at a chosen moment.

Run as a program it loads what a run needs once (half a minute of imports), then forks a process for every line of JSON
on its standard input: {"data_dir", "site_url", "log", "on_ray", "environment", "kill_at": {"stage", "event",
"delay_seconds"} or null}. It answers with a line each: {"exit_code", "cpu_seconds", "stages", "said"}: the stages in
the order in which the process wrote to them, and its whole output.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ray_nodes import WatchedEngine, dying_ray_cluster

from bolid_pipeline.storage.location import Location, locate
from bolid_pipeline.storage.tables import TableStore

STAGES = (
    "identity_catalogue",
    "raw_photos",
    "watermark_scores",
    "face_detections",
    "curated_photos",
    "captions",
    "poses",
    "latents",
)


class RefreshProcesses:
    """The program's other end."""

    def __init__(self, program: "subprocess.Popen[str]") -> None:
        self._program = program

    def run(
        self,
        data_dir: Path | str,
        site_url: str,
        kill_at: dict[str, Any] | None = None,
        *,
        log: Path | None = None,
        on_ray: bool = False,
        **environment: str,
    ) -> dict[str, Any]:
        """Run one refresh in a process of its own and wait for its end."""
        order = {
            "data_dir": str(data_dir),
            "site_url": site_url,
            "log": str(log or data_dir),
            "on_ray": on_ray,
            "environment": environment,
            "kill_at": kill_at,
        }
        self._program.stdin.write(f"{json.dumps(order)}\n")
        self._program.stdin.flush()
        return json.loads(self._program.stdout.readline())


@contextmanager
def refresh_processes() -> Iterator[RefreshProcesses]:
    """The program, while the `with` lasts."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "YOLO_OFFLINE": "true"}
    command = [sys.executable, __file__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as program:
        yield RefreshProcesses(program)
        program.stdin.close()


class Killer:
    """An audit hook: SIGKILL at the n-th file operation of a stage, before it is done, or a little later.

    At the latest at the first operation of a stage that comes after it, so that the later stages are left for others.
    """

    def __init__(self, stages: Path, stage: str | None, event: int, delay_seconds: float) -> None:
        self._log = os.open(stages, os.O_WRONLY | os.O_APPEND)
        self._stage, self._event, self._delay_seconds = stage, event, delay_seconds
        self._seen: list[str] = []
        self._num_events = 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        stage = _stage_of(event, arguments)
        if stage is None:
            return
        is_later = self._stage in self._seen and stage not in self._seen
        if stage not in self._seen:
            self._seen.append(stage)
            os.write(self._log, f"{stage}\n".encode())
        if stage == self._stage:
            self._num_events += 1
            if self._num_events == self._event:
                os.write(self._log, f"{stage}\n".encode())  # the last line says where it was killed
                self._kill_soon()
        elif is_later:
            os.kill(os.getpid(), signal.SIGKILL)

    def _kill_soon(self) -> None:
        if not self._delay_seconds:
            os.kill(os.getpid(), signal.SIGKILL)
        alarm = threading.Timer(self._delay_seconds, os.kill, (os.getpid(), signal.SIGKILL))
        alarm.daemon = True
        alarm.start()


def _stage_of(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The stage whose files are written, renamed or removed; None for everything else."""
    is_write = event in ("os.rename", "os.remove") or (
        event == "open" and isinstance(arguments[1], str) and "w" in arguments[1]
    )
    if not is_write or not isinstance(arguments[0], (str, os.PathLike)):
        return None
    folders = Path(arguments[0]).parts
    if "photos" in folders:
        return "raw_photos"
    return next((folder for folder in folders if folder in STAGES), None)


def contents(data_dir: Location) -> dict[str, Any]:
    """Every table as another Parquet reader sees it, by key and without times; the photos; and what lies about."""
    tables = TableStore(data_dir)
    found: dict[str, Any] = {}
    for table in tables.names:
        if not tables.parts(table):
            continue
        key, rows = tables.schema(table).key, _read_by_others(tables.folder(table))
        times = [field.name for field in rows.schema if pa.types.is_timestamp(field.type)]
        rows = rows.drop_columns(times).sort_by(key).to_pylist()
        assert len({row[key] for row in rows}) == len(rows), f"{table} holds a row twice"
        found[table] = rows
    found["photos"] = {path.name: path.read_bytes() for path in data_dir.glob("photos/*/*")}
    found["unfinished"] = list(data_dir.rglob(".*.tmp"))
    return found


def _read_by_others(folder: Location) -> pa.Table:
    return (
        pq.read_table(folder)
        if isinstance(folder, Path)
        else pq.read_table(folder.path, filesystem=folder.fs)
    )


def _refresh(data_dir: str, site_url: str, ray: dict[str, Any] | None) -> None:
    """`dataset_refresh` with commits of two photos, one photo at a time, so that equal work gives equal bits."""
    import dagster as dg

    from bolid_pipeline.captioning.config import ClipCaptionConfig
    from bolid_pipeline.curation.config import CurationConfig
    from bolid_pipeline.definitions import STAGES as MODULES
    from resources.compute_engine import ComputeEngine
    from resources.deployments import demo
    from resources.model_hub import model_hub_of
    from resources.photo_source import WebSource
    from resources.table_store import DataStore

    feeding: dict[str, Any] = {"device": "cpu", "photos_per_batch": 1, "photos_per_commit": 2}
    deployment = demo(locate(data_dir))
    deployment = replace(
        deployment,
        crawl=replace(
            deployment.crawl,
            base_url=site_url,
            min_photos=1,
            photos_per_commit=2,
            requests_per_second=1e6,
            max_retries=0,
        ),
        curation=CurationConfig(min_side_px=64, min_photos_per_identity=1, max_watermark_prob=1.0),
        captioner=ClipCaptionConfig(num_contexts=1),
    )
    graph: list[Any] = [*dg.load_assets_from_modules(MODULES), *dg.load_asset_checks_from_modules(MODULES)]
    dg.materialize(
        graph,
        selection=dg.AssetSelection.assets("captions", "latents").upstream(),
        resources={
            "store": DataStore(data_dir=data_dir),
            "photo_source": WebSource(base_url=site_url),
            "model_hub": model_hub_of(deployment),
            "compute_engine": WatchedEngine(**feeding, **ray) if ray else ComputeEngine(**feeding),
            "deployment": deployment,
        },
    )


def _child(order: dict[str, Any], stages: Path) -> None:
    kill_at: dict[str, Any] = order["kill_at"] or {"stage": None, "event": 0, "delay_seconds": 0.0}
    sys.addaudithook(Killer(stages, **kill_at))
    try:
        os.environ.update(order["environment"])
        with dying_ray_cluster(Path(order["log"] + ".batches")) if order["on_ray"] else nullcontext() as ray:
            _refresh(order["data_dir"], order["site_url"], ray)
    except BaseException:  # noqa: BLE001 - a forked process must not go on as its parent
        traceback.print_exc()
        os._exit(1)
    if order["kill_at"]:
        time.sleep(kill_at["delay_seconds"])
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)


def _serve() -> None:
    """Fork a process per order, so that each starts with everything imported."""
    for module in (
        "definitions",
        "curation.watermark",
        "curation.people",
        "captioning.clip_attributes",
        "pose.estimator",
        "latents.stage",
    ):
        importlib.import_module(f"bolid_pipeline.{module}")
    for line in sys.stdin:
        order = json.loads(line)
        stages, output = (Path(order["log"] + suffix) for suffix in (".stages", ".output"))
        stages.write_bytes(b"")
        process = os.fork()
        if not process:
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            _child(order, stages)
        _, status, used = os.wait4(process, 0)
        answer = {
            "exit_code": os.waitstatus_to_exitcode(status),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
            "stages": stages.read_text().split(),
            "said": output.read_text(errors="replace"),
        }
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()
    os._exit(0)  # taking all the modules down again would take seconds


if __name__ == "__main__":
    _serve()
