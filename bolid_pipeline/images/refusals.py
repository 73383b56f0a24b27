"""The reasons for which bytes are refused as a photo, each with what it means and the way out."""

from collections.abc import Mapping

from bolid_pipeline.errors import PhotoRefused

REFUSALS: Mapping[str, str] = {
    "empty": "a file without a byte",
    "not_a_picture": "no picture at all, such as a web page or a text",
    "truncated": "cut short, or damaged inside: copy it again from where it came",
    "unsupported_type": "a type of file that is not read: convert it to JPEG or PNG",
    "too_many_pixels": "more pixels than allowed: make it smaller, or raise crawl.max_pixels",
    "too_many_scans": "a JPEG that draws itself over and over, made to keep the reader busy: save it anew",
    "took_too_long": "its decoding reached the limit of time: save it anew as JPEG or PNG",
    "too_much_memory": "its decoding reached the limit of memory: make it smaller, or save it anew",
    "crashed_decoder": "its decoding ended the decoder's process: save it anew as JPEG or PNG",
}
"""Reason -> words for people."""


def words_for(refusal: PhotoRefused) -> str:
    """What the refusal means, for a message."""
    return refusal.words or REFUSALS[refusal.reason]
