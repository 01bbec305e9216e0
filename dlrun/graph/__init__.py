"""The computation graph: build an expression, take its derivatives, run it.

    from dlrun import graph as g
    from dlrun.optim import minimize

    w = g.variable(0.0, name="w")
    cost = w**2 - 10 * w + 25
    step = minimize(cost, "gradient_descent", learning_rate=0.01)
    with g.Session() as session:
        for _ in range(1000):
            session.run(step)
        print(session.run(w))  # 4.99999

Operators (+ - * / % ** @ and comparisons) and the functions below build nodes; `gradients` adds derivatives
to the same graph; a `Session` runs it. `minimize` lives in `dlrun.optim`, since optimizers are built on the graph.
"""

from dlrun.graph.arithmetic import absolute as abs
from dlrun.graph.arithmetic import (
    add,
    cast,
    cos,
    equal,
    exp,
    floor,
    inv,
    leaky_relu,
    log,
    log1p,
    maximum,
    minimum,
    mod,
    not_equal,
    relu,
    sigmoid,
    sign,
    sin,
    softplus,
    sqrt,
    square,
    step,
    tanh,
    where,
)
from dlrun.graph.arithmetic import divide as div
from dlrun.graph.arithmetic import multiply as mul
from dlrun.graph.arithmetic import negative as neg
from dlrun.graph.arithmetic import power as pow
from dlrun.graph.arithmetic import rounded as round
from dlrun.graph.arithmetic import subtract as sub
from dlrun.graph.gradients import gradients
from dlrun.graph.lookup import lookup
from dlrun.graph.node import OPS, Node, Op, apply, constant, name_scope, placeholder, register, variable
from dlrun.graph.picture import picture
from dlrun.graph.plan import Plan
from dlrun.graph.reductions import (
    affine,
    matmul,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
)
from dlrun.graph.session import Action, Session, variables_of
from dlrun.graph.shaping import concatenate, reshape, shape, squeeze, stop_gradient, transpose
from dlrun.graph.windows import average_pool, max_pool, patches

__all__ = [
    "OPS",
    "Action",
    "Node",
    "Op",
    "Plan",
    "Session",
    "abs",
    "add",
    "affine",
    "apply",
    "average_pool",
    "cast",
    "concatenate",
    "constant",
    "cos",
    "div",
    "equal",
    "exp",
    "floor",
    "gradients",
    "inv",
    "leaky_relu",
    "log",
    "log1p",
    "lookup",
    "matmul",
    "max_pool",
    "maximum",
    "minimum",
    "mod",
    "mul",
    "name_scope",
    "neg",
    "not_equal",
    "patches",
    "picture",
    "placeholder",
    "pow",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "register",
    "relu",
    "reshape",
    "round",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "softplus",
    "sqrt",
    "square",
    "squeeze",
    "step",
    "stop_gradient",
    "sub",
    "tanh",
    "transpose",
    "variable",
    "variables_of",
    "where",
]
