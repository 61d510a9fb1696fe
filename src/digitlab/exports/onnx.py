"""A network as an ONNX file: bytes [n, 28, 28] in, probabilities [n, classes] out.

The graph is written by hand, an operator for each step: Cast, Flatten, Sub and Div (the scaling), Gemm and
Relu (the layers), Softmax. Operators are those of opset 11 (ONNX 1.6, of 2019), which every runtime since
reads. The same network gives the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from digitlab.errors import WeightsError
from digitlab.exports.agreement import LIMIT, Agreement, agreement
from digitlab.exports.facts import Facts
from digitlab.files import written_whole
from digitlab.models.trained import TrainedNetwork, unwritable, writable_target
from digitlab.version import __version__

_OPSET, _IR_VERSION = 11, 6
_INPUT, _OUTPUT = "images", "probabilities"


def write_onnx(facts: Facts, path: Path) -> Agreement:
    """Write a network as an ONNX file, if onnxruntime computes from it what torch does; how well it agrees.

    Raises WeightsError when it cannot be written, and when a probability of some test image differs by LIMIT
    or more: then nothing is left of the file, and an older one stays.
    """
    content = onnx_model(facts).SerializeToString(deterministic=True)
    target = writable_target(path)
    try:
        with written_whole(target) as file:
            file.write(content)
            file.flush()
            found = agreement(Path(file.name), facts)
            if not found.is_close:
                raise WeightsError(
                    f"{path}: not written: onnxruntime's probabilities differ from torch's by up to "
                    f"{found.difference:.1e} on {found.images:,} test images, where less than {LIMIT:.0e} is "
                    "asked for; try another version of onnxruntime"
                )
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from None
    return found


def onnx_model(facts: Facts) -> onnx.ModelProto:
    """The network as a checked ONNX model, of which the batch is the free dimension `n`."""
    network = facts.network
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(network.spec.precision))
    graph = helper.make_graph(
        list(_operators(network, kind)),
        network.spec.network_name,
        [helper.make_tensor_value_info(_INPUT, onnx.TensorProto.UINT8, ["n", 28, 28])],
        [helper.make_tensor_value_info(_OUTPUT, kind, ["n", network.spec.layer_sizes[-1]])],
        [onnx.numpy_helper.from_array(array, name) for name, array in _constants(network)],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="digitlab",
        producer_version=__version__,
        doc_string=facts.sentence,
    )
    helper.set_model_props(model, facts.metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def _operators(network: TrainedNetwork, kind: int) -> Iterator[onnx.NodeProto]:
    """The graph's operators in their order."""
    yield helper.make_node("Cast", [_INPUT], ["numbers"], to=kind)  # [n, 28, 28]
    yield helper.make_node("Flatten", ["numbers"], ["pixels"], axis=1)  # [n, 784]
    yield helper.make_node("Sub", ["pixels", "offset"], ["shifted"])
    yield helper.make_node("Div", ["shifted", "divisor"], ["layer0"])
    for i in range(len(network.layers)):
        gemm = [f"layer{i}", f"weight{i}", f"bias{i}"]
        yield helper.make_node("Gemm", gemm, [f"weighted{i}"], transB=1)  # [n, units]
        if i + 1 < len(network.layers):
            yield helper.make_node("Relu", [f"weighted{i}"], [f"layer{i + 1}"])
        else:
            yield helper.make_node("Softmax", [f"weighted{i}"], [_OUTPUT], axis=1)  # [n, classes]


def _constants(network: TrainedNetwork) -> Iterator[tuple[str, np.ndarray]]:
    number = np.dtype(network.spec.precision).type
    yield "offset", np.array(number(network.scale.offset))
    yield "divisor", np.array(number(network.scale.divisor))
    for i, layer in enumerate(network.layers):
        yield f"weight{i}", np.ascontiguousarray(layer.weight)
        yield f"bias{i}", np.ascontiguousarray(layer.bias)
