"""How well pictures are read: MNIST's images enlarged, photographs, rows, pictures without digits; how fast.

    python benchmarks/vision.py [--count 2000] [--only photographs rows refusals identity speed] [--from test]

Photographs are made of MNIST's test images by tests/vision/photographs.py. Writes results/vision.md and
vision.json, and two of docs/pictures: vision-steps.png, the steps of twelve, and vision-reliability.svg, of
the default model.

Whoever improves the reading looks at `--from validation`: other photographs, of training images that the
default model holds out. They are measured and printed, and nothing is written.
"""

import argparse
import io
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tables import table

PROJECT = Path(__file__).parent.parent
sys.path.insert(0, str(PROJECT))

from digitlab.data import LabelledImages, load  # noqa: E402
from digitlab.data.splits import split  # noqa: E402
from digitlab.engine.device import find_device, processor_name, usable_cores  # noqa: E402
from digitlab.prediction import Model, Prediction, chosen_model, predict  # noqa: E402
from digitlab.prediction.calibration import reliability  # noqa: E402
from digitlab.prediction.default_model import RECIPE  # noqa: E402
from digitlab.prediction.explaining import captions_of  # noqa: E402
from digitlab.report.charts import HALF, svg  # noqa: E402
from digitlab.report.reliability import reliability_picture  # noqa: E402
from digitlab.rng import stream  # noqa: E402
from digitlab.vision import decode, read_digits  # noqa: E402
from digitlab.vision.explanation import contact_sheet  # noqa: E402
from tests.vision.photographs import no_digit, photograph_of, row_of  # noqa: E402

RESULTS = Path(__file__).parent / "results"
SHEET = PROJECT / "docs" / "pictures" / "vision-steps.png"
RELIABILITY = SHEET.with_name("vision-reliability.svg")
SHOWN = 12
MEASURES = ("photographs", "identity", "rows", "refusals", "speed")
ORIGINS = {"test": 0, "validation": 3_000_000}
"""Where images come from, and the number of the first photograph that is made of them."""


def origin_images(origin: str) -> LabelledImages:
    """MNIST's test images, or those of its training images that the default model holds out."""
    mnist = load("mnist")
    if origin == "test":
        return mnist.test
    images, labels, size = mnist.train.images, mnist.train.labels, RECIPE["held_out"]
    parts = split(labels, train_size=len(labels) - size, validation_size=size, seed=RECIPE["seed"])
    return LabelledImages(images[parts.validation], labels[parts.validation])


def enlarged(image: np.ndarray, times: int, random: np.random.Generator) -> bytes:
    """A PNG of an image enlarged by repeating its pixels, somewhere on a larger black one."""
    large = image.repeat(times, 0).repeat(times, 1)
    side = 28 * times
    whole = np.zeros((side + int(random.integers(0, side)), side + int(random.integers(0, side))), np.uint8)
    top, left = (int(random.integers(0, whole.shape[i] - side + 1)) for i in (0, 1))
    whole[top : top + side, left : left + side] = large
    content = io.BytesIO()
    Image.fromarray(whole).save(content, "PNG", compress_level=1)
    return content.getvalue()


def identity(originals: LabelledImages, model: Model, count: int) -> dict[str, Any]:
    """Of enlarged images: how many come back within one grey level, and with the same class."""
    random = stream(0, "enlarged")
    images = originals.images[random.choice(len(originals), count, replace=False)]
    classes = model.network.probabilities(images).argmax(1)
    tallies: Counter[str] = Counter()
    for image, own in zip(images, classes, strict=True):
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        is_even = min(np.ptp(rows), np.ptp(columns)) % 2 == 1  # of extents, which are one more
        for times in (4, 8):
            reading = read_digits(decode(enlarged(image, times, random)))
            tallies["all"] += 1
            tallies["even"] += is_even
            if len(reading.found) != 1:
                tallies["not one"] += 1
                continue
            found = reading.found[0].image
            is_close = np.abs(found.astype(int) - image).max() <= 1
            tallies["close"] += is_close
            tallies["even and close"] += is_close and is_even
            tallies["same class"] += model.network.probabilities(found[None]).argmax() == own
    return dict(tallies)


