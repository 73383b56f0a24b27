import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import limited_work as work
import psutil
import pytest

from bolid_pipeline import workers
from bolid_pipeline.errors import DownloadFailed, PhotoRefused, TookTooLong, WorkerDied
from bolid_pipeline.workers import MEMORY_BYTES, run_limited


def test_results_and_exceptions_come_back():
    assert run_limited(work.length, b"abc", seconds=5) == 3
    with pytest.raises(PhotoRefused, match=r"^photo refused: truncated$") as refused:
        run_limited(work.refuse, "truncated", seconds=5)
    assert refused.value.reason == "truncated"
    with pytest.raises(DownloadFailed, match=r"^no photo there$") as failed:
        run_limited(work.fail_to_download, seconds=5)
    assert failed.value.reason == "not_found"
    with pytest.raises(RuntimeError, match=r"^OddError: this and that$"):
        run_limited(work.fail_oddly, seconds=5)


@pytest.mark.parametrize(
    ("function", "args"),
    [(work.spin, ()), (work.hang_in_one_expression, (2_000_000_000,)), (work.sleep_for_ever, ())],
)
def test_work_without_an_end_is_stopped_at_its_limit_and_the_next_goes_on(function, args):
    run_limited(work.process_id, seconds=5)
    started = time.monotonic()
    with pytest.raises(TookTooLong, match=r"0\.1 s"):
        run_limited(function, *args, seconds=0.1)
    assert time.monotonic() - started < 5
    assert run_limited(work.length, b"abc", seconds=5) == 3


def test_a_worker_that_dies_costs_its_own_task():
    first = run_limited(work.process_id, seconds=5)
    with pytest.raises(WorkerDied, match="status -11"):
        run_limited(work.crash, seconds=5)
    assert run_limited(work.process_id, seconds=5) != first


def test_a_worker_that_was_killed_while_idle_costs_nothing():
    idle = run_limited(work.process_id, seconds=5)
    os.kill(idle, signal.SIGKILL)
    while psutil.Process(idle).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert run_limited(work.length, b"abc", seconds=5) == 3


def test_too_much_memory_is_an_exception_of_its_own_task():
    with pytest.raises(MemoryError):
        run_limited(work.allocate, MEMORY_BYTES, seconds=5)
    assert run_limited(work.allocate, MEMORY_BYTES // 2, seconds=5) == MEMORY_BYTES // 2


def test_what_a_decoder_prints_reaches_nobody(capfd):
    assert run_limited(work.print_a_lot, seconds=5) == "said"
    assert capfd.readouterr() == ("", "")


def test_threads_share_a_few_workers_and_each_gets_its_own_result():
    with ThreadPoolExecutor(20) as pool:
        lengths = pool.map(lambda n: run_limited(work.length, bytes(n), seconds=5), range(200))
        assert list(lengths) == list(range(200))
        ids = set(pool.map(lambda _: run_limited(work.process_id, 0.05, seconds=5), range(20)))
    assert 1 < len(ids) <= workers.MAX_WORKERS
    assert os.getpid() not in ids


def test_calls_one_after_the_other_use_one_worker():
    assert len({run_limited(work.process_id, seconds=5) for _ in range(5)}) == 1


def test_a_forked_process_has_workers_of_its_own():
    own = run_limited(work.process_id, seconds=5)
    answers = multiprocessing.get_context("fork").SimpleQueue()
    child = os.fork()
    if child == 0:
        answers.put(run_limited(work.process_id, seconds=5))
        workers._end_workers()
        os._exit(0)
    os.waitpid(child, 0)
    assert answers.get() != own
    assert run_limited(work.process_id, seconds=5) == own


PROGRAM = """
import sys
from bolid_pipeline.workers import run_limited
import limited_work as work
print(run_limited(work.process_id, seconds=5), flush=True)
if sys.argv[1] == "hang":
    run_limited(work.spin, seconds=1)
sys.stdin.readline()
"""


@pytest.mark.parametrize("end", ["normal", "wait", "hang"])
def test_workers_end_with_their_process_and_need_no_main_guard(end, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(PROGRAM)
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, script, end],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        worker = psutil.Process(int(process.stdout.readline()))
        if end == "normal":
            process.stdin.close()
        else:
            process.send_signal(signal.SIGKILL)
        assert process.wait() == (0 if end == "normal" else -signal.SIGKILL)
        assert process.stderr.read() == ""
    gone, _ = psutil.wait_procs([worker], timeout=10)
    assert gone
