"""`bolid quickstart`: from a folder of your own photos to a picture of each person, by the job `full_refresh`."""

import shlex
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bolid_pipeline.cli.errors import one_line_errors
from bolid_pipeline.errors import BolidError, NotEnoughData
from bolid_pipeline.names import printable
from bolid_pipeline.overview.page import PAGE_FILE
from bolid_pipeline.overview.people import KEPT, NOT_JUDGED, DataSet
from bolid_pipeline.overview.reasons import REFUSALS, VERDICTS, Words, counted, words_for
from resources.deployments import Deployment
from resources.environment import VARIABLES_OF_THIS_PROCESS, current_deployment
from resources.own_photos import environment_for
from resources.table_store import DataStore, data_store_of

MAX_DRAWN = 24
"""Most people who are drawn."""
_CHOOSING_VARIABLES = ("BOLID_DEPLOYMENT", "BOLID_DATA_DIR", "BOLID_SETTINGS", "BOLID_WEIGHT_PINS")
_TOY = (
    "the small ones of this repository. They know drawn people only: of real photos they reject many, and what they "
    "draw is a toy. For real photos fetch published weights (docs/licences.md) and set "
    "BOLID_DEPLOYMENT=theplace_sd15 on a machine with a GPU."
)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--steps", "num_steps", type=click.IntRange(1), help="Training steps.  [default: the settings']"
)
@one_line_errors
def quickstart(folder: Path, num_steps: int | None) -> None:
    """Read your own photos, a folder per person, say which are of use and why, train, and draw each person.

    It goes on where it was stopped. The data go into ./own_data unless BOLID_DATA_DIR says otherwise; the settings
    for few photos are written into a file there, for later commands and for you to change.
    """
    again = _same_command(folder, num_steps)
    try:
        _check_folder(folder)
        environment = environment_for(folder, num_steps)
        deployment = current_deployment(environment)
        steps = _Steps(deployment, environment["BOLID_SETTINGS"])
        steps.say_settings()
        steps.run_job()
        steps.draw()
    except BolidError as error:
        raise click.ClickException(
            f"{error}\nNext: put it right, then {again}; it goes on from here."
        ) from error
    except KeyboardInterrupt as error:
        raise click.ClickException(f"stopped\nNext: {again}; it goes on from here.") from error


def _check_folder(folder: Path) -> None:
    """Refuse a folder without people."""
    if not any(entry.is_dir() and not entry.name.startswith(".") for entry in folder.iterdir()):
        raise NotEnoughData(
            f"{folder} holds no folders: make one for each person, such as {folder / 'anna'}, and put the photos in"
        )


def _same_command(folder: Path, num_steps: int | None) -> str:
    """The command that was given, with the variables that choose the data and the models."""
    given = {name: VARIABLES_OF_THIS_PROCESS.get(name) for name in _CHOOSING_VARIABLES}
    words = [f"{name}={shlex.quote(value)}" for name, value in given.items() if value]
    words += ["uv run bolid quickstart", shlex.quote(str(folder))]
    return printable(" ".join([*words, *(["--steps", str(num_steps)] if num_steps else [])]))


