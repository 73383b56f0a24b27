import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from filelock import FileLock

from bolid_pipeline.errors import StoreLocked
from bolid_pipeline.storage.store_lock import hold_store, living_holder

_HOLDER = """
import sys, time
from bolid_pipeline.storage.store_lock import hold_store
with hold_store(sys.argv[1], "run 42"):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the store until it is killed."""
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_second_writer_is_told_who_the_first_one_is(tmp_path, holder):
    with pytest.raises(StoreLocked) as refused, hold_store(tmp_path, "bolid forget"):
        pytest.fail("two writers")
    said = str(refused.value)
    assert f"run 42 (process {holder.pid} on {socket.gethostname()}, since 20" in said
    assert str(tmp_path) in said


def test_a_killed_writer_holds_nothing_and_is_spoken_of(tmp_path, holder, caplog):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with hold_store(tmp_path, "run 43"):
        assert json.loads((tmp_path / ".writer.json").read_text())["pid"] == os.getpid()
    assert f"run 42 (process {holder.pid}" in caplog.text
    assert "it was killed" in caplog.text


def test_the_living_holder_is_named_and_a_killed_one_is_not(tmp_path, holder):
    assert living_holder(tmp_path) == "run 42"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert living_holder(tmp_path) is None


def test_a_look_at_a_folder_that_is_not_there_makes_none(tmp_path):
    assert living_holder(tmp_path / "data") is None
    assert not (tmp_path / "data").exists()


def test_who_looks_at_the_lock_for_a_moment_turns_no_writer_away(tmp_path):
    tmp_path.joinpath(".writer.lock").touch()
    look = FileLock(tmp_path / ".writer.lock", thread_local=False)
    look.acquire()
    threading.Timer(0.2, look.release).start()
    with hold_store(tmp_path, "run 43"):
        assert living_holder(tmp_path) == "run 43"


def test_a_store_is_given_back_after_an_error_too(tmp_path, caplog):
    with pytest.raises(RuntimeError), hold_store(tmp_path, "one"):
        raise RuntimeError
    with hold_store(tmp_path, "two"):
        pass
    assert not caplog.records


def test_two_threads_of_a_process_are_two_writers(tmp_path):
    with hold_store(tmp_path, "one"), pytest.raises(StoreLocked, match="by one"), hold_store(tmp_path, "two"):
        pytest.fail("two writers")
