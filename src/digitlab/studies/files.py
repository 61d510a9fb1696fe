"""Study files: TOML -> Study, with the line of every fault; and the built-in ones."""

import os
import re
import tomllib
from collections import Counter
from importlib import resources
from pathlib import Path

from digitlab.errors import Fault, SpecError
from digitlab.studies.study import Study

_BUILT_IN = resources.files("digitlab").joinpath("studies", "builtin")
# A name begins with a letter, and nothing follows: "[100]," is an entry of a list.
_TABLE = re.compile(r"\s*\[\s*([a-zA-Z\"'][\w.\"'-]*)\s*\]\s*(#.*)?$")
_LIST_OF_TABLES = re.compile(r"\s*\[\[\s*([a-zA-Z\"'][\w.\"'-]*)\s*\]\]\s*(#.*)?$")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


def built_in_names() -> tuple[str, ...]:
    """Names of the studies that digitlab brings along, in the order of the exercise's questions."""
    order = ("batch-lr", "train-size", "depth", "parameters")
    names = {Path(entry.name).stem for entry in _BUILT_IN.iterdir() if entry.name.endswith(".toml")}
    return (*(name for name in order if name in names), *sorted(names - set(order)))


def built_in_text(name: str) -> str:
    """The file of a built-in study.

    Raises SpecError when there is none of this name.
    """
    if name not in built_in_names():
        known = ", ".join(built_in_names())
        raise SpecError([Fault("study", name, f"is neither a file nor built in; there are {known}")])
    return _BUILT_IN.joinpath(f"{name}.toml").read_text(encoding="utf-8")


def read_study(name_or_path: str | os.PathLike[str]) -> Study:
    """A built-in study, or the one in a file (a name that ends in .toml or holds a slash is a file's).

    Raises SpecError with all faults, each with its line.
    """
    text = str(name_or_path)
    if not (text.endswith(".toml") or os.sep in text):
        return parse_study(built_in_text(text), text)
    try:
        return parse_study(Path(text).read_text(encoding="utf-8"), text)
    except OSError as error:
        problem = (
            f"cannot be read ({error.strerror}); name a TOML file, or make one with `digitlab study new`"
        )
        raise SpecError([Fault("study", text, problem)]) from None
    except UnicodeDecodeError:
        raise SpecError([Fault("study", text, "is not a text in UTF-8; name a TOML file")]) from None


def parse_study(text: str, source: str) -> Study:
    """The study that a TOML text describes; every scale of it is checked too.

    Raises SpecError with all faults, each with its line.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError([Fault("study", source, f"is no sound TOML: {error}; mend the file")]) from None
    try:
        study = Study.model_validate(document)
    except SpecError as error:
        raise SpecError([_with_line(fault, text, source) for fault in error.faults]) from None
    for scale in study.scales:
        try:
            study.at(scale)
        except SpecError as error:
            at = [
                Fault(f"scales.{scale}.{_by_name(fault.field, study)}", fault.value, fault.problem)
                for fault in error.faults
            ]
            raise SpecError([_with_line(fault, text, source) for fault in at]) from None
    return study


def _by_name(field: str, study: Study) -> str:
    """A field such as axes.1.values as a scale writes it: axes.batch_size.values."""
    first, *more = field.split(".")
    if first == "axes" and more and more[0].isdecimal():
        more[0] = study.axes[int(more[0])].name
    return ".".join([first, *more])


def _with_line(fault: Fault, text: str, source: str) -> Fault:
    line = line_of(text, fault.field)
    return Fault(f"{source}, line {line}: {fault.field}", fault.value, fault.problem)


def line_of(text: str, field: str) -> int:
    """The line, from 1, of a field such as `axes.1.values`, or of the table that should hold it."""
    wanted = field.split(".")
    best, best_length, counts = 1, 0, Counter[str]()
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if many := _LIST_OF_TABLES.match(line):
            name = _plain(many[1])
            table = [*name.split("."), str(counts[name])]
            counts[name] += 1
            path = table
        elif single := _TABLE.match(line):
            path = table = _plain(single[1]).split(".")
        elif key := _KEY.match(line):
            path = [*table, *_plain(key[1]).split(".")]
        else:
            continue
        if len(path) > best_length and path == wanted[: len(path)]:
            best, best_length = number, len(path)
    return best


def _plain(name: str) -> str:
    return name.replace('"', "").replace("'", "")
