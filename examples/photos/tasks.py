"""The tasks: four sizes and twelve filters of a photograph, and its main colours."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter, ImageOps

from examples.photos.journal import Journal
from leveret import Leveret

OUT = Path(os.environ.get("PHOTOS_OUT", Path(__file__).parent / "out"))

app = Leveret("photos", task_default_queue="photos")
journal = Journal(OUT / "journal")

FILTERS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(6)),
    "contour": lambda image: image.filter(ImageFilter.CONTOUR),
    "edges": lambda image: ImageOps.autocontrast(image.convert("L").filter(ImageFilter.FIND_EDGES)),
    "emboss": lambda image: image.filter(ImageFilter.EMBOSS),
    "equalize": ImageOps.equalize,
    "invert": ImageOps.invert,
    "grey": lambda image: image.convert("L"),
    "median": lambda image: image.filter(ImageFilter.MedianFilter(5)),
    "posterize": lambda image: ImageOps.posterize(image, 2),
    "sepia": lambda image: ImageOps.colorize(image.convert("L"), "#1b0f05", "#fff1d6", mid="#a9794a"),
    "sharpen": lambda image: image.filter(ImageFilter.UnsharpMask(4, 200)),
    "solarize": lambda image: ImageOps.solarize(image, 110),
}
SIZES = (96, 240, 480, 800)


class StorageHiccup(Exception):
    """Stands for a network share that fails now and then."""


@app.task(bind=True)
def thumbnail(self: Any, photo: str, size: int) -> str:
    """Write the photograph at most `size` pixels wide and high."""
    with journal.run(self.request):
        return save(shrink(photo, size), photo, f"{size}px")


@app.task(bind=True, autoretry_for=(StorageHiccup,), max_retries=3, retry_backoff=1, retry_backoff_max=2)
def apply_filter(self: Any, photo: str, name: str, hiccup: bool) -> str:
    """Write the photograph as `name` changes it; with `hiccup` the first attempt fails on purpose."""
    with journal.run(self.request):
        if hiccup and self.request.retries == 0:
            raise StorageHiccup(f"injected: {photo} could not be read just now")
        return save(FILTERS[name](shrink(photo, 640)), photo, name)


@app.task(bind=True)
async def main_colours(self: Any, photo: str) -> list[str]:
    """Find the main colour of each quarter of the photograph, all four at once."""
    with journal.run(self.request):
        image = await asyncio.to_thread(shrink, photo, 480)
        middle, centre = image.width // 2, image.height // 2
        quarters = [(x, y, x + middle, y + centre) for y in (0, centre) for x in (0, middle)]
        return list(await asyncio.gather(*(asyncio.to_thread(main_colour, image.crop(box)) for box in quarters)))


def main_colour(image: Image.Image) -> str:
    counted: Any = image.quantize(8).convert("RGB").getcolors()
    _, (red, green, blue) = max(counted)
    return f"#{red:02x}{green:02x}{blue:02x}"


def shrink(photo: str, size: int) -> Image.Image:
    with Image.open(photo) as image:
        copy = ImageOps.exif_transpose(image).convert("RGB")
    copy.thumbnail((size, size), Image.Resampling.LANCZOS)
    return copy


def label(photo: str | Path) -> str:
    """What the pictures of a photograph are named after: `cat.jpg` and `cat.png` are two."""
    return Path(photo).name.replace(".", "_")


def save(image: Image.Image, photo: str, variant: str) -> str:
    """A run that is killed half-way leaves no half picture: written beside it, then moved into place."""
    path = OUT / "pictures" / f"{label(photo)}-{variant}.jpg"
    partial = path.with_suffix(f".{os.getpid()}.{time.monotonic_ns()}")
    image.save(partial, "JPEG", quality=85)
    partial.replace(path)
    return path.name
