"""HTML pages of one file: one look for all of them, in light and dark, with the pictures inside."""

import base64
from html import escape

_STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --dim: #59636e; --line: #d1d9e0; --paper: #fff; --box: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --dim: #9198a1; --line: #3d444d; --paper: #0d1117; --box: #151b23; }
}
* { box-sizing: border-box; }
body {
  font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem;
  color: var(--text); background: var(--paper); overflow-wrap: break-word;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 1rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
img { max-width: 100%; border: 1px solid var(--line); }
table { border-collapse: collapse; }
td, th { text-align: left; vertical-align: top; padding: .2rem 1.25rem .2rem 0; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; }
figcaption, footer, .dim { color: var(--dim); }
"""


def page_start(title: str, style: str = "") -> str:
    """The page up to and including its heading, with further rules of CSS in `style`."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head><body><h1>{escape(title)}</h1>\n"
    )


PAGE_END = "</body></html>\n"
"""What closes the page that `page_start` begins."""


def picture_tag(data: bytes, content_type: str, description: str) -> str:
    """An `<img>` that holds the bytes of a picture of a type such as `image/png`."""
    encoded = base64.b64encode(data).decode()
    return f'<img loading="lazy" alt="{escape(description)}" src="data:{content_type};base64,{encoded}">'
