"""`dataset_refresh`, ended at the worst moments: by SIGKILL, by a full disk, by a file cut short."""

import shutil
import signal
import subprocess

import numpy as np
import pytest
from refresh_process import run_refresh
from stage_watch import STAGES, Moment
from stored import contents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

NUM_KILLS = 20


def test_killed_twenty_times_and_finished_it_is_as_if_nothing_had_happened(
    people_site, uninterrupted, tmp_path
):
    expected, order = uninterrupted
    rng = np.random.default_rng(20)
    single_commits = ("identity_catalogue", "curated_photos")
    moments = [
        Moment(stage=stage, event=int(rng.integers(1, 3 if stage in single_commits else 5)))
        for stage in order
        for _ in range(2)
    ]
    late = rng.choice(
        [stage for stage in order if stage not in single_commits], NUM_KILLS - len(moments), replace=False
    )
    moments += [
        Moment(stage=str(stage), event=1, delay_seconds=float(rng.uniform(0.01, 0.5))) for stage in late
    ]
    moments.sort(key=lambda moment: (order.index(moment.stage), moment.delay_seconds))
    data_dir = tmp_path / "data"
    hit = set()
    for moment in moments:
        killed = run_refresh(data_dir, people_site.url, moment)
        assert killed.exit_code == -signal.SIGKILL, moment
        hit.update(killed.stages[-1:])

    assert run_refresh(data_dir, people_site.url).exit_code == 0

    assert len(moments) == NUM_KILLS
    assert hit == set(STAGES)
    assert contents(data_dir) == contents(expected)


def test_parts_that_were_cut_short_are_named_and_their_rows_made_again(people_site, uninterrupted, tmp_path):
    data_dir = tmp_path / "data"
    shutil.copytree(uninterrupted[0], data_dir)
    tables = ("raw_photos", "face_detections", "curated_photos", "latents")
    cut = [max((data_dir / "tables" / table).glob("part-*.parquet")) for table in tables]
    for part in cut:
        part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])

    done = run_refresh(data_dir, people_site.url)

    assert done.exit_code == 0
    assert [part for part in cut if f"{part} was cut short" in done.output] == cut
    assert contents(data_dir) == contents(uninterrupted[0])


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own that is soon full, and a function that makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options: str) -> subprocess.CompletedProcess[str]:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    try:
        mounted = mount("size=64k")
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder, lambda size: mount("remount", f"size={size}")
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(people_site, uninterrupted, small_disk, tmp_path):
    folder, enlarge = small_disk
    data_dir = tmp_path / "data"
    data_dir.symlink_to(folder)
    for size in ("64k", "160k"):
        enlarge(size)
        full = run_refresh(data_dir, people_site.url)
        assert full.exit_code == 1
        assert "free some and start again" in full.output

    enlarge("64m")
    assert run_refresh(data_dir, people_site.url).exit_code == 0

    assert contents(data_dir) == contents(uninterrupted[0])
