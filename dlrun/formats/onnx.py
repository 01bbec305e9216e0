"""A trained model as an ONNX graph that takes the raw columns of a table.

An input per column, named as it is, (N, 1): doubles for numbers, texts for categories and for true and false. Filling,
one-hot encoding and scaling are part of the graph, in float64; the network is computed in the model's own precision.

    classification  label (N,) text, probabilities (N, C)        regression  prediction (N, 1), in the target's units

A missing number is NaN, a missing text is "". Where the model was trained with data.missing = "mean" they are filled
as there; else they make the answer NaN, where `dlrun predict` refuses the row. A category that the training did not
have is 0 in all its columns, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.errors import ConfigError, MachineError
from dlrun.formats.onnx_layers import LayerNodes
from dlrun.nn.activations import CUSTOM
from dlrun.nn.losses import loss_named

if TYPE_CHECKING:
    from dlrun.data.encoding import ColumnEncoding
    from dlrun.training.model import TrainedModel

OPSET, ML_OPSET, IR_VERSION = 18, 3, 9
TRUE, FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")


def to_onnx(model: TrainedModel, *, name: str = "dlrun") -> bytes:
    """The model as the bytes of an ONNX file.

    MachineError where the package onnx is missing; ConfigError for an activation that is a user's own function.
    """
    try:
        import onnx
    except ImportError:
        raise MachineError("writing ONNX needs the package onnx: pip install 'dlrun[onnx]'") from None
    if model.net is not None and model.net.activation == CUSTOM:
        raise ConfigError("this model's activation is a Python function of its own, for which ONNX has no operation")
    graph = _Graph(onnx)
    prepared = model.preprocessing
    columns = [graph.column(each) for each in prepared.encoding]
    x = graph.op("Concat", *columns, axis=1)
    if prepared.missing == "mean":
        x = graph.op("Where", graph.op("IsNaN", x), graph.constant(prepared.scaling.fill), x)
    shifted = graph.op("Sub", x, graph.constant(prepared.scaling.shift))
    x = graph.op("Mul", shifted, graph.constant(prepared.scaling.scale))
    answers = _network(graph, model, x) if model.net is not None else _baseline(graph, model, x)
    return graph.finished(answers, prepared.classes, name=name, target=prepared.target_name)


class _Graph:
    """Nodes and constants of the graph as they come."""

    def __init__(self, onnx: Any) -> None:
        self._onnx, self._helper = onnx, onnx.helper
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node of one output; the output's name."""
        name = f"{kind}_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def constant(self, values: Any, dtype: Any = np.float64) -> str:
        name = f"constant_{len(self._constants)}"
        array = np.asarray(values) if dtype is None else np.asarray(values, dtype)
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def texts(self, values: Sequence[str]) -> str:
        name = f"constant_{len(self._constants)}"
        kind = self._onnx.TensorProto.STRING
        data = [value.encode() for value in values]
        self._constants.append(self._helper.make_tensor(name, kind, [len(values)], data))
        return name

    def column(self, encoding: ColumnEncoding) -> str:
        """The features (N, k) that a column of the table becomes, NaN where it is missing."""
        if encoding.kind == "date":
            raise ConfigError(
                f"the column {encoding.name!r} holds dates, and no operation of ONNX reads them; train on a table "
                "with their years, months and days as columns of their own"
            )
        kinds = self._onnx.TensorProto
        kind = kinds.DOUBLE if encoding.kind == "numeric" else kinds.STRING
        self._inputs.append(self._helper.make_tensor_value_info(encoding.name, kind, ["N", 1]))
        if encoding.kind == "numeric":
            return encoding.name
        if encoding.kind == "boolean":
            keys, values = [*TRUE, *FALSE], [1.0] * len(TRUE) + [0.0] * len(FALSE)
            found = self._looked_up(encoding.name, keys, values_floats=values, default_float=float("nan"))
            return self.cast(found, np.float64)
        count = len(encoding.categories)
        codes = self._looked_up(
            encoding.name, [*encoding.categories, ""], values_int64s=[*range(count), -2], default_int64=-1
        )
        hot = self.cast(self.op("Equal", codes, self.constant(np.arange(count), np.int64)), np.float64)
        missing = self.op("Equal", codes, self.constant(-2, np.int64))
        return self.op("Where", missing, self.constant(np.nan), hot)

    def _looked_up(self, texts: str, keys: Sequence[str], **values: Any) -> str:
        return self.op("LabelEncoder", texts, domain="ai.onnx.ml", keys_strings=list(keys), **values)

    def cast(self, value: str, dtype: Any) -> str:
        return self.op("Cast", value, to=self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def finished(self, answers: str, classes: Sequence[str], *, name: str, target: str) -> bytes:
        """The file: outputs by their names, the operations' versions, and what the model is of."""
        from dlrun import __version__

        kinds, helper = self._onnx.TensorProto, self._helper
        if classes:
            best = self.op("ArgMax", answers, axis=1, keepdims=0)
            self._nodes.append(helper.make_node("Gather", [self.texts(classes), best], ["label"], axis=0))
            self._nodes.append(helper.make_node("Cast", [answers], ["probabilities"], to=kinds.DOUBLE))
            outputs = [
                helper.make_tensor_value_info("label", kinds.STRING, ["N"]),
                helper.make_tensor_value_info("probabilities", kinds.DOUBLE, ["N", len(classes)]),
            ]
        else:
            self._nodes.append(helper.make_node("Cast", [answers], ["prediction"], to=kinds.DOUBLE))
            outputs = [helper.make_tensor_value_info("prediction", kinds.DOUBLE, ["N", 1])]
        graph = helper.make_graph(self._nodes, name, self._inputs, outputs, self._constants)
        operations = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        whole = helper.make_model(
            graph, opset_imports=operations, producer_name="dlrun", producer_version=__version__, ir_version=IR_VERSION
        )
        helper.set_model_props(whole, {"target": target, "classes": "\n".join(classes)})
        self._onnx.checker.check_model(whole)
        return bytes(whole.SerializeToString())


def _network(graph: _Graph, model: TrainedModel, x: str) -> str:
    """Probabilities (N, C), or values (N, 1), of the scaled features."""
    net = model.net
    assert net is not None
    dtype = np.dtype(net.dtype)
    values = model.parameters()
    a = _mapped(graph, model, graph.cast(x, dtype))
    z = graph.cast(LayerNodes(graph, net, values).build(a), np.float64)
    if not model.preprocessing.classes:
        assert model.y_shift is not None
        unscaled = graph.op("Div", z, graph.constant(model.y_scale))
        return graph.op("Add", unscaled, graph.constant(model.y_shift))
    if loss_named(net.loss).one_output:
        return graph.op("Sigmoid", graph.op("Concat", graph.op("Neg", z), z, axis=1))
    return graph.op("Softmax", z, axis=1)


def _mapped(graph: _Graph, model: TrainedModel, x: str) -> str:
    """φ(x): products of features up to a degree, in the order of `nn.features`, or exp(−γ‖x − c‖²)."""
    net = model.net
    assert net is not None
    if net.feature_map is None:
        return x
    dtype = np.dtype(net.dtype)
    if net.feature_map.name == "polynomial":
        terms: list[tuple[int, ...]] = [(j,) for j in range(net.inputs)]
        pieces = [x]
        for _ in range(net.feature_map.degree - 1):
            terms = [(j, *term) for j in range(net.inputs) for term in terms if term[0] >= j]
            product = ""
            for factor in np.array(terms, np.int64).T:
                column = graph.op("Gather", x, graph.constant(factor, np.int64), axis=1)
                product = graph.op("Mul", product, column) if product else column
            pieces.append(product)
        return graph.op("Concat", *pieces, axis=1)
    centres = np.asarray(model.tensors["centres"], dtype)  # (d, M)
    own = graph.op("ReduceSum", graph.op("Mul", x, x), graph.constant([1], np.int64), keepdims=1)
    both = graph.op("Mul", graph.op("MatMul", x, graph.constant(centres, dtype)), graph.constant(2, dtype))
    distance = graph.op("Add", graph.op("Sub", own, both), graph.constant((centres**2).sum(axis=0), dtype))
    return graph.op("Exp", graph.op("Mul", distance, graph.constant(-net.feature_map.gamma, dtype)))


def _baseline(graph: _Graph, model: TrainedModel, x: str) -> str:
    """The answer of the majority or the mean for every row; or that of the nearest training row."""
    if model.kind != "nearest_neighbor":
        rows = graph.op("Shape", x, start=0, end=1)
        answer = np.asarray(model.baseline["answer"])
        shape = graph.op("Concat", rows, graph.constant([len(answer)], np.int64), axis=0)
        return graph.op("Expand", graph.constant(answer[None]), shape)
    train = np.asarray(model.baseline["rows"], np.float64)
    centre = train.mean(axis=0)
    points = graph.op("Sub", x, graph.constant(centre))
    product = graph.op("MatMul", points, graph.constant(2 * (train - centre).T))
    distance = graph.op("Sub", graph.constant(((train - centre) ** 2).sum(axis=1)), product)
    nearest = graph.op("ArgMin", distance, axis=1, keepdims=0)
    return graph.op("Gather", graph.constant(model.baseline["targets"]), nearest, axis=0)
