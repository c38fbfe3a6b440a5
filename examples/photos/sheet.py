"""The contact sheet: every picture that was made, as HTML and as one PNG."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

CELL, PER_ROW = 96, 12
STYLE = """
body { font: 14px system-ui, sans-serif; margin: 2rem; background: #16181d; color: #e6e6e6 }
h1 { font-weight: 600 } .figures { color: #9fd3a8 }
section { margin: 1.5rem 0 } h2 { font-size: 1rem; font-weight: 500; margin: 0 0 .4rem }
.row { display: flex; flex-wrap: wrap; gap: 6px }
figure { margin: 0; width: 112px } img { width: 112px; height: 112px; object-fit: cover; border-radius: 4px }
figcaption { font-size: 11px; color: #9aa0aa }
i { display: inline-block; width: 14px; height: 14px; border-radius: 3px }
"""


def write_html(path: Path, pictures: Sequence[str], colours: Mapping[str, Sequence[str]], figures: str) -> None:
    """`pictures` are file names `<photo>-<variant>.jpg` in the folder `pictures` beside `path`."""
    photos: dict[str, list[str]] = {}
    for name in sorted(pictures):
        photos.setdefault(name.rpartition("-")[0], []).append(name)
    sections = "".join(_section(photo, names, colours.get(photo, ())) for photo, names in photos.items())
    path.write_text(
        f"<!doctype html><meta charset=utf-8><title>Leveret: contact sheet</title><style>{STYLE}</style>"
        f"<h1>Contact sheet</h1><p class=figures>{html.escape(figures)}</p>{sections}\n"
    )


def write_png(path: Path, folder: Path, pictures: Sequence[str]) -> None:
    names = sorted(pictures)
    rows = -(-len(names) // PER_ROW)
    sheet = Image.new("RGB", (PER_ROW * CELL, max(1, rows) * CELL), "#16181d")
    for position, name in enumerate(names):
        with Image.open(folder / name) as picture:
            picture.draft("RGB", (CELL, CELL))
            picture.thumbnail((CELL - 6, CELL - 6))
            left, top = position % PER_ROW * CELL, position // PER_ROW * CELL
            sheet.paste(picture, (left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2))
    sheet.save(path)


def _section(photo: str, names: Sequence[str], colours: Sequence[str]) -> str:
    swatches = "".join(f'<i style="background:{html.escape(colour)}"></i> ' for colour in colours)
    figures = "".join(
        f'<figure><img src="pictures/{html.escape(name)}" loading=lazy>'
        f"<figcaption>{html.escape(Path(name).stem.rpartition('-')[2])}</figcaption></figure>"
        for name in names
    )
    return f"<section><h2>{html.escape(photo)} {swatches}</h2><div class=row>{figures}</div></section>"
