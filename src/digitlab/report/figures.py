"""Files of every picture: SVG to edit or print, PNG for slides."""

import re
from collections.abc import Sequence
from pathlib import Path

from digitlab.analysis.findings import Picture, StudyFindings
from digitlab.errors import RunError
from digitlab.files import write_whole
from digitlab.report.charts import png, svg
from digitlab.report.document import Report
from digitlab.report.examples import confusion_picture


def write_figures(source: Report | Sequence[StudyFindings], directory: Path) -> list[Path]:
    """Write SVG and PNG of every picture into a directory, which is made if it is not there.

    Each file is whole, or not there. Files are named by study and picture: `depth-accuracy.svg`. Those of
    the same name are replaced. Returns their paths. Raises RunError where they cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return _write(source, directory)
    except OSError as error:
        raise RunError(
            f"{error.filename}: the pictures cannot be written ({error.strerror}); make room there, or "
            "name a folder that you can write to"
        ) from None


def _write(source: Report | Sequence[StudyFindings], directory: Path) -> list[Path]:
    written: list[Path] = []
    for name, picture in _named(source):
        stem = _free(name, written, directory)
        for suffix, content in ((".svg", svg(picture).encode()), (".png", png(picture))):
            path = directory / f"{stem}{suffix}"
            write_whole(path, content)
            written.append(path)
    return written


def _named(source: Report | Sequence[StudyFindings]) -> list[tuple[str, Picture]]:
    studies = source.studies if isinstance(source, Report) else source
    examples = source.examples if isinstance(source, Report) else ()
    pictures = [(f"{study.name}-{picture.name}", picture) for study in studies for picture in study.pictures]
    if isinstance(source, Report):
        pictures = [(f"exercise-{picture.name}", picture) for picture in source.opening.pictures] + pictures
    return pictures + [(f"confusion-{example.key[:12]}", confusion_picture(example)) for example in examples]


def _free(name: str, written: Sequence[Path], directory: Path) -> str:
    """A file's name that is safe on every platform, and that none of the files before has."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "picture"
    stem, count = plain, 1
    while directory / f"{stem}.svg" in written:
        count += 1
        stem = f"{plain}-{count}"
    return stem
