"""Study files: TOML -> Study, with the line of every fault; and the built-in ones."""

import os
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from digitlab.errors import Fault, SpecError, shown
from digitlab.files import read_text
from digitlab.options import flat_name, make_spec
from digitlab.studies.definition import LAST_FIRST_SEED, Study
from digitlab.studies.expansion import each_level_once
from digitlab.validation import nearest, parse_toml

_BUILT_IN = resources.files("digitlab").joinpath("studies", "builtin")
# A name begins with a letter, and nothing follows: "[100]," is an entry of a list.
_TABLE = re.compile(r"\s*\[\s*([a-zA-Z\"'][\w.\"'-]*)\s*\]\s*(#.*)?$")
_LIST_OF_TABLES = re.compile(r"\s*\[\[\s*([a-zA-Z\"'][\w.\"'-]*)\s*\]\]\s*(#.*)?$")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")


OBSERVATIONS = ("batch-lr", "train-size", "depth", "parameters")
"""Names of the built-in studies that make the exercise's observations, in its order."""


def built_in_names() -> tuple[str, ...]:
    """Names of the studies that digitlab brings along, those of the exercise's observations first."""
    names = {Path(entry.name).stem for entry in _BUILT_IN.iterdir() if entry.name.endswith(".toml")}
    return (*OBSERVATIONS, *sorted(names - set(OBSERVATIONS)))


def built_in_text(name: str) -> str:
    """The file of a built-in study.

    Raises SpecError when there is none of this name.
    """
    if name not in built_in_names():
        problem = f"is neither a file nor built in; {nearest(name, built_in_names())}"
        raise SpecError([Fault("study", name, problem)])
    return _BUILT_IN.joinpath(f"{name}.toml").read_text(encoding="utf-8")


def read_study(name_or_path: str | os.PathLike[str]) -> Study:
    """A built-in study, or the one in a file (a name that ends in .toml or holds a slash is a file's).

    Raises SpecError with all faults, each with its line.
    """
    text = str(name_or_path)
    if not (text.endswith(".toml") or os.sep in text):
        return parse_study(built_in_text(text), text)
    remedy = "name a TOML file, or make one with `digitlab study new`"
    return parse_study(read_text(text, "study", remedy), text)


def read_study_at(
    name_or_path: str | os.PathLike[str],
    scale: str | None = None,
    *,
    seeds: int | None = None,
    seed_base: int | None = None,
    hidden: Sequence[int | str] | None = None,
) -> tuple[Study, str]:
    """The study of `read_study` at a scale, with a few changes; and the scale's name.

    scale:     None: the study's usual one
    seeds:     how many; the range of learning rates is tried on no more
    seed_base: the first of them: another one repeats the study with everything drawn anew
    hidden:    other hidden layers than the study's
    Raises SpecError, also when the hidden layers are what the study varies.
    """
    whole = read_study(name_or_path)
    scale_name = scale or whole.usual_scale
    study = whole.at(scale_name)
    if seed_base is not None:
        study = with_seed_base(study, seed_base)
    document = study.model_dump(by_alias=True, exclude_unset=True)
    if seeds is not None:
        fewer = {"tune": min(seeds, study.seeds.tune), "report": seeds}
        document["seeds"] = study.seeds.model_dump() | fewer
    if hidden is not None:
        if any(all("hidden" in level for level in axis.all_levels) for axis in study.axes):
            layers = ",".join(width if isinstance(width, str) else shown(width) for width in hidden)
            raise SpecError([Fault("hidden", layers, f"is what {study.name} varies; leave it out")])
        document["fixed"] = {**study.fixed, "hidden": list(hidden)}
    return Study.model_validate(document), scale_name