class _Steps:
    """The steps, each with the line that says what it did and what comes next."""

    def __init__(self, deployment: Deployment, settings_file: str) -> None:
        self._deployment = deployment
        self._settings_file = settings_file
        self._store: DataStore = data_store_of(deployment)
        self._done: dict[str, Mapping[str, Any]] = {}
        self._started = time.monotonic()

    def say_settings(self) -> None:
        """Say what was chosen, and for which models."""
        deployment = self._deployment
        _say("models", deployment.weight_repositories.get("base_model", _TOY))
        limits = deployment.curation
        text = (
            f"people with {limits.min_photos_per_identity} good photos or more, sides of {limits.min_side_px} px or "
            f"more, {deployment.training.steps} training steps; {_relative(Path(self._settings_file))}"
        )
        _say("settings", f"{text}. Next: read the photos")

    def run_job(self) -> None:
        """Run `full_refresh`, whose assets report to `_report`."""
        from bolid_pipeline.orchestration.quiet_run import hide_progress_bars, run_quietly

        if not sys.stderr.isatty():
            hide_progress_bars()
        from bolid_pipeline.definitions import definitions

        run_quietly(definitions(self._deployment).resolve_job_def("full_refresh"), self._report)

    def _report(self, asset: str, metadata: Mapping[str, Any]) -> None:
        self._done[asset] = metadata
        lines = {
            "raw_photos": self._read,
            "curated_photos": self._curated,
            "bolid_checkpoint": self._trained,
            "evaluation_report": self._evaluated,
        }
        if asset in lines:
            self._finish(*lines[asset]())
        elif asset in ("captions", "latents") and {"captions", "latents"} <= self._done.keys():
            self._finish(*self._described())

    def _read(self) -> tuple[str, str, str]:
        judged, refused = DataSet(self._store.tables).count_reasons()
        photos = self._store.tables.read("raw_photos", ["identity"])["identity"].to_pylist()
        text = (
            f"{counted(judged.total(), 'photo')} of {counted(len(set(photos)), 'person', 'people')}, "
            f"{self._done['raw_photos']['num_computed']} of them new; {counted(refused.total(), 'file')} refused"
        )
        return "read", f"{text}{_in_words(refused, REFUSALS)}", "look for people and watermarks"

    def _curated(self) -> tuple[str, str, str]:
        judged, _ = DataSet(self._store.tables).count_reasons()
        rejected = Counter({reason: n for reason, n in judged.items() if reason not in (KEPT, NOT_JUDGED)})
        people = len(set(self._store.kept_photos()["identity"].to_pylist()))
        text = (
            f"{counted(judged[KEPT], 'photo')} of {counted(people, 'person', 'people')} kept, {rejected.total()} "
            f"rejected{_in_words(rejected, VERDICTS)}; all in {_relative(self._page)}"
        )
        return (
            "curate",
            text,
            "describe what is kept" if people else "nothing, as there is nobody to train on",
        )

    def _described(self) -> tuple[str, str, str]:
        num_photos, num_new = (self._done["latents"][name] for name in ("dagster/row_count", "num_computed"))
        steps = self._deployment.training.steps
        return (
            "describe",
            f"captions, poses and latents of {num_photos} photos, {num_new} new",
            f"train {steps} steps",
        )

    def _trained(self) -> tuple[str, str, str]:
        done = self._done["bolid_checkpoint"]
        how = "trained" if done["num_computed"] else "trained before"
        text = f"{how} on {done['num_photos']} photos, {done['steps']} steps; {_relative(self._checkpoint)}"
        return "train", text, "measure what was learned"

    def _evaluated(self) -> tuple[str, str, str]:
        page = Path(self._done["evaluation_report"]["report"])
        return "measure", f"numbers and pictures in {_relative(page)}", "draw each person"

    def draw(self) -> None:
        """Draw each person of the body bank, unless this checkpoint's pictures are there."""
        from bolid_pipeline.cli.portraits import draw_people

        folder = self._store.reports / self._deployment.name / "people"
        drawn = draw_people(self._deployment, self._store, folder, MAX_DRAWN)
        person, prompt = next(iter(drawn.prompts.items()))
        size = self._deployment.evaluation
        command = (
            f"BOLID_SETTINGS={shlex.quote(str(_relative(Path(self._settings_file))))} uv run bolid generate --identity "
            f"{shlex.quote(person)} --prompt {shlex.quote(prompt)} --height {size.height_px} --width {size.width_px}"
        )
        people = counted(len(drawn.prompts), "person", "people")
        text = f"{people}, a picture each, {drawn.num_new} new; {_relative(folder)}"
        self._finish("draw", text, f"look at them, then draw what you like:\n  {command}")

    def _finish(self, step: str, text: str, next_step: str) -> None:
        seconds = time.monotonic() - self._started
        self._started = time.monotonic()
        _say(step, f"{text} ({seconds:.0f} s). Next: {next_step}")

    @property
    def _page(self) -> Path:
        return self._store.local_root / PAGE_FILE

    @property
    def _checkpoint(self) -> Path:
        return self._store.checkpoints / self._deployment.name


def _in_words(counts: Counter[str], words: Mapping[str, Words]) -> str:
    """` (several faces were found: 2; too small: 1)`; nothing where there is nothing."""
    listed = "; ".join(f"{words_for(words, reason).title}: {count}" for reason, count in counts.most_common())
    return f" ({listed})" if listed else ""


def _relative(path: Path) -> Path:
    """The path as it is typed in the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say(step: str, text: str) -> None:
    click.echo(f"{step:<9} {text}")
