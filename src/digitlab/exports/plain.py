"""A network as a short program in plain PyTorch, beside a safetensors file of its weights.

It needs torch and safetensors, and not digitlab. Nothing is pickled: a pickle may run any program when read.
"""

from pathlib import Path

from digitlab.errors import Fault, SpecError
from digitlab.exports.facts import Facts
from digitlab.files import write_whole
from digitlab.models.trained import unwritable, writable_target

_PROGRAM = '''"""{sentence}. Needs torch and safetensors."""
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file
from torch import nn

network = nn.Sequential({modules}).to(torch.{precision})
network.load_state_dict(load_file(Path(__file__).with_suffix(".safetensors")))

def probabilities(images):  # bytes [n, 28, 28] -> [n, {classes}]
    inputs = (images.flatten(1).to(torch.{precision}) - {offset}) / {divisor}
    return network(inputs).softmax(1).detach()

if __name__ == "__main__":  # python FILE IMAGES: an IDX file as MNIST's, whose pixels begin at byte 16
    pixels = bytearray(Path(sys.argv[1]).read_bytes()[16:])
    print(probabilities(torch.frombuffer(pixels, dtype=torch.uint8).reshape(-1, 28, 28)).argmax(1).tolist())
'''


def weights_beside(path: Path) -> Path:
    """Where the weights of a program lie: beside it, under its name.

    Raises SpecError when the program's name is not that of a Python file.
    """
    if path.suffix != ".py":
        raise SpecError([Fault("pytorch", str(path), "is not a name for a program; let it end in .py")])
    return path.with_suffix(".safetensors")


def write_program(facts: Facts, path: Path) -> Path:
    """Write a network as a program in plain PyTorch and a file of weights; the latter's path.

    Raises SpecError as `weights_beside` does, WeightsError when a place cannot be written.
    """
    weights, target = weights_beside(path), writable_target(path)
    facts.network.save(weights, facts.metadata)  # first: no program is to be there without them
    try:
        write_whole(target, program(facts))
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from None
    return weights


def program(facts: Facts) -> str:
    """The program's text."""
    network = facts.network
    linear = [
        f"nn.Linear({inputs}, {outputs})"
        for outputs, inputs in (layer.weight.shape for layer in network.layers)
    ]
    return _PROGRAM.format(
        sentence=facts.sentence,
        modules=", nn.ReLU(), ".join(linear),
        precision=network.spec.precision,
        classes=network.spec.layer_sizes[-1],
        offset=network.scale.offset,
        divisor=network.scale.divisor,
    )
