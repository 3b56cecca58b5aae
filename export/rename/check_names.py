"""Both sides of a renaming must agree: no name is left over on either, and every shape is the same."""

from collections.abc import Mapping

from torch import Tensor

from export.errors import WeightsError

__all__ = ["check_names"]


def check_names(made: dict[str, Tensor], ours: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """`made` again, if it fits.

    Args:
        made: their weights under our names.
        ours: the state of a network of the right sizes: what is wanted.
        what: they are meant to be, for people: "a T5 encoder".
    Raises:
        WeightsError: a name on either side is left over, or a shape differs.
    """
    missing, left = sorted(set(ours) - set(made)), sorted(set(made) - set(ours))
    if missing or left:
        raise WeightsError(
            f"{len(missing)} weights are missing ({', '.join(missing[:3])}) and {len(left)} have no place "
            f"({', '.join(left[:3])}); is this {what} of these sizes?"
        )
    for name, value in ours.items():
        if made[name].shape != value.shape:
            raise WeightsError(f"'{name}' is {list(made[name].shape)}, wanted {list(value.shape)}; other sizes?")
    return made
