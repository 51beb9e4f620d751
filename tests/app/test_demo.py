"""`brushedit demo` as it is called: against a running server, with one of its own, and where that fails."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from app.commands import demo as command
from app.pictures import read
from models.catalog import find_profile
from models.toybox.showcase import TALKS, Talk
from models.weights import lacking
from tests.server import ROOT, free_port

STUB = {"BRUSHEDIT_AGENT": "tests.stub_agent:build"}


def started(folder, **env):
    return subprocess.Popen(
        [sys.executable, "-m", "app", "demo", str(folder)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_on(folder):
    """Return the processes that were started for this folder, but for the demo's own."""
    found = []
    for process in psutil.process_iter():
        try:
            if f"{folder}/data-1" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_every_turn_is_shown(service, tmp_path, capsys):
    command.demo(tmp_path, f"http://127.0.0.1:{service.port}")
    sentences = [sentence for talk in TALKS for sentence in talk.sentences]
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.split('"')[1] for line in lines] == sentences
    assert all("0 samples outside the region" in line for line in lines)
    assert last.endswith("sheet.png")
    for talk in TALKS:
        before = read(tmp_path / f"{talk.name}-before.png").pixels
        assert np.array_equal(before, talk.picture)
        after = read(tmp_path / f"{talk.name}-after.png").pixels
        assert np.array_equal(before[0], after[0])
        assert (before[96, 128] != after[96, 128]).any()
    # The follow-up is a turn on what the first one made: the stub inverts, so twice is nearly once back.
    first, second = (read(tmp_path / f"local-{name}.png").pixels for name in ("before", "after-2"))
    assert np.abs(first.astype(int) - second).max() < 8
    height, width = first.shape[:2]
    sheet = read(tmp_path / "sheet.png").pixels
    assert sheet.shape[0] > 3 * height
    assert sheet.shape[1] > 4 * width


def test_what_the_server_says_of_a_failed_edit_is_the_reason(service, tmp_path, monkeypatch):
    said = Talk("missing", TALKS[0].scene, ("a missing thing",))
    monkeypatch.setattr("models.toybox.showcase.TALKS", (said,))
    with pytest.raises(command.DemoFailed, match='"a missing thing": target_not_found: there is no thing'):
        command.demo(tmp_path, f"http://127.0.0.1:{service.port}")


def test_an_address_where_nothing_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_READY_SECONDS", 0.5)
    with pytest.raises(command.DemoFailed, match="did not get ready"):
        command.demo(tmp_path, f"http://127.0.0.1:{free_port()}")


def test_it_starts_a_server_of_its_own_and_stops_it(tmp_path):
    run = started(tmp_path, **STUB)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert f"serve --data {tmp_path / 'data-1'}" in out
    assert (tmp_path / "sheet.png").is_file()
    assert not processes_on(tmp_path)


def test_a_worker_that_cannot_start_is_the_reason(tmp_path):
    run = started(tmp_path, BRUSHEDIT_AGENT="tests.nowhere:build")
    _, err = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "error: the server does not start: ModuleNotFoundError: No module named 'tests.nowhere'" in err
    assert not processes_on(tmp_path)


@pytest.mark.parametrize(
    "request_line",
    ["2026-11-21 14:41:07,352 INFO app.requests [4 -] GET /readyz 503", '{"time": 1, "level": "INFO"}'],
)
def test_a_request_that_is_logged_meanwhile_is_no_reason(tmp_path, request_line):
    log = tmp_path / "server.log"
    log.write_text(
        "Traceback (most recent call last):\nValueError: no such profile\n"
        f"{request_line}\n2026-11-21 14:41:07,400 ERROR app [- -] the worker 0 died with exit code 1\n"
    )
    with (
        subprocess.Popen(["true"]) as process,
        pytest.raises(command.DemoFailed, match="does not start: ValueError: no such profile"),
    ):
        command._require_alive(process, log)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_hand_it_leaves_nothing_behind(tmp_path, number):
    run = started(tmp_path, STUB_SECONDS="0.5", **STUB)
    log = tmp_path / "data-1" / "server.log"
    deadline = time.monotonic() + 90
    while not (log.is_file() and "POST /v1/sessions 201" in log.read_text()):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (server,) = processes_on(tmp_path)
    family = [server, *server.children(recursive=True)]
    run.send_signal(number)
    run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_the_toybox_edits_them_all(tmp_path):
    if missing := lacking(find_profile("toybox"), ()):
        pytest.skip(f"the toybox lacks {', '.join(missing)}")
    run = started(tmp_path)
    out, err = run.communicate(timeout=400)
    assert run.returncode == 0, err
    assert out.count(" 0 samples outside the region") == 5
    before, after = (read(tmp_path / f"local-{name}.png").pixels for name in ("before", "after"))
    # An orange cone is asked to be purple: within it, blue has to have grown and red to have fallen.
    cone = np.abs(before.astype(int) - after).max(axis=2) > 30
    assert cone.any()
    assert after[cone][:, 2].mean() > before[cone][:, 2].mean() + 30
