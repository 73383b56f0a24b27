"""CSS selectors on lxml trees, in time that grows with the size of the page and not with its square."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from lxml.cssselect import CSSSelector

_MAX_FRAMES = 20_000


class Selector:
    """A CSS selector: variants separated by commas, each of steps separated by blanks, without a blank around `>`.

    lxml compiles `a b` into a walk through the inside of every `a`, again and again where one lies in another. Here
    each step walks the outermost elements only, whose insides have nothing in common.
    """

    def __init__(self, css: str) -> None:
        self._css = css
        self._variants = [
            [CSSSelector(step, translator="html") for step in variant.split()] for variant in css.split(",")
        ]

    def __str__(self) -> str:
        return self._css

    def __call__(self, tree: Any) -> list[Any]:
        """The matching elements, in the page's order."""
        found = [elements for steps in self._variants if (elements := _descend(tree, steps))]
        if len(found) < 2:
            return found[0] if found else []
        matching = {element for elements in found for element in elements}
        return in_order(tree, matching)


def in_order(tree: Any, elements: set[Any]) -> list[Any]:
    """The elements in the page's order."""
    return [element for element in tree.iter() if element in elements]


def text_of(element: Any, max_chars: int) -> str:
    """The beginning of the text inside an element, its pieces separated by single blanks."""
    pieces: list[str] = []
    num_chars = 0
    for text in element.itertext():
        if piece := text.strip():
            pieces.append(piece)
            num_chars += len(piece)
        if num_chars >= max_chars:
            break
    return " ".join(pieces)[:max_chars]


def _descend(tree: Any, steps: list[CSSSelector]) -> list[Any]:
    found = [tree]
    for step in steps:
        found = [element for frame in _outermost(found) for element in step(frame) if element is not frame]
    return found


def _outermost(elements: Iterable[Any]) -> list[Any]:
    """The first 20 000 elements, but those that lie in another; they come in the page's order."""
    outer: list[Any] = []
    for element in islice(elements, _MAX_FRAMES):
        if not outer or outer[-1] not in element.iterancestors():
            outer.append(element)
    return outer
