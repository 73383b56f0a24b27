"""The checkpoint's README.md shows names as names, whatever they hold."""

import pytest
from bs4 import BeautifulSoup

from bolid_pipeline.training.model_card import model_card
from bolid_pipeline.training.presets import demo

METRICS = {"seconds": 1.0, "l_diff_first": 1.0, "l_diff_last": 0.5}


def card(*people: str, base_model: str = "base") -> str:
    return model_card(demo(), base_model=base_model, start_from=None, identities=people, metrics=METRICS)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[x](http://evil)", "\\[x\\](http://evil)"),
        ("anna_bell*", "anna\\_bell\\*"),
        ("`anna`", "\\`anna\\`"),
        ("{steps}", "\\{steps\\}"),
        ("王芳", "王芳"),
    ],
)
def test_a_name_is_text_in_the_card(name: str, shown: str) -> None:
    text = card(name)
    assert f"trained on: {shown}. Where" in text
    assert BeautifulSoup(text.partition("## Data")[2], "lxml").find_all(["script", "a"]) == []


def test_a_line_break_in_a_name_forges_no_heading() -> None:
    headings = [line for line in card("anna").splitlines() if line.startswith("#")]
    for name in ("anna\n# Safe to publish", "anna\r# Safe", "anna\u2028# Safe", "anna\x0b# Safe"):
        assert [line for line in card(name).splitlines() if line.startswith("#")] == headings


@pytest.mark.parametrize("name", ['anna", nsfw="', "```", "anna\\", "anna\n```\n# Safe", "{identity}"])
def test_the_example_in_the_card_is_python_that_names_the_person(name: str) -> None:
    code = card(name, base_model="models/`odd` <b>").partition("```python\n")[2].partition("\n```\n")[0]
    calls: list[dict[str, str]] = []

    class Drawn:
        def __init__(self, *_: str, **options: str) -> None:
            calls.append(options)
            self.images = [None]

        def __call__(self, *_: str, **options: str) -> "Drawn":
            return Drawn(**options)

    exec(code.partition("\n\n")[2], {"load_pipeline": Drawn})  # noqa: S102 - the card's own example
    assert calls == [{"base_model": "models/`odd` <b>"}, {"identity": name}]
