"""A sink that writes event files for TensorBoard, a folder for each run.

The library's own writer works in a thread of its own, where an error ends in a trace on stderr; we have a
thread already, so records are written one by one. A file is open only while it is written to, for hundreds of
runs may train at once.
"""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata  # type: ignore[import-untyped]
from tensorboard.compat.proto.tensor_pb2 import TensorProto  # type: ignore[import-untyped]
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto  # type: ignore[import-untyped]
from tensorboard.compat.proto.types_pb2 import DT_STRING  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

from digitlab.sinks.interface import Ending, options_of, run_name
from digitlab.spec import RunSpec

_VERSION = "brain.Event:2"
_TEXT = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))


class TensorBoardSink:
    """See `Sink`. folder: where the folders of runs are; it is made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}

    def start(self, spec: RunSpec) -> None:
        """See `Sink`: a folder, and all that decides the run as a text."""
        folder = self._folder / run_name(spec)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._files[spec.key] = folder / name
        rows = [f"| {option} | {value} |" for option, value in options_of(spec).items()]
        table = "\n".join(["| option | value |", "|---|---|", *rows])
        self._write(spec.key, Event(wall_time=time.time(), file_version=_VERSION))
        self._write(spec.key, _event(0, _text("spec", table)))

    def log(self, key: str, step: int, figures: Mapping[str, float]) -> None:
        """See `Sink`."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._write(key, _event(step, *values))

    def end(self, key: str, ending: Ending, cause: str) -> None:
        """See `Sink`."""
        self._write(key, _event(0, _text("outcome", f"{ending}: {cause}" if cause else ending)))
        del self._files[key]

    def close(self) -> None:
        """See `Sink`: every file is closed already."""

    def _write(self, key: str, event: Event) -> None:
        with self._files[key].open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())


def _event(step: int, *values: Summary.Value) -> Event:
    return Event(wall_time=time.time(), step=step, summary=Summary(value=values))


def _text(tag: str, text: str) -> Summary.Value:
    """A text as the text plugin reads it, in Markdown."""
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
    return Summary.Value(tag=tag, tensor=tensor, metadata=_TEXT)
