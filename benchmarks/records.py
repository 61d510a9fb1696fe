"""What benchmarks keep: results part by part, as JSON and as a page made of it; versions in words."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class Record:
    """The parts of a benchmark's result in FOLDER/NAME.json; what is not measured this time stays.

    report: makes NAME.md of all parts
    """

    def __init__(self, folder: Path, name: str, report: Callable[[dict[str, Any]], str]) -> None:
        self._file, self._report = folder / f"{name}.json", report
        self.parts: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def keep(self, name: str, part: Mapping[str, Any]) -> None:
        """Put a part into the place of its former self, and write both files."""
        self.parts[name] = part
        self._file.write_text(json.dumps(self.parts, indent=2) + "\n")
        self._file.with_suffix(".md").write_text(self._report(self.parts))


def versions_in_words(versions: Mapping[str, object]) -> str:
    """`digitlab 0.1.0, torch 2.13.0`."""
    return ", ".join(f"{name} {number}" for name, number in versions.items())
