"""The checkpoints on which edgepack and the pinned llama.cpp must agree: families, vocabularies and traps crossed.

One module a family or a kin of them; each gives RECIPES, at least two a family, one of them awkward.
"""

from importlib import import_module
from pkgutil import iter_modules

from tests.fakes.checkpoints import Recipe

RECIPES: tuple[Recipe, ...] = tuple(
    recipe
    for module in sorted(iter_modules(__path__), key=lambda module: module.name)
    for recipe in import_module(f"{__name__}.{module.name}").RECIPES
)
