import multiprocessing
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from bodyworld.render.identity import sample_identity
from bodyworld.world.photographs import PhotoOrder, PlaceOrder, take_photo
from bodyworld.world.render_farm import take_photos

PLACES = [PlaceOrder(world_seed=0, index=index) for index in range(17)]


def test_processes_take_the_photos_of_one_process_in_the_order_asked_for():
    with closing(take_photos(PLACES, num_workers=2)) as photos:
        first = [next(photos) for _ in range(3)]
    assert first == [take_photo(order) for order in PLACES[:3]]
    assert multiprocessing.active_children() == [], "leaving early ends the processes"


def test_an_error_of_a_worker_is_raised_as_it_was():
    identity = sample_identity(np.random.default_rng(0))
    order = PhotoOrder(
        identity=identity, kind="normal", world_seed=0, person=0, index=0, forced_scene={"pose": "flying"}
    )
    with pytest.raises(KeyError, match="flying"):
        list(take_photos([order] * 16, num_workers=2))
    assert multiprocessing.active_children() == []


def test_workers_load_no_torch():
    script = """
import sys
import bodyworld.world.build
print(sorted({"torch", "diffusers", "transformers", "ultralytics", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
