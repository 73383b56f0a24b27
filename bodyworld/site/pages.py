"""The pages of the stand-in site as HTML, in the layout of theplace.

Frame and class names are those of the real site in 2022 to 2025, so that a parser of the real site works here, even by
full nth-child paths. Half of the galleries show the grid of 2022, half that of 2025. Pages are made from names, files
and sizes alone; the ground truth stays unread.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from urllib.parse import quote

PHOTOS_PER_PAGE = 12
RESIZED_WIDTH_PX = 1600
THUMBNAIL_WIDTH_PX = 200
_PAGE_WINDOW = 2
_FIRST_PHOTO_ID = 1_000_000
_NUM_POPULAR = 8

_STYLE = (
    "body{font:15px sans-serif;margin:1rem auto;max-width:70rem}img{vertical-align:top}a{margin:2px}"
    ".model-item,.p-1{display:inline-block;padding:4px;text-align:center}.name{display:block}"
    ".pic-big-box__main img{max-width:100%;height:auto}"
)


@dataclass(frozen=True, kw_only=True)
class SitePhoto:
    """A photo of a gallery: its file under the world's folder, and its number on the site."""

    gallery: str
    file: str
    number: int

    @property
    def name(self) -> str:
        """File name without folder and extension."""
        return Path(self.file).stem

    @property
    def page_path(self) -> str:
        """Path of the page that shows the photo."""
        return f"/photos/{quote(self.gallery)}/pic-{self.number}.html"

    @property
    def original_path(self) -> str:
        """Path of the original file."""
        return f"/archive/{quote(self.gallery)}/img/{quote(self.name)}.jpg"

    def resized_path(self, width_px: int) -> str:
        """Path of the file, resized to at most this width."""
        stem = self.original_path.removesuffix(".jpg")
        return f"/cache{stem}-gthumb-gwdata{width_px}-gfitdatamax.jpg"


