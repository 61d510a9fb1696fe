"""`digitlab export`: a trained network as a file for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from digitlab.cli.networks import NetworkArgument, found_network
from digitlab.cli.stores import StoreOption
from digitlab.cli.terminal import stdout


def export(
    network: NetworkArgument,
    onnx: Annotated[
        Path | None,
        typer.Option(
            "--onnx",
            metavar="FILE",
            help="For any ONNX runtime; written only if onnxruntime agrees with torch.",
        ),
    ] = None,
    safetensors: Annotated[
        Path | None, typer.Option("--safetensors", metavar="FILE", help="The weights alone.")
    ] = None,
    pytorch: Annotated[
        Path | None,
        typer.Option(
            "--pytorch",
            metavar="FILE.py",
            help="A short program in plain PyTorch, its weights beside it (FILE.safetensors).",
        ),
    ] = None,
    store_file: StoreOption = None,
) -> None:
    """Write a network for other programs: ONNX, safetensors, plain PyTorch."""
    from digitlab.exports import service

    targets = service.Targets(onnx, safetensors, pytorch)
    targets.check()
    written = service.export(found_network(network, store_file), targets)
    stdout().print(written.sentence, soft_wrap=True)
    for path in written.files:
        stdout().print(str(path), soft_wrap=True)
    if agreement := written.agreement:
        stdout().print(
            f"onnxruntime and torch differ by at most {agreement.difference:.1e} on "
            f"{agreement.images:,} test images"
        )
