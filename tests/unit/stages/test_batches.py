import os
import threading
import weakref
from contextlib import nullcontext
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
import torch

from bolid_pipeline.stages.batches import compute_here, cut, run_stage
from bolid_pipeline.stages.recipe import PhotoStage, Recipe

PHOTOS = pa.table({"photo_id": [f"{row:02d}" for row in range(20)]})


class OverlappingStage(PhotoStage[str]):
    """Computes the first batch only once the photos of the second one have been read."""

    def __init__(self):
        self.readers = set[str]()
        self.num_read = 0
        self.most_ahead = 0
        self._num_computed = 0
        self._has_read_two = threading.Event()
        self._lock = threading.Lock()

    def read(self, photo):
        with self._lock:
            self.readers.add(threading.current_thread().name)
            self.num_read += 1
            self.most_ahead = max(self.most_ahead, self.num_read - self._num_computed)
            if self.num_read == 6:
                self._has_read_two.set()
        return f"{photo['photo_id']} was read"

    def compute(self, photos, read):
        assert self._has_read_two.wait(60), "the second batch is not read while the first is computed"
        self._num_computed += photos.num_rows
        return photos.append_column("read", pa.array(read))


def test_the_next_batch_is_read_while_one_is_computed():
    stage = OverlappingStage()
    rows = pa.concat_tables(run_stage(stage, cut(PHOTOS, 3)))
    assert rows["photo_id"].equals(PHOTOS["photo_id"])
    assert rows["read"].to_pylist() == [f"{row:02d} was read" for row in range(20)]
    assert threading.current_thread().name not in stage.readers
    ahead = max(6, os.cpu_count() or 1)  # two batches wait or are being read
    assert (
        stage.most_ahead <= 3 + ahead + 1
    )  # beside the one in use and the photo whose place has just become free


def test_batches_are_of_one_size_but_for_the_last():
    assert [batch.num_rows for batch in cut(PHOTOS, 8)] == [8, 8, 4]


class MeetingStage(PhotoStage[int]):
    """Reads a photo only while another one is being read."""

    def __init__(self):
        self._meeting = threading.Barrier(2)

    def read(self, photo):
        self._meeting.wait(60)
        return len(photo)

    def compute(self, photos, read):
        assert len(read) == photos.num_rows
        return photos


def test_photos_are_read_by_several_threads_at_once(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert pa.concat_tables(run_stage(MeetingStage(), cut(PHOTOS, 4))).equals(PHOTOS)


class NetworkStage(PhotoStage[int]):
    """Has a network that holds itself in a circle, as many do."""

    def __init__(self, can_compute):
        self.network = torch.nn.Linear(2, 2)
        self.network.register_forward_pre_hook(lambda *_: self.network and None)
        self._can_compute = can_compute

    def read(self, photo):
        return len(photo)

    def compute(self, photos, read):
        if not self._can_compute:
            raise ZeroDivisionError
        assert len(read) == photos.num_rows
        return photos


@dataclass(frozen=True, kw_only=True)
class NetworkRecipe(Recipe):
    """Opens a stage only if the networks of the stages before are gone."""

    table = "poses"
    code_version = "1"

    can_compute: bool
    networks: list[weakref.ref[torch.nn.Module]] = field(default_factory=list)

    def open(self, photos, device):
        assert (photos, device) == (None, "cpu")
        assert not any(network() for network in self.networks), "another stage's network is still held"
        stage = NetworkStage(self.can_compute)
        self.networks.append(weakref.ref(stage.network))
        return stage


@pytest.mark.parametrize("can_compute", [True, False])
def test_the_networks_of_a_stage_are_gone_when_the_next_stage_comes(can_compute):
    recipe = NetworkRecipe(can_compute=can_compute)
    for _ in range(2):
        with nullcontext() if can_compute else pytest.raises(ZeroDivisionError):
            list(compute_here(recipe, None, PHOTOS, batch_size=8, device="cpu"))  # pyright: ignore[reportArgumentType]
    assert len(recipe.networks) == 2
    assert (recipe.networks[-1]() is None) == can_compute
