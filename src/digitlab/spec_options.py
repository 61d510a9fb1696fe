"""RunSpec -> the options that make it, and the command that trains it: the way back from `options`."""

import shlex
from typing import Any

from digitlab.options import FIELDS
from digitlab.spec import RunSpec


def options_of(spec: RunSpec) -> dict[str, Any]:
    """The options that differ from their defaults: `make_spec(**options_of(spec)) == spec`.

    Of a spec that goes on from a parent, that is left out: it is named by a file, which no spec knows.
    """
    document = spec.model_dump(mode="json")
    found: dict[str, Any] = {}
    for name, option in FIELDS.items():
        part = document.get(option.path[0])
        if name == "parent" or part is None:
            continue
        if name == "data":
            value, usual = part["name"], option.default
        elif len(option.path) == 1:
            value, usual = part, option.default
        elif option.path[1] in part:
            value = part[option.path[1]]
            usual = option.defaults.get(part.get("kind", ""), option.default)
        else:
            continue
        if name == "train_size":
            usual = spec.data.train_images - spec.validation_size
        if value != (list(usual) if isinstance(usual, tuple) else usual):
            found[name] = value
    return found


def command_of(spec: RunSpec) -> str:
    """The command that trains this network: `digitlab train --hidden 100 --learning-rate 0.125`."""
    words = ["digitlab", "train"]
    for name, value in options_of(spec).items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        else:
            words += [option, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return shlex.join(words)
