"""What a person does with exports: name files, be told beforehand what stands against them, write them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from digitlab.errors import Fault, SpecError, WeightsError, with_extra
from digitlab.exports.facts import Facts, facts_of
from digitlab.exports.plain import weights_beside, write_program
from digitlab.models.trained import TrainedNetwork, writable_target

if TYPE_CHECKING:
    from digitlab.exports.agreement import Agreement


@dataclass(frozen=True)
class Targets:
    """Where a network is to be written, in which forms."""

    onnx: Path | None = None
    safetensors: Path | None = None
    pytorch: Path | None = None

    def check(self) -> None:
        """Raise what stands against it, SpecError or WeightsError: better before a training than after it."""
        named = [path for path in (self.onnx, self.safetensors, self.pytorch) if path]
        if not named:
            problem = "names no file to write; give --onnx FILE, --safetensors FILE or --pytorch FILE.py"
            raise SpecError([Fault("export", None, problem)])
        if self.onnx:
            _onnx_writer()
        if self.pytorch:
            named.append(weights_beside(self.pytorch))
        targets = list(map(writable_target, named))
        for i, target in enumerate(targets):
            if target in targets[:i]:
                problem = "would be written twice; give each form a name of its own"
                raise SpecError([Fault("export", str(named[i]), problem)])


@dataclass(frozen=True)
class Exported:
    """What was written.

    sentence:  which network
    files:     in the order in which they were written
    agreement: of the ONNX file with torch; None where there is none
    """

    sentence: str
    files: tuple[Path, ...]
    agreement: "Agreement | None"


def export(network: TrainedNetwork, targets: Targets) -> Exported:
    """Write a network in every form that is asked for, its data set and its accuracy in each header.

    Raises what `Targets.check` and `facts_of` raise, and WeightsError when a file cannot be written or
    onnxruntime does not compute what torch does.
    """
    targets.check()
    facts, files, agreement = facts_of(network), [], None
    if targets.onnx:
        agreement = _onnx_writer()(facts, targets.onnx)
        files.append(targets.onnx)
    if targets.safetensors:
        network.save(targets.safetensors, facts.metadata)
        files.append(targets.safetensors)
    if targets.pytorch:
        files += [write_program(facts, targets.pytorch), targets.pytorch]
    return Exported(facts.sentence, tuple(files), agreement)


def _onnx_writer() -> "Callable[[Facts, Path], Agreement]":
    """What writes ONNX files. Raises WeightsError when a library for them is missing."""
    try:
        from digitlab.exports.onnx import write_onnx
    except ImportError as error:
        raise WeightsError(f"onnx: {error.name} is missing; {with_extra('onnx')}") from None
    return write_onnx
