"""Reads the facts of a manifest with their types checked: what each model's ``facts`` module is built on.

A refused fact is named with the value received, the accepted range and the remedy.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, Self

from engine.errors import ManifestError

__all__ = ["FactReader"]

_MOST: Final = 1 << 20
_SHOWN: Final = 40  # characters of a refused value


class FactReader:
    """Typed values out of a mapping of facts.

    Args:
        family: whose facts they are, for messages.
        facts: plain JSON values by name.
    """

    def __init__(self, family: str, facts: Mapping[str, Any]) -> None:
        self._family, self._facts = family, facts

    def __contains__(self, name: str) -> bool:
        return self._facts.get(name) is not None

    def whole(self, name: str, least: int = 0, most: int = _MOST, *, default: int | None = None) -> int:
        """An integer in `least`..`most`; `default`, if there is one, where the fact is missing.

        Raises:
            ManifestError: it is missing, of another type, or out of range.
        """
        value = self._value(name, default)
        if type(value) is not int or not least <= value <= most:
            raise self.refused(name, f"a whole number {least}..{most}")
        return value

    def wholes(self, name: str, least: int = 0, most: int = _MOST) -> tuple[int, ...]:
        """A list of one or more integers in `least`..`most`.

        Raises:
            ManifestError: as `whole`.
        """
        values = self._value(name)
        if (
            not isinstance(values, list)
            or not values
            or any(type(v) is not int or not least <= v <= most for v in values)
        ):
            raise self.refused(name, f"a list of whole numbers {least}..{most}")
        return tuple(values)

    def real(self, name: str, *, default: float | None = None) -> float:
        """A finite number.

        Raises:
            ManifestError: it is missing, of another type, or not finite.
        """
        value = self._value(name, default)
        if not self._is_real(value):
            raise self.refused(name, "a finite number")
        return float(value)

    def reals(self, name: str) -> tuple[float, ...]:
        """A list of one or more finite numbers.

        Raises:
            ManifestError: as `real`.
        """
        values = self._value(name)
        if not isinstance(values, list) or not values or not all(self._is_real(value) for value in values):
            raise self.refused(name, "a list of finite numbers")
        return tuple(float(value) for value in values)

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """True or false.

        Raises:
            ManifestError: it is missing, or of another type.
        """
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise self.refused(name, "true or false")
        return value

    def text(self, name: str, *, default: str | None = None, among: tuple[str, ...] = ()) -> str:
        """A text; one of `among` if that names any.

        Raises:
            ManifestError: it is missing, of another type, or not among those.
        """
        value = self._value(name, default)
        if not isinstance(value, str) or (among and value not in among):
            raise self.refused(name, f"one of {', '.join(among)}" if among else "a text")
        return value

    def texts(self, name: str, among: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of texts, perhaps empty, each once.

        Raises:
            ManifestError: as `text`, or one is there twice.
        """
        values = self._value(name)
        fits = isinstance(values, list) and all(isinstance(v, str) and (not among or v in among) for v in values)
        if not fits or len(set(values)) < len(values):
            raise self.refused(name, f"a list of some of {', '.join(among)}" if among else "a list of texts")
        return tuple(values)

    def counts(self, name: str) -> dict[str, int]:
        """Integers by name.

        Raises:
            ManifestError: it is missing, or of another type.
        """
        values = self._value(name)
        if not isinstance(values, dict) or not all(type(value) is int for value in values.values()):
            raise self.refused(name, "whole numbers by name")
        return dict(values)

    def rows(self, name: str) -> list[Self]:
        """A list of mappings, each to be read in the same way.

        Raises:
            ManifestError: it is missing, or of another type.
        """
        values = self._value(name)
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.refused(name, "a list of tables")
        return [type(self)(f"{self._family} {name}", value) for value in values]

    def refused(self, name: str, wanted: str) -> ManifestError:
        """The error that refuses a fact: what it is, what was wanted, what to do."""
        value = self._facts.get(name)
        got = "missing" if value is None else f"{str(value)[:_SHOWN]!r}"
        return ManifestError(f"{self._family}: fact '{name}' is {got}, wanted {wanted}; export the model again")

    def _value(self, name: str, default: Any = None) -> Any:
        value = self._facts.get(name)
        return default if value is None else value

    @staticmethod
    def _is_real(value: Any) -> bool:
        return type(value) in (int, float) and math.isfinite(value)
