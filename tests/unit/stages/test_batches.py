import threading

import pyarrow as pa

from bolid_pipeline.stages.batches import cut, run_stage
from bolid_pipeline.stages.recipe import PhotoStage

PHOTOS = pa.table({"photo_id": [f"{row:02d}" for row in range(20)]})


class OverlappingStage(PhotoStage[str]):
    """Computes the first batch only once the second one has been read."""

    def __init__(self):
        self.readers = set[str]()
        self.num_read = 0
        self.most_ahead = 0
        self._num_computed = 0
        self._has_read_two = threading.Event()

    def read(self, photos):
        self.readers.add(threading.current_thread().name)
        self.num_read += 1
        self.most_ahead = max(self.most_ahead, self.num_read - self._num_computed)
        if self.num_read == 2:
            self._has_read_two.set()
        return [f"{photo_id} was read" for photo_id in photos["photo_id"].to_pylist()]

    def compute(self, photos, read):
        assert self._has_read_two.wait(60), "the second batch is not read while the first is computed"
        self._num_computed += 1
        return photos.append_column("read", pa.array(read))


def test_the_next_batch_is_read_while_one_is_computed():
    stage = OverlappingStage()
    rows = pa.concat_tables(run_stage(stage, cut(PHOTOS, 3)))
    assert rows["photo_id"].equals(PHOTOS["photo_id"])
    assert rows["read"].to_pylist() == [f"{row:02d} was read" for row in range(20)]
    assert threading.current_thread().name not in stage.readers
    assert stage.most_ahead <= 4  # the one in use, two that wait, and the one being read


def test_batches_are_of_one_size_but_for_the_last():
    assert [batch.num_rows for batch in cut(PHOTOS, 8)] == [8, 8, 4]
