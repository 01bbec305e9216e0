"""The graph of the course text, built with dlrun.graph: b = prod(a), c = mean(a), d = sum(a), e = b + c, f = e·d.

    python experiments/gallery/name_scopes.py [FOLDER]

prints the graph as text and f for 100 normal numbers with mean 1 and standard deviation 2. With FOLDER it also writes
the graph and a histogram of the numbers there for TensorBoard, and the numbers as a.csv.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dlrun.graph import Node, Session, name_scope, placeholder, reduce_mean, reduce_prod, reduce_sum
from dlrun.graph.picture import picture
from dlrun.rng import generator


class Graph(NamedTuple):
    """The nodes of the text, by their letters."""

    a: Node
    b: Node
    c: Node
    d: Node
    e: Node
    f: Node


def build() -> Graph:
    """Construction: nothing is computed yet, and how many numbers `a` will have is open."""
    with name_scope("input_placeholder"):
        a = placeholder((None,), "float64", name="a")
    with name_scope("middle_section"):
        b = reduce_prod(a).named("prod_b")
        c = reduce_mean(a).named("mean_c")
        d = reduce_sum(a).named("sum_d")
        e = (b + c).named("add_e")
    with name_scope("final_node"):
        f = (e * d).named("multiply_f")
    return Graph(a, b, c, d, e, f)


def numbers(seed: int = 0) -> npt.NDArray[np.float64]:
    """100 draws from N(1, 2²)."""
    return generator(seed, 0, "name scopes").normal(1.0, 2.0, 100)


def main(folder: Path | None) -> None:
    """Execution: feed the placeholder, and fetch what is wanted."""
    graph, values = build(), numbers()
    print(picture(graph.f))
    with Session() as session:
        for letter, node in zip("bcdef", graph[1:], strict=True):
            print(f"{letter} = {session.run(node, {graph.a: values}).item():.6g}")
    if folder is not None:
        from dlrun.reporting.tensorboard import EventLog

        folder.mkdir(parents=True, exist_ok=True)
        np.savetxt(folder / "a.csv", values, header="a", comments="")
        log = EventLog(folder)
        log.graph(graph.f)
        log.histogram("a", values, 0)
        log.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
