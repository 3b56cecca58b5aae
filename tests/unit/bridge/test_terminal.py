"""A lost terminal costs its lines."""

import os
import time

from bridge.terminal import TerminalLines


def test_lines_are_written_in_order() -> None:
    reader, writer = os.pipe()
    lines = TerminalLines(writer)
    for number in range(3):
        lines.write(f"line {number}")
    lines.close()
    assert os.read(reader, 100) == b"line 0\nline 1\nline 2\n"
    os.close(reader)
    os.close(writer)


def test_a_reader_that_has_stopped_or_gone_holds_nobody_up() -> None:
    reader, writer = os.pipe()
    lines = TerminalLines(writer)
    begun = time.monotonic()
    for _ in range(1000):
        lines.write("x" * 1000)
    lines.close()
    assert time.monotonic() - begun < 5.0
    os.close(reader)
    gone = TerminalLines(writer)
    gone.write("nobody reads this")
    gone.write("nor this")
    gone.close()
    assert not gone._thread.is_alive()