def with_seed_base(study: Study, first: int) -> Study:
    """The study with other seeds: `first` and those that follow it.

    Raises SpecError when there is no such seed.
    """
    if not 0 <= first <= LAST_FIRST_SEED:
        problem = f"is no seed that a study can begin with; give one from 0 to {LAST_FIRST_SEED:,}"
        raise SpecError([Fault("seed-base", first, problem)])
    document = study.model_dump(by_alias=True, exclude_unset=True)
    return Study.model_validate({**document, "seeds": {**document.get("seeds", {}), "first": first}})


def run_command(source: str, scale: str, *, seeds: int | None = None, seed_base: int | None = None) -> str:
    """The command that runs a study, as a shell takes it.

    source: its name, or its file
    seeds, seed_base: as of `read_study_at`
    """
    options = {"--scale": scale, "--seeds": seeds, "--seed-base": seed_base}
    words = [f"{option} {value}" for option, value in options.items() if value is not None]
    return " ".join(["digitlab study run", shlex.quote(source), *words])


def parse_study(text: str, source: str) -> Study:
    """The study that a TOML text describes; every scale of it is checked too, and the options that it sets.

    Raises SpecError with all faults, each with its line.
    """
    try:
        document = parse_toml(text)
    except SpecError as error:
        raise SpecError([Fault("study", source, f"{error.faults[0].problem}; mend the file")]) from None
    try:
        study = Study.model_validate(document)
        for scale in study.scales or [""]:
            _check_scale(study, scale)
    except SpecError as error:
        raise SpecError([_with_line(fault, text, source) for fault in error.faults]) from None
    return study


def _check_scale(study: Study, scale: str) -> None:
    """Raise SpecError with the faults of a study at a scale ("": it has none), each named as in the file."""
    changes = study.scales.get(scale, {})
    try:
        whole = study.at(scale)
    except SpecError as error:
        faults = [
            Fault(f"scales.{scale}.{fault.field}", fault.value, fault.problem) for fault in error.faults
        ]
        raise SpecError(faults) from None
    found: dict[str, Fault] = {}
    for options in each_level_once(whole):
        try:
            make_spec(None, **{name: value for name, (_, value) in options.items()})
        except SpecError as error:
            for fault in error.faults:
                option, inside = flat_name(fault.field)
                path = options[option][0] if option in options else f"fixed.{option}"
                field = _as_written(path, study, scale, changes) + (f".{inside}" if inside else "")
                found.setdefault(field, Fault(field, fault.value, fault.problem))
    if found:
        raise SpecError(list(found.values()))


def _as_written(path: str, study: Study, scale: str, changes: Mapping[str, Any]) -> str:
    """Where the file says what stands at this path of the study at a scale: there, or in the scale."""
    first, second, *more = path.split(".")
    if first == "fixed":
        return f"scales.{scale}.{path}" if second in changes.get("fixed", {}) else path
    name = study.axes[int(second)].name
    if more[0] in changes.get("axes", {}).get(name, {}):
        return ".".join(["scales", scale, first, name, *more])
    return path


def _with_line(fault: Fault, text: str, source: str) -> Fault:
    line = line_of(text, fault.field)
    return Fault(f"{source}, line {line}: {fault.field}", fault.value, fault.problem)


def line_of(text: str, field: str) -> int:
    """The line, from 1, of a field such as `axes.1.values`, or of the table that should hold it."""
    field_path = field.split(".")
    best, best_length, counts = 1, 0, Counter[str]()
    table: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if list_header := _LIST_OF_TABLES.match(line):
            name = _plain(list_header[1])
            table = [*name.split("."), str(counts[name])]
            counts[name] += 1
            path = table
            if best_length < 1 and field_path == table[:-1]:  # all of the list: where it begins
                best, best_length = number, len(field_path)
        elif header := _TABLE.match(line):
            path = table = _plain(header[1]).split(".")
        elif key := _KEY.match(line):
            path = [*table, *_plain(key[1]).split(".")]
        else:
            continue
        if len(path) > best_length and path == field_path[: len(path)]:
            best, best_length = number, len(path)
    return best


def _plain(name: str) -> str:
    return name.replace('"', "").replace("'", "")
