"""Event files for TensorBoard, by way of tensorboardX: scalars, histograms, and the graph with its name scopes.

An event file is a sequence of records, each with its length and two checksums, around `Event` protocol buffers.
tensorboardX is an extra (`pip install 'dlrun[tensorboard]'`) and is imported when the first event is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.errors import ConfigError
from dlrun.graph.gradients import topological_order
from dlrun.graph.node import Node
from dlrun.graph.picture import unique_names

if TYPE_CHECKING:
    from dlrun.records import EpochRecord

FOLDER = "tensorboard"
# What TensorFlow calls the types that a node can have.
_TYPES = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "int64": 9,
    "bool": 10,
}


def require_tensorboard() -> None:
    """ConfigError where the extra is not installed: before a folder is taken, and not after an hour of training."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise ConfigError(
            "--tensorboard needs the package tensorboardX, which is not installed; pip install 'dlrun[tensorboard]'"
        ) from None


def graph_def(nodes: Node | Sequence[Node]) -> Any:
    """The graph that the given nodes need, as TensorFlow's `GraphDef`; scopes are the parts of names before `/`.

    Every node has its operation, its inputs, its dtype and its static shape, an extent that is known only at run time
    being -1 there.
    """
    from tensorboardX.proto.attr_value_pb2 import AttrValue
    from tensorboardX.proto.graph_pb2 import GraphDef
    from tensorboardX.proto.node_def_pb2 import NodeDef
    from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboardX.proto.versions_pb2 import VersionDef

    order = topological_order([nodes] if isinstance(nodes, Node) else list(nodes))
    names = unique_names(order)
    defined = []
    for node in order:
        extents = [TensorShapeProto.Dim(size=-1 if e is None else int(e)) for e in node.shape]
        shape = AttrValue(list=AttrValue.ListValue(shape=[TensorShapeProto(dim=extents)]))
        attributes = {"dtype": AttrValue(type=_TYPES[str(node.dtype)]), "_output_shapes": shape}
        inputs = [names[each] for each in node.inputs]
        defined.append(NodeDef(name=names[node], op=node.op, input=inputs, attr=attributes))
    return GraphDef(node=defined, versions=VersionDef(producer=22))


class EventLog:
    """One event file in `folder`; use `close` at the end.

    `go_on_after`: the last step that still counts of the part of a run before it was broken off; TensorBoard then
    forgets what earlier files say about later steps.
    """

    def __init__(self, folder: Path, *, go_on_after: int | None = None) -> None:
        require_tensorboard()
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))
        if go_on_after is not None:
            self._write(go_on_after + 1, session_log=SessionLog(status=SessionLog.START))

    def _write(self, step: int, **what: Any) -> None:
        import time

        from tensorboardX.proto.event_pb2 import Event

        self._writer.write_event(Event(wall_time=time.time(), step=step, **what))

    def graph(self, nodes: Node | Sequence[Node]) -> None:
        """The graph, at its place in the tab Graphs."""
        self._write(0, graph_def=graph_def(nodes).SerializeToString())

    def scalar(self, name: str, value: float, step: int) -> None:
        """A point of the curve `name`."""
        from tensorboardX.proto.summary_pb2 import Summary

        self._write(step, summary=Summary(value=[Summary.Value(tag=name, simple_value=value)]))

    def histogram(self, name: str, values: npt.NDArray[Any], step: int) -> None:
        """How values are distributed; those that are not finite are left out, and nothing is written without any."""
        from tensorboardX.proto.summary_pb2 import HistogramProto, Summary

        kept = np.asarray(values, np.float64).ravel()
        kept = kept[np.isfinite(kept)]
        if not kept.size:
            return
        counts, edges = np.histogram(kept, bins=30)
        told = HistogramProto(
            min=kept.min(),
            max=kept.max(),
            num=kept.size,
            sum=kept.sum(),
            sum_squares=float(kept @ kept),
            bucket_limit=edges[1:].tolist(),
            bucket=counts.tolist(),
        )
        self._write(step, summary=Summary(value=[Summary.Value(tag=name, histo=told)]))

    def epoch(self, record: EpochRecord) -> None:
        """The figures of an epoch by its number, and of its steps, where they are recorded, by theirs.

        Curves: cost/train, cost/dev, error/train, error/dev, learning_rate; step/batch_cost, step/learning_rate.
        """
        for part, figures in record.figures.items():
            self.scalar(f"cost/{part}", figures.cost, record.epoch)
            self.scalar(f"error/{part}", figures.error, record.epoch)
        self.scalar("learning_rate", record.learning_rate, record.epoch)
        if record.steps is not None:
            each = zip(record.steps.step, record.steps.learning_rate, record.steps.cost, strict=True)
            for step, rate, cost in each:
                self.scalar("step/batch_cost", float(cost), int(step))
                self.scalar("step/learning_rate", float(rate), int(step))

    def parameters(self, views: dict[str, npt.NDArray[Any]], epoch: int) -> None:
        """A histogram of each block of parameters: parameters/W1, parameters/b1, …"""
        for name, values in views.items():
            self.histogram(f"parameters/{name}", values, epoch)

    def close(self) -> None:
        """Everything is on the disk when this returns."""
        self._writer.close()
