"""`ripieno train RECIPE` or `python -m training RECIPE`: train a model from a recipe, or resume a run.

On several GPUs: `torchrun --nproc-per-node 4 -m training RECIPE`.
"""

import argparse
import importlib
import importlib.util
import logging
import pkgutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineError

if TYPE_CHECKING:
    from training.config import Recipe

__all__ = ["find_recipe", "main", "recipe_names"]

log = logging.getLogger(__name__)

_OLD_ENDING = "_told_gan"
"""Recipes that end so had this name before they ended in ``_conditioned_gan``; it is still accepted."""


def recipe_names() -> tuple[str, ...]:
    """Recipes that come with the package."""
    import training.recipes

    return tuple(module.name for module in pkgutil.iter_modules(training.recipes.__path__))


def find_recipe(name: str) -> "Recipe":
    """A recipe by name, or from a file of your own that defines RECIPE.

    Raises:
        RecipeError: there is none.
    """
    from training.config import Recipe, RecipeError

    renamed = name.removesuffix(_OLD_ENDING) + "_conditioned_gan"
    if name.endswith(_OLD_ENDING) and renamed in recipe_names():
        log.warning("the recipe %s is now called %s; please use the new name", name, renamed)
        name = renamed
    if name.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(name).stem, name)
        if spec is None or spec.loader is None or not Path(name).is_file():
            raise RecipeError(f"{name}: no such file; wanted a Python file that defines RECIPE")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    elif name in recipe_names():
        module = importlib.import_module(f"training.recipes.{name}")
    else:
        raise RecipeError(f"got recipe {name!r}, wanted one of {', '.join(recipe_names())}, or a .py file")
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"{name} does not define RECIPE: see the files in training/recipes")
    return recipe


def _list() -> None:
    for name in recipe_names():
        text = importlib.import_module(f"training.recipes.{name}").__doc__ or ""
        print(f"{name:20} {text.splitlines()[0]}")


def _evaluate(recipe: "Recipe", out: Path) -> int:
    from rich.console import Console
    from rich.table import Table

    from training.task import MeasurableTask

    if not isinstance(recipe.task, MeasurableTask):
        print(f"{type(recipe.task).__name__} is measured while it trains: see metrics.jsonl", file=sys.stderr)
        return 2
    for made in recipe.task.measure(out):
        table = Table(title=made.title, title_justify="left")
        for index, name in enumerate(made.rows[0]):
            table.add_column(name, justify="right" if index else "left")
        for row in made.rows[1:]:
            table.add_row(*row)
        Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ripieno train",
        description="Train a model from a recipe. Ctrl-C saves a checkpoint and stops. Needs the extra 'train'.",
        epilog="Example: ripieno train musika_live_autoencoder --steps 200. Recipes are files in training/recipes.",
    )
    parser.add_argument("recipe", nargs="?", help="name of a recipe, or a .py file that defines RECIPE")
    parser.add_argument("--list", action="store_true", help="list the recipes and exit")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="change a value, such as optim.lr=3e-4; repeatable",
    )
    parser.add_argument("--out", type=Path, help="folder of the run; default runs/RECIPE")
    parser.add_argument("--resume", action="store_true", help="resume from the newest checkpoint in that folder")
    parser.add_argument("--steps", type=int, help="total number of steps, instead of the recipe's")
    parser.add_argument("--until", type=int, help="save and stop after this step; the schedule is not changed")
    parser.add_argument("--evaluate", action="store_true", help="compare a finished run with simple baselines and exit")
    parser.add_argument(
        "--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="where to compute; default auto"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Exit status: 0 finished, or interrupted and saved; 1 failed; 2 wrong arguments."""
    parser = _parser()
    args = parser.parse_args(argv)
    if args.list:
        _list()
        return 0
    if args.recipe is None:
        parser.print_usage(sys.stderr)
        return 2
    logging.basicConfig(format="%(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    from training.config import RecipeError, with_values

    try:
        recipe = with_values(find_recipe(args.recipe), args.set)
        if args.steps is not None:
            recipe = replace(recipe, steps=args.steps)
        out = args.out or Path("runs") / Path(args.recipe).stem
        if args.evaluate:
            return _evaluate(recipe, out)
        from training.loop import fit

        outcome = fit(recipe, out, resume=args.resume, until=args.until, accelerator=args.device)
    except RecipeError as error:
        print(error, file=sys.stderr)
        return 2
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{outcome.step} steps done, saved in {outcome.checkpoint}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
