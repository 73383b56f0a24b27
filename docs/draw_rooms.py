"""Draw the rooms of the house from its imports, into docs/architecture.md.

    uv run python docs/draw_rooms.py            # write the picture and the table
    uv run python docs/draw_rooms.py --check    # fail if they are out of date
    uv run python docs/draw_rooms.py --count    # print the numbers of rooms and arrows alone

A room is a package or a module directly below `bolid_pipeline`, or one of the other top-level packages. An arrow says
that a module of one room imports a module of another, inside functions too. Left out are what every room may use (the
errors, names as text, the small record types, the way settings are declared) and the training scripts of the synthetic
world, which are not shipped. The picture shows no arrow that follows from others: where A uses B and B uses C, an arrow
from A to C would say nothing new.
"""

import argparse
import ast
import sys
from pathlib import Path

import grimp

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs/architecture.md"
BEGIN, END = "<!-- drawn by docs/draw_rooms.py: begin -->", "<!-- end -->"
VOCABULARY = {"errors", "names", "records", "settings"}
PACKAGES = ("assets", "bodyworld", "bolid_pipeline", "resources")

Arrows = dict[str, set[str]]


def main() -> None:
    """Write, check or count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if the page is out of date"
    )
    parser.add_argument("--count", action="store_true", help="print the numbers of rooms and arrows")
    options = parser.parse_args()
    arrows = find_arrows()
    if options.count:
        print(count(arrows))
        return
    page = PAGE.read_text("utf-8")
    drawn = page[: page.index(BEGIN) + len(BEGIN)] + f"\n\n{draw(arrows)}\n" + page[page.index(END) :]
    if options.check:
        sys.exit(f"{PAGE.name} is out of date: run `make picture`" if drawn != page else 0)
    PAGE.write_text(drawn, "utf-8")


def find_arrows() -> Arrows:
    """Room -> the rooms that it imports from."""
    packages = [name for name in PACKAGES if (REPOSITORY / name).is_dir()]
    graph = grimp.build_graph(*packages, cache_dir=None)
    modules = [module for module in graph.modules if room_of(module) is not None]
    arrows: Arrows = {str(room_of(module)): set() for module in modules}
    for module in modules:
        imported = {room_of(other) for other in graph.find_modules_directly_imported_by(module)}
        arrows[str(room_of(module))] |= {room for room in imported if room is not None}
    return {room: others - {room} for room, others in sorted(arrows.items())}


def room_of(module: str) -> str | None:
    """The room that a module is in; None for what the picture leaves out."""
    package, *inside = module.split(".")
    if package == "bolid_pipeline":
        return inside[0] if inside and inside[0] not in VOCABULARY else None
    return None if package == "bodyworld" and inside[:1] == ["pretrain"] else package


def reduce(arrows: Arrows) -> Arrows:
    """The arrows that do not follow from others. Rooms import downwards only, so there is exactly one such set."""

    def reachable(room: str) -> set[str]:
        return arrows[room].union(*(reachable(other) for other in arrows[room]))

    return {
        room: others - set[str]().union(*(reachable(other) for other in others))
        for room, others in arrows.items()
    }


def count(arrows: Arrows) -> str:
    """The numbers of rooms and arrows as a sentence."""
    num_all, num_drawn = (sum(map(len, some.values())) for some in (arrows, reduce(arrows)))
    return f"{len(arrows)} rooms, {num_all} arrows, {num_drawn} of which do not follow from others"


def draw(arrows: Arrows) -> str:
    """A Mermaid graph and a table of the rooms."""
    reduced = reduce(arrows)
    lines = [f"    {room} --> {other}" for room, others in reduced.items() for other in sorted(others)]
    rows = [
        f"| `{room}` | {purpose(room)} | {', '.join(sorted(others)) or 'nothing'} |"
        for room, others in arrows.items()
    ]
    return "\n".join(
        [
            f"{count(arrows)} (`uv run python docs/draw_rooms.py --count`).",
            "",
            "```mermaid",
            "graph TD",
            *lines,
            "```",
            "",
            "| room | what it is | uses |",
            "|---|---|---|",
            *rows,
        ]
    )


def purpose(room: str) -> str:
    """The first line of the room's docstring."""
    inside = REPOSITORY / (room if (REPOSITORY / room).is_dir() else f"bolid_pipeline/{room}")
    file = inside / "__init__.py" if inside.is_dir() else inside.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return text.split("\n", maxsplit=1)[0]


if __name__ == "__main__":
    main()