def photographs(
    originals: LabelledImages, model: Model, count: int, first: int
) -> tuple[dict[str, Any], list[tuple[float, bool]], list[Prediction]]:
    """Of photographs of single images: how many keep their class; confidence and rightness of each."""
    order = stream(0, "photographed").permutation(len(originals))[:count]
    classes = model.network.probabilities(originals.images[order]).argmax(1)
    tallies: Counter[str] = Counter()
    sure: list[tuple[float, bool]] = []
    shown = []
    for number, (index, own) in enumerate(zip(order, classes, strict=True)):
        label = int(originals.labels[index])
        photograph = photograph_of(originals.images[index], label, first + number)
        prediction = predict(decode(photograph.content), model)
        kind = "plain" if photograph.is_plain else "shadow or lines"
        tallies[kind] += 1
        tallies[f"{kind}, itself right"] += own == label
        if len(prediction.answers) == 1:
            probabilities = np.array(prediction.answers[0].probabilities)
            likeliest = int(probabilities.argmax())
            tallies[f"{kind}, same class"] += likeliest == own
            tallies[f"{kind}, right"] += likeliest == label
            tallies[f"{kind}, told"] += prediction.answers[0].name is not None
            tallies[f"{kind}, told and right"] += prediction.answers[0].name == str(label)
            sure.append((float(probabilities.max()), likeliest == label))
        else:
            tallies[f"{kind}, none found" if not prediction.answers else f"{kind}, several found"] += 1
        if number < SHOWN:
            shown.append(prediction)
    return dict(tallies), sure, shown


def rows(originals: LabelledImages, model: Model, count: int, first: int) -> dict[str, Any]:
    """Of photographed rows of 2 to 10 digits: how many are read whole."""
    tallies: Counter[str] = Counter()
    for number in range(count):
        random = stream(first + number, "row's digits")
        length = 2 + number % 9
        chosen = random.choice(len(originals), length, replace=False)
        images, labels = originals.images[chosen], originals.labels[chosen]
        prediction = predict(decode(row_of(images, labels, first + number).content), model)
        read = [int(np.argmax(answer.probabilities)) for answer in prediction.answers]
        tallies["all"] += 1
        tallies["digits"] += length
        tallies["themselves whole"] += bool((model.probabilities(images).argmax(1) == labels).all())
        tallies["right count"] += len(read) == length
        tallies["whole"] += read == labels.tolist()
        if len(read) == length:
            tallies["digits right"] += int((np.array(read) == labels).sum())
    return dict(tallies)


def refusals(model: Model, count: int, first: int) -> dict[str, Any]:
    """Of pictures without a digit: how many are refused, by kind."""
    tallies: Counter[str] = Counter()
    for number in range(count):
        photograph = no_digit(first + number)
        prediction = predict(decode(photograph.content), model)
        kind = photograph.about.split(";")[0]
        tallies[kind] += 1
        tallies[f"{kind}, refused"] += all(answer.name is None for answer in prediction.answers)
    return dict(tallies)


