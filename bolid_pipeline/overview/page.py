"""The page: counts, each reason with what to do about it, then the people, each with some pictures of every kind.

It is written person by person. Pictures are thumbnails inside the page, of which there is a bounded number for each
person and reason; the rest is counted. So 500 people of 600 photos make a page of about 20 MB, which browsers open at
once, because people are folded in and pictures are decoded only where they are seen.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

from bolid_pipeline.curation.config import CurationConfig
from bolid_pipeline.images.decoding import decode_many, encode_jpeg
from bolid_pipeline.images.drawing import thumbnail
from bolid_pipeline.images.web_page import PAGE_END, page_start, picture_tag
from bolid_pipeline.names import printable
from bolid_pipeline.overview.people import KEPT, NOT_JUDGED, DataSet, Person, Row
from bolid_pipeline.overview.reasons import REFUSALS, STATUSES, VERDICTS, Words, counted, words_for
from bolid_pipeline.settings import to_json
from bolid_pipeline.storage.atomic import write_pieces_atomically
from bolid_pipeline.storage.photos import PhotoStore

PAGE_FILE = "overview.html"

MAX_SHOWN = 6
"""Most photos and files shown for a person and a reason."""
MAX_PICTURES = 3000
"""With more groups than this allows, fewer are shown of each, and at least one."""
MAX_OPEN_PEOPLE = 12
"""With more people, they are folded in."""
_THUMBNAIL_PX = 160
_QUALITY = 72
_CODE_VERSION = "1"

_STYLE = """
details { border: 1px solid var(--line); border-radius: 8px; margin: .75rem 0; content-visibility: auto; }
summary { cursor: pointer; padding: .6rem .9rem; background: var(--box); border-radius: 8px; }
summary b { margin-right: .75rem; }
section { padding: 0 .9rem .9rem; }
h3 { font-size: 1rem; margin: 1.1rem 0 .1rem; }
p { margin: .1rem 0 .5rem; }
.reasons { list-style: none; padding: 0; }
.reasons li { display: flex; gap: .75rem; }
.reasons b { min-width: 2.5rem; text-align: right; font-variant-numeric: tabular-nums; }
.why { color: var(--text); }
.rest { margin-top: .5rem; }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .75rem; }
.photos figure { margin: 0; }
.photos img { display: block; width: 100%; height: 9rem; object-fit: contain; background: var(--box); }
.photos figcaption { font-size: .8rem; line-height: 1.35; margin-top: .25rem; }
.none { display: grid; place-items: center; height: 9rem; border: 1px dashed var(--line); border-radius: 4px; }
ul { margin: .2rem 0; padding-left: 1.2rem; }
"""
_KEPT = Words("kept", "")
_NOT_JUDGED = Words("not judged yet", "Run the job dataset_refresh.")


def write_overview(
    path: Path, data_set: DataSet, photos: PhotoStore, config: CurationConfig, source: str
) -> bool:
    """Write the page, unless it shows exactly this already; returns whether it was written.

    Args:
        path: file of the page.
        data_set: what to show.
        photos: where the pictures come from.
        config: the limits that photos must meet.
        source: where the photos come from, in words or as an address.

    Raises:
        StorageFull: there is no room.
    """
    limits = json.dumps(to_json(config), sort_keys=True)
    shown = f"<!-- {_CODE_VERSION} {data_set.digest(limits, source)} -->\n"
    if path.is_file():
        with path.open("rb") as file:
            if file.readline() == shown.encode():
                return False
    pieces = overview_html(data_set, photos, config, source)
    write_pieces_atomically(path, (piece.encode() for piece in chain([shown], pieces)))
    return True


def overview_html(
    data_set: DataSet, photos: PhotoStore, config: CurationConfig, source: str
) -> Iterator[str]:
    """The page in pieces, one for each person."""
    judged, refused = data_set.count_reasons()
    num_people = data_set.num_people
    yield page_start("What the data set holds", _STYLE)
    num_rejected = judged.total() - judged[KEPT] - judged[NOT_JUDGED]
    waiting = f", {judged[NOT_JUDGED]} not judged yet" if judged[NOT_JUDGED] else ""
    yield (
        f"<p>{counted(num_people, 'person', 'people')} from {_text(source)}: "
        f"<b>{counted(judged[KEPT], 'photo')} kept</b>, {num_rejected} rejected, "
        f"{counted(refused.total(), 'file')} refused{waiting}. "
        "A photo is listed under the first reason against it.</p>\n"
    )
    yield _list_of_reasons(judged, refused)
    yield "<h2>People</h2>\n"
    num_groups = num_people * (len(judged) or 1)
    num_shown = max(1, min(MAX_SHOWN, MAX_PICTURES // max(1, num_groups)))
    is_open = num_people <= MAX_OPEN_PEOPLE
    for person in data_set.people():
        yield _person(person, photos, config, num_shown, is_open=is_open)
    yield PAGE_END


def _list_of_reasons(judged: Mapping[str, int], refused: Mapping[str, int]) -> str:
    """Every reason that occurs, the most frequent first, with what to do about it."""
    counts = [(count, _verdict(reason)) for reason, count in judged.items() if reason != KEPT]
    counts += [(count, words_for(REFUSALS, reason)) for reason, count in refused.items()]
    items = "".join(
        f"<li><b>{count}</b><div>{escape(words.title)}<p class=dim>{escape(words.advice)}</p></div></li>\n"
        for count, words in sorted(counts, key=lambda pair: -pair[0])
    )
    return f"<h2>Reasons, and what to do</h2>\n<ul class=reasons>{items}</ul>\n" if items else ""


def _person(
    person: Person, photos: PhotoStore, config: CurationConfig, num_shown: int, *, is_open: bool
) -> str:
    counts = f"{person.num_kept} kept, {person.num_rejected} rejected, {person.num_refused} refused"
    status = words_for(STATUSES, person.status)
    facts = {**to_json(config), "num_good": len(person.photos.get("too_few_photos", ()))}
    also = f" <span class=dim>{_text(person.identity)}</span>" if person.identity != person.name else ""
    groups = [
        _photo_group(_verdict(reason), rows, photos, facts, num_shown)
        for reason, rows in sorted(person.photos.items(), key=lambda group: group[0] != KEPT)
    ]
    groups += [
        _file_group(words_for(REFUSALS, reason), rows, num_shown) for reason, rows in person.refused.items()
    ]
    note = (
        f"<p>{escape(status.title)}. <span class=dim>{escape(status.advice)}</span></p>"
        if status.title
        else ""
    )
    return (
        f"<details{' open' if is_open else ''}><summary><b>{_text(person.name)}</b>{counts}{also}</summary>"
        f"<section>{note}{''.join(groups)}</section></details>\n"
    )


def _photo_group(
    words: Words, rows: Sequence[Row], photos: PhotoStore, limits: Mapping[str, object], num_shown: int
) -> str:
    shown = rows[:num_shown]
    images = decode_many(photos.read, [row["path"] for row in shown], min_long_side_px=_THUMBNAIL_PX)
    figures: list[str] = []
    for row, image in zip(shown, images, strict=True):
        place = _place(row["page_url"])
        jpeg = None if image is None else encode_jpeg(thumbnail(image, _THUMBNAIL_PX), _QUALITY)
        picture = (
            picture_tag(jpeg, "image/jpeg", printable(place)) if jpeg else "<div class=none>no picture</div>"
        )
        why = "; ".join(_verdict(reason).about({**limits, **row}) for reason in row["reasons"] or ())
        figures.append(
            f"<figure>{picture}<figcaption>{_text(place)}<div class=why>{escape(why)}</div></figcaption></figure>"
        )
    return f"{_heading(words, len(rows))}<div class=photos>{''.join(figures)}</div>{_rest(rows, shown)}\n"


def _file_group(words: Words, rows: Sequence[Row], num_shown: int) -> str:
    shown = rows[:num_shown]
    items = [
        f"<li>{_text(_place(row['page_url']))}"
        + (f" <span class=dim>as {_text(_place(row['same_as']))}</span>" if row["same_as"] else "")
        + "</li>"
        for row in shown
    ]
    return f"{_heading(words, len(rows))}<ul>{''.join(items)}</ul>{_rest(rows, shown)}\n"


def _heading(words: Words, count: int) -> str:
    return f"<h3>{escape(words.title)}: {count}</h3><p class=dim>{escape(words.advice)}</p>"


def _rest(rows: Sequence[Row], shown: Sequence[Row]) -> str:
    return f"<p class='rest dim'>and {len(rows) - len(shown)} more</p>" if len(rows) > len(shown) else ""


def _verdict(reason: str) -> Words:
    return {KEPT: _KEPT, NOT_JUDGED: _NOT_JUDGED}.get(reason) or words_for(VERDICTS, reason)


def _place(address: str | None) -> str:
    """Where a photo comes from, as people write it: the address on the site, or the path in the folder."""
    if address is None or address.startswith(("http://", "https://")):
        return address or ""
    return unquote(address.removeprefix("file://"), errors="surrogateescape")


def _text(text: str) -> str:
    """The text for HTML, with what could not be seen shown as escapes."""
    return escape(printable(text))
