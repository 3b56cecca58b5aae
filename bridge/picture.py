"""A picture in the terminal that is redrawn many times a second."""

import abc
from types import TracebackType
from typing import Any, Self

__all__ = ["LivePicture"]


class LivePicture(abc.ABC):
    """Drawn from entering to leaving it, by a thread of rich's own.

    Args:
        refresh_hz: pictures a second.
    """

    def __init__(self, refresh_hz: int) -> None:
        from rich.live import Live

        self._live = Live(get_renderable=self._draw, refresh_per_second=refresh_hz, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    @abc.abstractmethod
    def _draw(self) -> Any:
        """The picture as it is now, for rich."""
