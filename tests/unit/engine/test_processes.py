"""Child processes: who outlives whom, what is seen of an end, what is never printed, and who comes first."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from engine import processes
from engine.processes import (
    AUDIO_PRIORITY,
    BACKGROUND_PRIORITY,
    BAND_PRIORITY,
    MIDI_PRIORITY,
    VOICE_PRIORITY,
    ChildProcess,
    ProcessEnded,
    catch_signals,
    set_priority,
)
from tests import children

ROOT = Path(__file__).resolve().parents[3]
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended; one whose parent has gone may stay in the list as a zombie."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def orphans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, psutil.Process], Path]]:
    """A child of every kind, at work, whose parent has just been killed; and what the MIDI output sent."""
    log = tmp_path_factory.mktemp("midi") / "sent"
    code = f"from tests.children import parent; parent({str(log)!r})"
    program = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    found: dict[str, psutil.Process] = {}
    try:
        assert program.stdout is not None
        found = {name: psutil.Process(pid) for name, pid in json.loads(program.stdout.readline()).items()}
        assert not [name for name, process in found.items() if has_ended(process)]
        program.kill()
        program.wait()
        yield found, log
    finally:
        program.kill()
        program.wait()
        for process in found.values():
            if not has_ended(process):
                process.kill()
        if program.stdout is not None:
            program.stdout.close()


@posix
@pytest.mark.parametrize("kind", children.KINDS)
def test_a_child_ends_when_its_parent_is_killed(kind: str, orphans: tuple[dict[str, psutil.Process], Path]) -> None:
    process = orphans[0][kind]
    end = time.monotonic() + 20.0
    while not has_ended(process) and time.monotonic() < end:
        time.sleep(0.02)
    assert has_ended(process)


@posix
def test_a_midi_output_ends_every_note_after_its_parent_was_killed(
    orphans: tuple[dict[str, psutil.Process], Path],
) -> None:
    processes_, log = orphans
    end = time.monotonic() + 20.0
    while not has_ended(processes_["midi out"]) and time.monotonic() < end:
        time.sleep(0.02)
    sent = log.read_text().split()
    assert sent.index(children.NOTE_ON) < next(at for at, each in enumerate(sent) if each.startswith(children.NOTE_OFF))


@posix
def test_a_child_that_ignores_terminate_is_killed() -> None:
    child = ChildProcess(children.ignores_terminate, name="stubborn")
    process = psutil.Process(child.pid)
    assert child.receive(30.0) == "up"
    began = time.monotonic()
    child.close(wait_s=0.05, terminate_s=0.2)
    assert 0.25 <= time.monotonic() - began < 10.0
    assert has_ended(process)


@posix
def test_a_child_is_asked_to_end_before_it_is_killed() -> None:
    child = ChildProcess(children.counts_terminates, name="polite")
    assert child.receive(30.0) == "up"
    child.stop(wait_s=0.0, terminate_s=30.0)
    assert child.receive(1.0) == "asked"
    with pytest.raises(ProcessEnded, match="code 0"):
        child.receive(1.0)
    child.close(wait_s=1.0)


def test_all_that_a_child_sent_is_received_before_its_end_is_seen_with_its_code() -> None:
    child = ChildProcess(children.answers, name="echo")
    try:
        assert child.alive
        for number in range(20):
            assert child.send(f"message {number}")
        assert child.send(7)
        assert [child.receive(30.0) for _ in range(20)] == [f"message {number}" for number in range(20)]
        with pytest.raises(ProcessEnded, match="its process ended with code 7") as ended:
            child.receive(30.0, exit_s=30.0)
        assert ended.value.code == 7
        assert not child.send("anybody there")
    finally:
        child.close(wait_s=1.0)


def test_a_child_whose_line_is_closed_ends_in_good_order() -> None:
    child = ChildProcess(children.answers, name="echo")
    assert child.send("there")
    assert child.receive(30.0) == "there"
    process = psutil.Process(child.pid)
    began = time.monotonic()
    child.close(wait_s=30.0)
    assert has_ended(process)
    assert time.monotonic() - began < 20.0


@posix
def test_ctrl_c_is_for_the_parent_alone() -> None:
    child = ChildProcess(children.answers, name="echo")
    try:
        assert child.send("up")
        assert child.receive(30.0) == "up"
        os.kill(child.pid, signal.SIGINT)
        assert child.send("still")
        assert child.receive(30.0) == "still"
    finally:
        child.close(wait_s=1.0)


@posix
@pytest.mark.parametrize("quiet", [True, False])
def test_what_a_quiet_child_prints_never_reaches_our_output(quiet: bool) -> None:
    code = f"from tests.children import hears_babble; hears_babble({quiet})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = {*done.stdout.split("\n"), *done.stderr.split("\n")} - {""}
    assert lines == ({"parent"} if quiet else {"parent", "python", "python error", "system", "c library"})


@posix
def test_signals_that_are_caught_set_an_event_and_do_nothing_else() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        caught = catch_signals(signal.SIGTERM)
        assert not caught.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert caught.wait(5.0)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(sys.platform != "linux", reason="only there threads have priorities of their own")
def test_a_thread_in_the_background_steps_back_alone() -> None:
    found: list[tuple[str, int]] = []

    def work() -> None:
        found.append((set_priority(BACKGROUND_PRIORITY), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [("nice", 5)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux orders threads")
def test_a_priority_that_is_refused_is_told_and_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    for name in ("sched_setscheduler", "setpriority", "nice"):
        monkeypatch.setattr(processes.os, name, refuse)
    for priority in (AUDIO_PRIORITY, MIDI_PRIORITY, VOICE_PRIORITY, BAND_PRIORITY):
        assert set_priority(priority) == "normal"


def test_sound_comes_before_notes_before_voices_before_background() -> None:
    order = [AUDIO_PRIORITY, MIDI_PRIORITY, VOICE_PRIORITY, BACKGROUND_PRIORITY]
    assert [each.nice for each in order] == sorted(each.nice for each in order)
    assert AUDIO_PRIORITY.realtime > MIDI_PRIORITY.realtime > VOICE_PRIORITY.realtime == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_to_the_whole_group_leaves_a_child_to_its_parent(number: int) -> None:
    """Who is stopping too ends it in good order, and does not start another in its place."""
    before = signal.signal(number, signal.SIG_DFL)  # under nohup it would be ignored, and stay so
    try:
        child = ChildProcess(echoing, name="ripieno-test")
        assert child.receive(30.0) == "ready"
    finally:
        signal.signal(number, before)
    os.kill(child.pid, number)
    assert child.send("still there")
    assert child.receive(1.0) == "still there"
    with pytest.raises(ProcessEnded) as ended:  # and alone it ends all the same
        child.receive(30.0, exit_s=10.0)
    assert ended.value.code == -number
    child.close(wait_s=1.0)


def test_signals_that_were_ignored_stay_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        catch_signals(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def echoing(line: Connection) -> None:
    """Main of a child that sends back what it is sent."""
    line.send("ready")
    while True:
        line.send(line.recv())
