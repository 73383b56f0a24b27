"""`dataset_refresh` on a Ray cluster of which a node dies midway gives the tables of a run in one process."""

import json

import pytest
from ray_nodes import FATAL_BATCH
from refresh_processes import contents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NUM_PHOTOS = 6
NUM_STAGES_ON_RAY = 5


def test_a_node_is_killed_and_its_batch_is_done_by_the_other(processes, people_site, uninterrupted, tmp_path):
    data_dir = tmp_path / "data"

    done = processes.run(data_dir, people_site.url, on_ray=True, RAY_AUTH_MODE="disabled")

    assert done["exit_code"] == 0, done["said"]
    batches = [json.loads(line) for line in (tmp_path / "data.batches").read_text().splitlines()]
    lost = batches.pop(FATAL_BATCH - 1)
    assert lost["photo_ids"] in [batch["photo_ids"] for batch in batches[FATAL_BATCH - 1 : NUM_PHOTOS]]
    assert lost["node"] not in {batch["node"] for batch in batches[FATAL_BATCH - 1 :]}
    assert len(batches) >= NUM_STAGES_ON_RAY * NUM_PHOTOS
    assert contents(data_dir) == contents(uninterrupted[0])