def seconds(run: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each of some runs, after two that are not counted."""
    found = []
    for repeat in range(repeats + 2):
        start = time.perf_counter()
        run()
        if repeat >= 2:
            found.append(time.perf_counter() - start)
    return found


def speed(originals: LabelledImages, model: Model) -> dict[str, list[float]]:
    """Seconds from a photograph's bytes to the answer, and from 10,000 images to theirs."""
    measured = {}
    for name, size in (("1 megapixel", (1152, 864)), ("2 megapixels", (1632, 1224))):
        photograph = Image.open(io.BytesIO(photograph_of(originals.images[0], 7, 4, plain=True).content))
        content = io.BytesIO()
        photograph.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(content, "JPEG", quality=85)
        picture = content.getvalue()
        measured[f"a photograph of {name}"] = seconds(lambda: predict(decode(picture), model), 30)  # noqa: B023
    measured["10,000 images of 28 x 28"] = seconds(lambda: model.probabilities(originals.images[:10_000]), 10)
    return measured


def share(part: int, whole: int) -> str:
    """A share in per cent, with its counts."""
    return f"{100 * part / max(whole, 1):.2f} % ({part:,} of {whole:,})"


def table_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """What is claimed, and the share of cases in which it held."""
    same, row, none = Counter(found["identity"]), Counter(found["rows"]), Counter(found["refusals"])
    plain, other = "plain", "shadow or lines"
    photo = Counter(found["photographs"])

    def both(what: str = "") -> int:
        return photo[f"{plain}{what}"] + photo[f"{other}{what}"]

    kinds = sorted(kind for kind in none if not kind.endswith("refused"))
    refused = {kind: none[f"{kind}, refused"] for kind in kinds}
    enlarged = "test images enlarged 4 and 8 times and moved"
    return [
        (f"{enlarged}: within one grey level", share(same["close"], same["all"])),
        ("of these, the shorter side even", share(same["even and close"], same["even"])),
        ("the same class as before", share(same["same class"], same["all"])),
        ("photographs: the class of the image that was photographed", share(both(", same class"), both())),
        ("without shadow and lines", share(photo["plain, same class"], photo["plain"])),
        ("with shadow or lines", share(photo[f"{other}, same class"], photo[other])),
        ("photographs: right", share(both(", right"), both())),
        ("without shadow and lines", share(photo["plain, right"], photo["plain"])),
        ("with shadow or lines", share(photo[f"{other}, right"], photo[other])),
        ("the images themselves, not photographed: right", share(both(", itself right"), both())),
        ("photographs: an answer is told", share(both(", told"), both())),
        ("of these, right", share(both(", told and right"), both(", told"))),
        ("rows of 2 to 10 digits read whole", share(row["whole"], row["all"])),
        ("their images themselves, not photographed, all right", share(row["themselves whole"], row["all"])),
        ("rows cut into the right number of digits", share(row["right count"], row["all"])),
        ("pictures without a digit refused", share(sum(refused.values()), sum(none[kind] for kind in kinds))),
        *((f"of kind {kind}", share(refused[kind], none[kind])) for kind in kinds),
    ]


def page(found: dict[str, Any]) -> str:
    """All figures, as Markdown."""
    speeds = [
        (name, *(f"{1e3 * value:.0f}" for value in (statistics.median(values), min(values), max(values))))
        for name, values in found["seconds"].items()
    ]
    sure = [(n, f"{100 * mean:.1f} %", f"{100 * right:.1f} %") for n, mean, right in found["reliability"]]
    lines = [
        "# Reading pictures",
        "",
        f"{found['machine']}; default model: {found['model']}; written by `benchmarks/vision.py`.",
        "Photographs are made of MNIST's test images by `tests/vision/photographs.py`; no test image took",
        "part in training the model or in choosing a threshold.",
        "",
        *table(["what", "share"], table_rows(found)),
        "",
        "## Confidence",
        "",
        "Of single digits in photographs, in bins of equal counts; the gap between the two is "
        f"{100 * found['gap']:.2f} points on the average.",
        "",
        *table(["answers", "mean confidence", "right"], sure),
        "",
        "## Speed",
        "",
        f"Warm, milliseconds. {found['load']}",
        "",
        *table(["what", "median", "least", "most"], speeds),
        "",
    ]
    return "\n".join(lines)


def measured(name: str, count: int, origin: str) -> Any:
    """One of the measures, in a process of its own."""
    images, first, model = origin_images(origin), ORIGINS[origin], chosen_model(None, lambda *_: None, print)
    if name == "identity":
        return identity(images, model, count)
    if name == "photographs":
        return photographs(images, model, count, first)
    return rows(images, model, count, first) if name == "rows" else refusals(model, count, first)


def write(found: dict[str, Any], model: Model, shown: Sequence[Prediction]) -> None:
    """Write the figures and the pictures of docs."""
    RESULTS.joinpath("vision.json").write_text(json.dumps(found, default=int, indent=1))
    RESULTS.joinpath("vision.md").write_text(page(found))
    RELIABILITY.write_text(svg(reliability_picture(model.reliability, "10,000 held-out images"), pixels=HALF))
    if shown:
        SHEET.write_bytes(
            contact_sheet([(each.reading, captions_of(each)) for each in shown if each.reading])
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure everything and write it down, or print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="photographs")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=MEASURES, help="keep other figures")
    parser.add_argument("--from", dest="origin", choices=ORIGINS, default="test", help="whose images")
    given = parser.parse_args(arguments)
    count = given.count
    model = chosen_model(None, lambda *_: None, print)
    found: dict[str, Any] = {name: {} for name in MEASURES}
    if given.origin == "test" and set(given.only) < set(MEASURES):
        found = json.loads(RESULTS.joinpath("vision.json").read_text())
    found["machine"] = f"{processor_name(find_device('cpu'))}, {usable_cores()} cores"
    found["model"] = model.network.spec.network_name
    sizes = {"photographs": count, "identity": 3 * count // 2, "rows": count // 4, "refusals": count // 10}
    tasks = {name: size for name, size in sizes.items() if name in given.only}
    shown: list[Prediction] = []
    with ProcessPoolExecutor(max(usable_cores(), 2), get_context("spawn")) as pool:
        running = {name: pool.submit(measured, name, size, given.origin) for name, size in tasks.items()}
        if "photographs" in running:
            found["photographs"], sure, shown = running.pop("photographs").result()
            bins, found["gap"] = reliability(
                np.array([p for p, _ in sure]), np.array([r for _, r in sure]).astype(int)
            )
            found["reliability"] = [(each.count, each.confidence, each.accuracy) for each in bins]
        found |= {name: task.result() for name, task in running.items()}
    if given.origin != "test":
        lines = [row for row in table_rows(found) if not row[1].endswith(" of 0)")]
        print("\n".join(table(["what", "share"], lines)))
        return
    if "speed" in given.only:
        found["seconds"] = speed(origin_images("test"), model)
        load_average = os.getloadavg()[0]
        found["load"] = f"Programs that wanted the {usable_cores()} cores at that time: {load_average:.1f}."
    write(found, model, shown)


if __name__ == "__main__":
    main()
