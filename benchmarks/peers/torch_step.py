"""PyTorch, eager: `loss.backward()` and `torch.optim.Adam`, as its tutorials write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.cases import BETA1, BETA2, EPSILON, LEARNING_RATE, StepCase

VERSIONS = {"torch": torch.__version__}


def network(case: StepCase) -> Any:
    """The network with the case's weights."""
    layers: list[Any] = []
    for W, b in case.weights():
        linear = torch.nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(W.T)))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def prepare(case: StepCase, threads: int, *, fused: bool | None = None) -> Callable[[int], None]:
    """A call that makes n steps on one batch; `fused` chooses that variant of Adam (the default is foreach)."""
    torch.set_num_threads(threads)
    model = network(case)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=(BETA1, BETA2), eps=EPSILON, fused=fused)
    x, codes = (torch.from_numpy(each) for each in case.batches())

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), codes).backward()
            optimizer.step()

    return run