@dataclass(frozen=True, kw_only=True)
class SiteGallery:
    """The gallery of a person, or of a film, with its photos in the order of the site."""

    slug: str
    name: str
    is_person: bool
    letter: str
    photos: tuple[SitePhoto, ...]
    has_grid_of_2022: bool

    @property
    def path(self) -> str:
        """Path of the gallery's first page, quoted."""
        return f"/photos/{quote(self.slug)}/"

    @property
    def icon_path(self) -> str:
        """Path of the gallery's icon."""
        return f"/archive/00_icons/{zlib.crc32(self.slug.encode()) % 100_000}_icon_128.jpg"

    @property
    def heading(self) -> str:
        """The name as the site shows it, marked as a theme where the gallery shows no person."""
        return self.name if self.is_person or "(" in self.name else f"{self.name} (тема)"

    @property
    def num_pages(self) -> int:
        """Number of grid pages, at least 1."""
        return max(1, -(-len(self.photos) // PHOTOS_PER_PAGE))

    def page(self, number: int) -> tuple[SitePhoto, ...]:
        """The photos on grid page `number` (from 1)."""
        return self.photos[(number - 1) * PHOTOS_PER_PAGE : number * PHOTOS_PER_PAGE]


@dataclass(frozen=True)
class SiteWorld:
    """All galleries of a world folder, in its order."""

    galleries: tuple[SiteGallery, ...]

    @cached_property
    def letters(self) -> tuple[str, ...]:
        """Letters that have galleries, Latin ones first, then Cyrillic ones."""
        return tuple(sorted({gallery.letter for gallery in self.galleries}))


def load_world(folder: Path) -> SiteWorld:
    """The galleries of a rendered world, from its `world.json`."""
    content = json.loads((folder / "world.json").read_text(encoding="utf-8"))
    seed = content.get("config", {}).get("seed", 0)
    return SiteWorld(
        tuple(
            SiteGallery(
                slug=gallery["slug"],
                name=gallery["name"],
                is_person=gallery["is_person"],
                letter=gallery["letter"].upper(),
                photos=tuple(
                    SitePhoto(
                        gallery=gallery["slug"], file=photo["file"], number=_number(seed, photo["file"])
                    )
                    for photo in gallery["photos"]
                ),
                has_grid_of_2022=index % 2 == 1,
            )
            for index, gallery in enumerate(content["galleries"])
        )
    )


def index_page(world: SiteWorld) -> str:
    """The page `/photos/`: letters in two blocks, and popular people as cards."""
    latin = "".join(_letter_link(letter) for letter in world.letters if letter.isascii())
    cyrillic = "".join(_letter_link(letter) for letter in world.letters if not letter.isascii())
    blocks = "".join(f'<div class="letters-list">{block}</div>' for block in (latin, cyrillic) if block)
    return _frame("Фото знаменитостей", _column(f"{blocks}{_cards(world.galleries[:_NUM_POPULAR])}"))


def letter_page(world: SiteWorld, letter: str) -> str:
    """The page of a letter: its people as cards."""
    return _frame(letter, _column(_cards([g for g in world.galleries if g.letter == letter])))


def letter_path(letter: str) -> str:
    """Path of the page of a letter."""
    return f"/photos/celebs/{quote(letter)}/"


def gallery_page(gallery: SiteGallery, number: int) -> str:
    """The grid page `number` (from 1) of a gallery."""
    cell = _cell_2022 if gallery.has_grid_of_2022 else _cell_2025
    grid_class = "row" if gallery.has_grid_of_2022 else "row gx-1 justify-content-center"
    cells = "".join(cell(photo) for photo in gallery.page(number))
    return _frame(
        gallery.heading,
        _column(
            f'<h1 class="my-3">{escape(gallery.heading)}</h1>'
            f'<div class="d-none d-sm-block"><p>Фото {len(gallery.photos)} шт</p></div>'
            f'<div class="{grid_class}">{cells}</div>{_pagination(gallery, number)}'
        ),
    )


def photo_page(gallery: SiteGallery, photo: SitePhoto) -> str:
    """The page of one photo, which shows the resized file."""
    picture_class = ' class="pic big_pic"' if gallery.has_grid_of_2022 else ""
    picture = f'<img{picture_class} src="{photo.resized_path(RESIZED_WIDTH_PX)}" alt="">'
    return _frame(
        gallery.heading,
        f'<div><a href="{gallery.path}">{escape(gallery.heading)}</a></div>',
        '<div><div><div class="row"><div class="col-12"><div class="pic-big-box">'
        f'<div class="pic-big-box__main"><span class="s-pic">{picture}</span></div>'
        "</div></div></div></div></div>",
    )


def _frame(title: str, *blocks: str) -> str:
    """A whole page; the blocks become the second, third ... child of the content wrapper."""
    return (
        f'<!DOCTYPE html><html lang="ru"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>"
        '<div id="vue-app"><div class="content-wrapper">'
        '<div class="top-menu"><a href="/photos/">Фото</a></div>'
        f"{''.join(blocks)}</div></div></body></html>\n"
    )


def _column(content: str) -> str:
    classes = "col-xl-9 col-lg-8 col-md-7 col-sm-12 main-col-content"
    return f'<div><div class="row"><div class="{classes}">{content}</div></div></div>'


def _letter_link(letter: str) -> str:
    return f'<a href="{letter_path(letter)}">{escape(letter)}</a>'


def _cards(galleries: Sequence[SiteGallery]) -> str:
    return f'<div class="models_list row my-5">{"".join(map(_card, galleries))}</div>'


def _card(gallery: SiteGallery) -> str:
    return (
        f'<div class="model-item"><a class="model-link" href="{gallery.path}">'
        f'<span class="ico_box"><img class="icon" src="{gallery.icon_path}" alt=""></span>'
        f'<span class="name">{escape(gallery.heading)}</span></a></div>'
    )


def _cell_2025(photo: SitePhoto) -> str:
    return f'<div class="col-auto"><a href="{photo.page_path}">{_thumbnail(photo)}</a></div>'


def _cell_2022(photo: SitePhoto) -> str:
    link = f'<a class="photos-pic-card__link" href="{photo.page_path}">{_thumbnail(photo)}</a>'
    return f'<div class="p-1"><div class="gallery-photo-card">{link}</div></div>'


def _thumbnail(photo: SitePhoto) -> str:
    return f'<img src="{photo.resized_path(THUMBNAIL_WIDTH_PX)}" loading="lazy" alt="">'


def _pagination(gallery: SiteGallery, number: int) -> str:
    """Links to the pages around this one; empty for a gallery of one page."""
    if gallery.num_pages == 1:
        return ""
    window = range(max(1, number - _PAGE_WINDOW), min(gallery.num_pages, number + _PAGE_WINDOW) + 1)
    links = (_page_link(gallery, page) for page in window if page != number)
    return f'<div class="listalka">{"".join(links)}</div>'


def _page_link(gallery: SiteGallery, number: int) -> str:
    query = f"?page={number}" if number > 1 else ""
    return f'<a href="{gallery.path}{query}">{number}</a>'


def _number(seed: int, file: str) -> int:
    """The number of a photo on the site; it does not depend on what else the world holds."""
    return _FIRST_PHOTO_ID + zlib.crc32(f"{seed}/{file}".encode())
