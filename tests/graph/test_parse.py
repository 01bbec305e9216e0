"""Expressions against Python's own arithmetic, and hostile text."""

from __future__ import annotations

import ast
import math
import string
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlrun.errors import ConfigError, GraphError
from dlrun.graph.parse import MAX_DEPTH, MAX_LENGTH, parse_expression

FUNCTIONS = {"exp": lambda x: math.exp(x), "sqrt": lambda x: math.sqrt(x), "square": lambda x: x * x}
CONSTANTS = {"pi": math.pi}


def value(text: str, **variables: float) -> Any:
    return parse_expression(text, functions=FUNCTIONS, constants=CONSTANTS, variable=variables.__getitem__)


class Symbol:
    """A variable that writes down what is done to it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _with(self, op: str, other: Any) -> Symbol:
        return Symbol(f"({self.text}{op}{other})")

    def __add__(self, other: Any) -> Symbol:
        return self._with("+", other)

    def __radd__(self, other: Any) -> Symbol:
        return Symbol(f"({other}+{self.text})")

    def __pow__(self, other: Any) -> Symbol:
        return self._with("**", other)

    def __neg__(self) -> Symbol:
        return Symbol(f"(-{self.text})")

    def __str__(self) -> str:
        return self.text


def symbolic(text: str) -> str:
    return str(parse_expression(text, functions=FUNCTIONS, constants=CONSTANTS, variable=Symbol))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w**2 - 10*w + 25", 9.0),  # the cost of the first course at w = 2
        ("-w**2", -4.0),
        ("2**-w", 0.25),
        ("2**3**2", 512),
        ("7 % 4 - 7 / 2", -0.5),
        ("+(w)", 2.0),
        ("sqrt(square(w)) * pi", 2 * math.pi),
        ("  w\n + 1\t", 3.0),
        ("1e3 + .5 + 1_000", 2000.5),
        ("8.0 ** (1/3)", 2.0),
    ],
)
def test_arithmetic(text: str, expected: float) -> None:
    assert value(text, w=2.0) == pytest.approx(expected)


def test_variables_overload_the_operators_and_are_made_once() -> None:
    assert symbolic("-w**2 + 1") == "((-(w**2))+1)"
    made: list[str] = []

    def make(name: str) -> Symbol:
        made.append(name)
        return Symbol(name)

    parse_expression("w + b + w", functions={}, constants={}, variable=make)
    assert made == ["w", "b"]


@pytest.mark.parametrize(
    ("text", "message", "caret"),
    [
        ("w ^ 2", r"write \*\*", 2),
        ("(w) ^ 2", r"write \*\*", 4),
        ("exq(w)", r"no function 'exq'; did you mean 'exp'", 0),
        ("1 + foo(w)", r"no function 'foo'; there are exp, sqrt, square", 4),
        ("exp + 1", r"'exp' is a function", 0),
        ("exp(w, w)", r"too many positional arguments \(2 given\)", 0),
        ("exp()", r"missing a required argument", 0),
        ("exp(x=w)", r"arguments with names", 6),
        ("exp(*w)", r"'\*' before an argument", 4),
        ("2*w + 3(w+1)", r"a product needs '\*'", 6),
        ("w(2)", r"a product needs '\*'", 0),
        ("2w", r"a product needs '\*'", 0),
        ("w.real", r"a dot after a name", 0),
        ("w[0]", r"square brackets", 0),
        ("w == 1", r"comparison", 0),
        ("w = 1", r"'=' is not allowed", 2),
        ("w if w else w", r"'if", 0),
        ("w and 1", r"'and'", 0),
        ("w // 2", r"write /", 2),
        ("w @ w", r"write \*", 2),
        ("~w", r"not arithmetic", 0),
        ("1,5*w", r"decimal point", 0),
        ("'w'", r"only numbers, names and functions", 0),
        ("True", r"only numbers", 0),
        ("3j", r"imaginary", 0),
        ("w # note", r"'#'", 2),
        ("1/0", r"division by zero", 1),
        ("(-8) ** 0.5", r"not a real number", 5),
        ("w**1001", r"beyond ±1000", 3),
        ("1e999", r"too large", 0),
        ("sqrt(-1)", r"math domain|nonnegative", 0),
        ("ü + ü + foo(w)", r"no function", 8),
    ],
)
def test_errors_point_to_the_place(text: str, message: str, caret: int) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        value(text, w=2.0, ü=1.0, x=1.0)
    _, shown, pointer = str(caught.value).split("\n")
    assert shown == f"  {text}"
    assert pointer.index("^") - 2 == caret


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "open('/etc/passwd')",
        "().__class__.__bases__",
        "lambda: 1",
        "(x := 1)",
        "[w for w in w]",
        "{w: 1}",
        "f'{w}'",
        "await w",
        "yield",
        "*w",
        "...",
        "w\\\n+1",
        "w;w",
        "w\x00",
        "\ufeffw",
        "",
        "   ",
        "(",
        ")",
        "9**9**9**9",
        "2**1000**1000",
        "10.0**400",
        "1" * 9_999,
        "-" * 9_000 + "w",
        "(" * 4_000 + "w" + ")" * 4_000,
        "+".join("w" * (MAX_DEPTH + 2)),
        "w" * (MAX_LENGTH + 1),
        "exp(" * 150 + "w" + ")" * 150 + "(",
    ],
)
def test_hostile_text_is_refused_at_once(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ConfigError):
        value(text, w=2.0, x=1.0)
    assert time.perf_counter() - start < 1.0


def test_a_long_sum_is_read() -> None:
    assert value("+".join(["w"] * MAX_DEPTH), w=1.0) == MAX_DEPTH


def test_a_long_expression_is_shown_in_part() -> None:
    with pytest.raises(ConfigError) as caught:
        value("w + " * 100 + "foo(w)" + " + w" * 100, w=1.0)
    _, shown, pointer = str(caught.value).split("\n")
    assert len(shown) < 80
    assert shown[pointer.index("^") :].startswith("foo(w)")


def test_an_error_of_the_graph_gets_its_place() -> None:
    def refuse(x: Any) -> Any:
        raise GraphError("matmul: shapes do not match")

    with pytest.raises(ConfigError, match="shapes do not match\n  1 \\+ bad\\(w\\)\n      \\^"):
        parse_expression("1 + bad(w)", functions={"bad": refuse}, constants={}, variable=Symbol)


def expressions() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(["w", "b", "2", "0.5", "1e-3", "pi"])

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, st.sampled_from("+-*/%"), inner).map(" ".join),
            inner.map("({})".format),
            inner.map("-{}".format),
            inner.map("square({})".format),
            st.tuples(inner, st.sampled_from("23")).map(lambda pair: f"({pair[0]})**{pair[1]}"),
        )

    return st.recursive(leaves, larger, max_leaves=12)


@given(expressions())
@settings(max_examples=150, deadline=None)
def test_agrees_with_python(text: str) -> None:
    names = {"w": 1.5, "b": -0.75, **CONSTANTS, **FUNCTIONS}
    try:
        expected = eval(compile(ast.parse(text, mode="eval"), "test", "eval"), {"__builtins__": {}}, names)
    except (ZeroDivisionError, OverflowError):
        expected = None
    if expected is None or not math.isfinite(expected):
        with pytest.raises(ConfigError):
            value(text, w=1.5, b=-0.75)
    else:
        assert value(text, w=1.5, b=-0.75) == pytest.approx(expected)


@given(st.text(alphabet=string.printable + "é∂\x00\u202e", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_number_or_an_error_of_ours(text: str) -> None:
    try:
        result = parse_expression(text, functions=FUNCTIONS, constants=CONSTANTS, variable=lambda name: 1.25)
    except ConfigError:
        return
    assert isinstance(result, int | float)
