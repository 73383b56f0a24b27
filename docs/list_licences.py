"""Write the table of docs/licences.md from the registry of models (`resources/published_models.py`).

`uv run python docs/list_licences.py` writes it; with `--check` it fails if the table is out of date.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from resources.deployments import DEPLOYMENTS
from resources.published_models import PUBLISHED

PAGE = Path(__file__).parent / "licences.md"
BEGIN, END = "<!-- written by docs/list_licences.py: begin -->", "<!-- end -->"


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if the page is out of date"
    )
    options = parser.parse_args()
    page = PAGE.read_text("utf-8")
    table = "\n".join(_table())
    written = page[: page.index(BEGIN) + len(BEGIN)] + f"\n\n{table}\n\n" + page[page.index(END) :]
    if options.check:
        sys.exit(f"{PAGE.name} is out of date: run `make picture`" if written != page else 0)
    PAGE.write_text(written, "utf-8")


def _table() -> Iterator[str]:
    yield "| model | used as | by | licence | in a product | what it asks for | GB | sha256 |"
    yield "|---|---|---|---|---|---|---|---|"
    for model in PUBLISHED.values():
        licence, (roles, deployments) = model.licence, _uses(model.address)
        if licence is None:
            raise SystemExit(f"{model.address} has no licence in resources/published_models.py")
        size = "?" if model.size_bytes is None else f"{model.size_bytes / 1e9:.3f}"
        known = f"{len(model.sha256)}; {model.source}" if model.sha256 else model.source or "pin it"
        cells = (
            f"`{model.address}`",
            roles,
            deployments,
            licence.name,
            "yes" if licence.allows_products else "**no**",
            licence.conditions,
            size,
            known,
        )
        yield f"| {' | '.join(cells)} |"


def _uses(address: str) -> tuple[str, str]:
    """The roles of a model, and the deployments that name it."""
    uses = [
        (role, name)
        for name, preset in DEPLOYMENTS.items()
        for role, used in preset(Path("data")).weight_repositories.items()
        if used == address
    ]
    roles = ", ".join(f"`{role}`" for role in dict.fromkeys(role for role, _ in uses))
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(name for _, name in uses))
    return roles or "by setting", names


if __name__ == "__main__":
    main()
