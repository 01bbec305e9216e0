"""Sessions: a graph that was built once is run many times, each time with what is fed to it.

    with Session() as session:
        session.run(cost, {x: data})        # one tensor, or a list of them
        session.run(step, {x: data})        # an action, such as an optimizer's step

A session holds the values of the variables; two sessions over one graph do not disturb each other. For each
combination of fetches and shapes it makes a plan the first time, and runs that plan from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from dlrun.backend import Array, Backend
from dlrun.errors import GraphError
from dlrun.graph.gradients import topological_order
from dlrun.graph.node import Concrete, Node, show_shape
from dlrun.graph.plan import Plan

MAX_PLANS = 64  # plans kept; the one that was made first makes room


@runtime_checkable
class Action(Protocol):
    """What a session does beside computing values: it changes variables, as a step of an optimizer does.

    needs           the tensors that must be computed for it
    start(session)  called once per session; gives the function that carries the action out, from the
                    arrays of the tensors it needs
    """

    @property
    def needs(self) -> Sequence[Node]: ...

    def start(self, session: Session) -> Callable[[Mapping[Node, Array]], None]: ...


Fetch = Node | Action


@dataclass(frozen=True)
class _Program:
    plan: Plan
    inputs: dict[Node, Array]  # what is fed is copied here


class Session:
    """Runs graphs on a backend (NumPy where none is given) and keeps the values of their variables."""

    def __init__(self, backend: Backend | None = None) -> None:
        self.backend = backend or Backend()
        self._variables: dict[Node, Array] = {}
        self._programs: dict[Any, _Program] = {}
        self._actions: dict[Action, Callable[[Mapping[Node, Array]], None]] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget all plans and values; variables start from their initial values again."""
        self._programs.clear()
        self._actions.clear()
        self._variables.clear()

    def run(self, fetches: Fetch | Sequence[Fetch], feed: Mapping[Node, Any] | None = None) -> Any:
        """The values of the fetched tensors, as NumPy arrays (a scalar for rank 0); None for an action.

        `feed` maps placeholders to numbers, lists or arrays. Values are those before any action of the same call.
        Raises `GraphError` for a placeholder that is needed and not fed, or fed with what does not fit.
        """
        several = isinstance(fetches, (list, tuple))
        listed: Sequence[Any] = fetches if isinstance(fetches, (list, tuple)) else (fetches,)
        wanted, actions = self._wanted(listed)
        fed = {node: self._fitting(node, value) for node, value in (feed or {}).items()}
        program = self._program(tuple(wanted), {node: tuple(array.shape) for node, array in fed.items()})
        for node, place in program.inputs.items():
            self._fill(place, fed[node])
        outputs = program.plan.outputs
        with self.backend.quiet():
            program.plan.run()
            values = [self._fetched(outputs[x]) if isinstance(x, Node) else None for x in listed]
            for action in actions:
                action(outputs)
        return values if several else values[0]

    def value(self, variable: Node) -> Any:
        """The variable's value in this session."""
        return self._fetched(self.array(variable))

    def assign(self, variable: Node, value: Any) -> None:
        """Give the variable another value, of its shape and type."""
        place = self.array(variable)
        fitting = self._fitting(variable, value)
        if tuple(fitting.shape) != tuple(place.shape):
            raise GraphError(_misfit(variable, tuple(fitting.shape)))
        self._fill(place, fitting)

    def array(self, variable: Node) -> Array:
        """The array, on the backend, that holds the variable's value; writing to it changes the variable."""
        if not isinstance(variable, Node) or variable.op != "variable":
            raise GraphError(f"{_named(variable)} is no variable")
        if variable not in self._variables:
            self._variables[variable] = self.backend.to_device(variable.value, variable.dtype)
        return self._variables[variable]

    # -- what to compute -----------------------------------------------------------------------

    def _wanted(self, fetches: Sequence[Any]) -> tuple[list[Node], list[Callable[[Mapping[Node, Array]], None]]]:
        wanted: list[Node] = []
        actions = []
        for fetch in fetches:
            if isinstance(fetch, Node):
                wanted.append(fetch)
            elif isinstance(fetch, Action):
                wanted += fetch.needs
                if fetch not in self._actions:
                    self._actions[fetch] = fetch.start(self)
                actions.append(self._actions[fetch])
            else:
                raise GraphError(f"{_named(fetch)} cannot be run; should be a tensor or a training step")
        return list(dict.fromkeys(wanted)), actions

    def _program(self, wanted: tuple[Node, ...], fed: dict[Node, Concrete]) -> _Program:
        key = (wanted, tuple(fed.items()))
        if key not in self._programs:
            if len(self._programs) >= MAX_PLANS:
                del self._programs[next(iter(self._programs))]
            self._programs[key] = self._planned(wanted, fed)
        return self._programs[key]

    def _planned(self, wanted: tuple[Node, ...], fed: dict[Node, Concrete]) -> _Program:
        leaves = [node for node in topological_order(wanted) if not node.inputs]
        missing = [node for node in leaves if node.op == "placeholder" and node not in fed]
        if missing:
            listed = ", ".join(f"{x.name} {show_shape(x.shape)} {x.dtype}" for x in missing)
            raise GraphError(f"not fed: {listed}; run(…, {{placeholder: value}}) feeds a placeholder")
        inputs = {node: self.backend.empty(fed[node], node.dtype) for node in leaves if node.op == "placeholder"}
        variables = {node: self.array(node) for node in leaves if node.op == "variable"}
        return _Program(Plan(self.backend, wanted, {**inputs, **variables}), inputs)

    # -- values in and out ---------------------------------------------------------------------

    def _fitting(self, node: Node, value: Any) -> Any:
        """The value as an array of the leaf's type, its shape checked against the static one."""
        if not isinstance(node, Node) or node.op not in ("placeholder", "variable"):
            raise GraphError(f"{_named(node)} is no placeholder; only placeholders are fed")
        if node.op == "variable" and value is None:
            raise GraphError(f"{node.name} cannot be given None")
        array = value if self._on_device(value) else _as_type(node, value)
        if array.dtype != node.dtype:
            raise GraphError(f"{node.name} is {node.dtype} and was given a device array of {array.dtype}")
        shape = tuple(array.shape)
        if len(shape) != node.rank or any(e not in (None, n) for e, n in zip(node.shape, shape, strict=True)):
            raise GraphError(_misfit(node, shape))
        return array

    def _on_device(self, value: Any) -> bool:
        return self.backend.array_type is not np.ndarray and isinstance(value, self.backend.array_type)

    def _fill(self, place: Array, value: Any) -> None:
        on_backend = self._on_device(value) or self.backend.array_type is np.ndarray
        self.backend.xp.copyto(place, value if on_backend else self.backend.to_device(value))

    def _fetched(self, array: Array) -> Any:
        """A copy on the host: the plan will write over its own."""
        return np.array(self.backend.to_host(array))[()]


def _as_type(node: Node, value: Any) -> np.ndarray[Any, Any]:
    """The value in the leaf's type: floats narrow, integers widen or fit, nothing is cut off."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise GraphError(f"{node.name} was given what is no array: {error}") from None
    if not np.can_cast(array.dtype, node.dtype, "same_kind"):
        raise GraphError(f"{node.name} is {node.dtype} and was given {array.dtype} values")
    with np.errstate(all="ignore"):
        cast = array.astype(node.dtype, copy=False)
    if node.dtype.kind in "iu" and not np.array_equal(cast, array):
        raise GraphError(f"{node.name} is {node.dtype}, which does not hold every value that it was given")
    return cast


def _misfit(node: Node, shape: Concrete) -> str:
    return f"{node.name} expects shape {show_shape(node.shape)} and was given {show_shape(shape)}"


def _named(thing: Any) -> str:
    return thing.name if isinstance(thing, Node) else repr(thing)


def variables_of(nodes: Sequence[Node]) -> Iterator[Node]:
    """The variables that the tensors depend on, in the order in which they were made."""
    found = (node for node in topological_order(nodes) if node.op == "variable")
    return iter(sorted(found, key=lambda node: node.serial))
