"""What a run would take: parameters, memory, stacks and time, with nothing run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dlrun.resampling.run import ResamplingRun
from dlrun.training.step_cost import Machine, measure_machine

SECONDS_PER_REPLICA = 1.2e-3  # scaling, first weights, keys of its streams: measured, for a few hundred rows


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """How a run would go.

    parameters          of one model
    replica_bytes       what a step of one replica touches: θ, gradient, optimizer state, activations of a batch
    data_bytes          the rows where they are stored once; `copies_bytes` those scaled for each replica of a stack
    stacks, replicas_per_stack, jobs   how many there are, how large, and how many at a time
    seconds             expected on this machine if no replica stops early; None where it is not known (a GPU)
    """

    replicas: int
    parameters: int
    replica_bytes: int
    data_bytes: int
    copies_bytes: int
    replicas_per_stack: int
    stacks: int
    jobs: int
    memory_bytes: int
    epochs: int
    seconds: float | None


def plan_run(run: ResamplingRun, *, machine: Machine | None = None) -> RunPlan:
    """The plan; `machine` is measured where it is left out, in some ten milliseconds."""
    if run.problem.experiment.model.kind != "network":
        count, size = len(run.listed), 8 * math.prod(run.problem.dataset.features.shape)
        return RunPlan(
            replicas=count, parameters=0, replica_bytes=0, data_bytes=size,
            copies_bytes=0, replicas_per_stack=1, stacks=count, jobs=1,
            memory_bytes=2 * size, epochs=0, seconds=None,
        )  # fmt: skip
    training = run.training
    plan, net = training.plan, run.problem.architecture(run.replicas)
    largest = max(len(group) for group in plan.groups)
    store = run.problem.shared_rows(run.backend)
    copies = largest * store.bytes if store.copied else 0
    seconds = None
    if run.backend.name == "cpu":
        used = machine or measure_machine()
        rounds = -(-len(plan.groups) // plan.jobs)
        seconds = rounds * training.cost.seconds(largest, used) + SECONDS_PER_REPLICA * len(run.replicas)
    return RunPlan(
        replicas=len(run.replicas),
        parameters=net.parameters,
        replica_bytes=plan.replica_bytes,
        data_bytes=store.bytes,
        copies_bytes=copies,
        replicas_per_stack=largest,
        stacks=len(plan.groups),
        jobs=plan.jobs,
        memory_bytes=store.bytes + plan.jobs * (copies + largest * plan.replica_bytes),
        epochs=training.cost.epochs,
        seconds=seconds,
    )
