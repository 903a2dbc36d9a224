import signal
import subprocess
import sys

from storage.process_lock import is_present, present


def test_there_while_any_holder_is(tmp_path):
    mark = tmp_path / "running" / "run"
    assert not is_present(mark)
    with present(mark):
        with present(mark):
            assert is_present(mark)
        assert is_present(mark)
    assert not is_present(mark)
    assert not mark.exists()


def test_gone_with_its_process(tmp_path):
    mark = tmp_path / "run"
    code = (
        "import sys, time; from pathlib import Path; from storage.process_lock import present\n"
        f"with present(Path({str(mark)!r})): print('here', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "here\n"
    assert is_present(mark)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert mark.exists()
    assert not is_present(mark)
