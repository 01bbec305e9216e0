"""PyTorch: a loop over the divisions, fused Adam, batches by index; one model after another."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch

from benchmarks.fold_cases import LEARNING_RATE, FoldCase

VERSIONS = {"torch": torch.__version__}


def fit(case: FoldCase, x: Any, codes: Any, classes: int) -> Any:
    """A network trained on these rows."""
    layers: list[Any] = []
    for a, b in pairwise((x.shape[1], *case.hidden, classes)):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    for _ in range(case.epochs):
        for rows in torch.randperm(len(x)).split(case.batch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), codes[rows]).backward()
            optimizer.step()
    return model


def prepare(case: FoldCase, jobs: int) -> Any:
    """A call that trains all divisions and returns the mean error of their test parts."""
    torch.set_num_threads(jobs)
    torch.manual_seed(0)
    x, codes, classes = case.rows()
    x, codes = torch.tensor(x, dtype=torch.float32), torch.tensor(codes)
    divisions = [(torch.tensor(train), torch.tensor(test)) for train, test in case.divisions()]

    def run() -> float:
        errors = []
        for train, test in divisions:
            mean, spread = x[train].mean(0), x[train].std(0, correction=0)
            scaled = (x - mean) / torch.where(spread > 0, spread, 1)
            model = fit(case, scaled[train], codes[train], classes)
            with torch.no_grad():
                wrong = model(scaled[test]).argmax(1) != codes[test]
            errors.append(wrong.float().mean().item())
        return sum(errors) / len(errors)

    return run
