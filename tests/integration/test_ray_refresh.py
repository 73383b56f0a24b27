"""`dataset_refresh` on a Ray cluster of which a node dies midway gives the tables of a run in one process."""

import json

import pytest
from ray_nodes import FATAL_BATCH
from refresh_process import run_refresh
from stored import contents

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

NUM_PHOTOS = 6
NUM_STAGES_ON_RAY = 5
SETTINGS = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",  # beside other tests, workers of Ray's usual 15 would starve
}


def test_a_node_is_killed_and_its_batch_is_done_by_the_other(people_site, uninterrupted, tmp_path):
    data_dir = tmp_path / "data"

    done = run_refresh(data_dir, people_site.url, on_ray=True, environment=SETTINGS)

    assert done.exit_code == 0, done.output
    batches = [json.loads(line) for line in (tmp_path / "data.batches").read_text().splitlines()]
    lost = batches.pop(FATAL_BATCH - 1)
    assert lost["photo_ids"] in [batch["photo_ids"] for batch in batches[FATAL_BATCH - 1 : NUM_PHOTOS]]
    assert lost["node"] not in {batch["node"] for batch in batches[FATAL_BATCH - 1 :]}
    assert len(batches) >= NUM_STAGES_ON_RAY * NUM_PHOTOS
    assert contents(data_dir) == contents(uninterrupted[0])
