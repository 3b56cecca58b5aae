"""A client that does nothing, to tell the machine's xruns from ours."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.measure.helpers.ear import jack_device
from tests.measure.helpers.jackd import Jackd, Wires

__all__ = ["Bystander"]


class Bystander:
    """A silent PortAudio client in a process of its own, on a JACK server of its own.

    Of its own, since a server tells all its clients of every xrun, whoever is to blame.

    Args:
        folder, flags: as for `Jackd`.
    """

    def __init__(self, folder: Path, flags: tuple[str, ...]) -> None:
        self._server = Jackd(folder, flags)
        self.xruns = 0

    def __enter__(self) -> Self:
        self._server.start()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.measure.helpers.quiet", self._server.name],
            env=self._server.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        if self._process.stdout is None or self._process.stdout.readline() != "ready\n":
            self._process.kill()
            self._server.stop()
            raise RuntimeError("the silent client does not run")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        said, _ = self._process.communicate("", timeout=30.0)
        self._server.stop()
        self.xruns = int(said)


def main() -> int:
    """Be silent until the input ends, then print how many xruns the server has told of."""
    import rtmixer

    with rtmixer.Mixer(device=jack_device("max_output_channels"), channels=2, latency="low", blocksize=0):
        wires = Wires(sys.argv[1])
        print("ready", flush=True)
        sys.stdin.read()
        print(wires.xruns, flush=True)
        wires.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
