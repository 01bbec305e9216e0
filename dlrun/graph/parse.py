"""Expressions typed by a user, such as `w**2 - 10*w + 25`, turned into values without running them.

Python's own parser reads the text, and a whitelist decides what of its syntax tree is arithmetic:
numbers, names, + - * / % **, signs, brackets, and calls of given functions. Everything else is refused with
a caret under it. Nothing is ever compiled or evaluated by Python.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import math
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dlrun.errors import ConfigError, DlrunError

MAX_LENGTH = 10_000
MAX_DEPTH = 500
MAX_INTEGER_EXPONENT = 1_000
_EXACT_INTEGERS = 2**53  # beyond, an integer becomes the float it would be in an array
_EXCERPT = 70

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}

_HINTS: dict[type[ast.AST], str] = {
    ast.BitXor: "'^' is not a power here: write ** as in w**2",
    ast.FloorDiv: "'//' is not known: write / for a quotient",
    ast.MatMult: "'@' is not known: write * for a product",
    ast.Compare: "a comparison has no value to minimize",
    ast.BoolOp: "'and' and 'or' are no arithmetic",
    ast.IfExp: "'if … else' is no arithmetic",
    ast.Attribute: "a dot after a name is not allowed",
    ast.Subscript: "square brackets are not allowed: write round ones",
    ast.List: "square brackets are not allowed: write round ones",
    ast.Tuple: "a comma stands only between the arguments of a function; a decimal point is '.'",
    ast.JoinedStr: "text is not allowed",
}


def parse_expression(
    text: str,
    *,
    functions: Mapping[str, Callable[..., Any]],
    constants: Mapping[str, float],
    variable: Callable[[str], Any],
) -> Any:
    """The value of `text`, built by Python's operators from numbers and what `variable` returns.

    `variable(name)` is called once for each name that is no constant and no function; what it returns must
    overload the operators and be accepted by `functions`. Operators bind as in Python: -w**2 is -(w**2).
    An expression without a name comes out as a number.

    Raises `ConfigError`, with a caret under the place, for anything that is not arithmetic over these
    names; for more than 10 000 characters, 500 levels of nesting or an integer exponent beyond ±1000; and
    for a constant that is no finite real number.
    """
    return _Reader(text, functions=functions, constants=constants, variable=variable).value()


class _Reader:
    """One expression while it is read."""

    def __init__(
        self,
        text: str,
        *,
        functions: Mapping[str, Callable[..., Any]],
        constants: Mapping[str, float],
        variable: Callable[[str], Any],
    ) -> None:
        # One line without leading space, as the parser wants it, and with the columns of the user's text.
        self._text = "".join(" " if character in "\t\r\n\f" else character for character in text).strip()
        self._functions = functions
        self._constants = constants
        self._variable = variable
        self._variables: dict[str, Any] = {}

    def value(self) -> Any:
        """Evaluate the tree bottom up, with a stack of our own: a long sum is a deep tree."""
        values: list[Any] = []
        waiting: list[tuple[ast.expr, int, bool]] = [(self._tree(), 1, False)]
        while waiting:
            node, depth, ready = waiting.pop()
            if ready:
                self._reduce(node, values)
                continue
            if depth > MAX_DEPTH:
                raise self._error(f"more than {MAX_DEPTH} operations inside one another", node)
            waiting.append((node, depth, True))
            waiting.extend((child, depth + 1, False) for child in reversed(self._operands(node)))
        return values.pop()

    def _tree(self) -> ast.expr:
        text = self._text
        if not text:
            raise ConfigError("the expression is empty; write one such as 'w**2 - 10*w + 25'")
        if len(text) > MAX_LENGTH:
            raise ConfigError(f"the expression has {len(text)} characters; at most {MAX_LENGTH} are read")
        if "#" in text:
            raise self._error_at("'#' is not allowed", text.index("#"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what Python would warn of is refused below
                return ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise self._syntax_error(error) from None
        except (RecursionError, MemoryError):
            raise ConfigError("the expression is nested too deeply to be read") from None
        except ValueError as error:  # a null byte, a number of thousands of digits
            raise ConfigError(f"the expression cannot be read: {error}") from None

    def _operands(self, node: ast.expr) -> list[ast.expr]:
        """The parts to evaluate first; anything that is not on the whitelist is refused here."""
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return [node.left, node.right]
        if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
            return [node.operand]
        if isinstance(node, ast.Call):
            return self._arguments(node)
        if isinstance(node, ast.Name | ast.Constant):
            return []
        kind = type(node.op) if isinstance(node, ast.BinOp | ast.UnaryOp) else type(node)
        raise self._error(_HINTS.get(kind, "this is not arithmetic"), node)

    def _arguments(self, node: ast.Call) -> list[ast.expr]:
        if not isinstance(node.func, ast.Name):
            raise self._error("only a function's name can stand before '('; a product needs '*'", node)
        name = node.func.id
        if name not in self._functions:
            if name in self._constants or len(name) == 1:
                raise self._error(f"{name!r} is not a function; a product needs '*'", node)
            raise self._error(f"there is no function {name!r}; {self._known_functions(name)}", node)
        if node.keywords:
            raise self._error("arguments with names are not allowed", node.keywords[0].value)
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                raise self._error("'*' before an argument is not allowed", argument)
        return node.args

    def _reduce(self, node: ast.expr, values: list[Any]) -> None:
        """Replace the operands of `node` on top of the stack by its value."""
        if isinstance(node, ast.Constant):
            values.append(self._number(node))
        elif isinstance(node, ast.Name):
            values.append(self._name(node))
        elif isinstance(node, ast.UnaryOp):
            values.append(self._apply(node, _UNARY[type(node.op)], [values.pop()]))
        elif isinstance(node, ast.BinOp):
            right, left = values.pop(), values.pop()
            if isinstance(node.op, ast.Pow):
                self._check_exponent(right, node.right)
            values.append(self._apply(node, _BINARY[type(node.op)], [left, right]))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            count = len(node.args)
            arguments = values[len(values) - count :]
            del values[len(values) - count :]
            function = self._functions[node.func.id]
            self._check_arity(node, node.func.id, function, arguments)
            values.append(self._apply(node, function, arguments))

    def _number(self, node: ast.Constant) -> Any:
        if isinstance(node.value, complex):
            raise self._error("imaginary numbers are not allowed", node)
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._error("only numbers, names and functions are allowed", node)
        return self._real(node.value, node)

    def _name(self, node: ast.Name) -> Any:
        name = node.id
        if name in self._functions:
            raise self._error(f"{name!r} is a function and needs its argument: {name}(…)", node)
        if name in self._constants:
            return self._constants[name]
        if name not in self._variables:
            self._variables[name] = self._variable(name)
        return self._variables[name]

    def _apply(self, node: ast.expr, function: Callable[..., Any], arguments: list[Any]) -> Any:
        try:
            return self._real(function(*arguments), node)
        except ZeroDivisionError:
            raise self._error("division by zero", node) from None
        except OverflowError:
            raise self._error("the number is too large", node) from None
        except (DlrunError, TypeError, ValueError) as error:
            if self._is_placed(error):
                raise
            raise self._error(str(error), node) from error

    def _real(self, value: Any, node: ast.expr) -> Any:
        """Constants stay finite reals: integers too large to be exact become floats."""
        if isinstance(value, complex):
            raise self._error("the value is not a real number", node)
        if isinstance(value, int) and abs(value) > _EXACT_INTEGERS:
            try:
                value = float(value)
            except OverflowError:
                raise self._error("the number is too large", node) from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error("the number is too large" if math.isinf(value) else "not a number", node)
        return value

    def _check_exponent(self, exponent: Any, node: ast.expr) -> None:
        if isinstance(exponent, int) and abs(exponent) > MAX_INTEGER_EXPONENT:
            raise self._error(f"the exponent is beyond ±{MAX_INTEGER_EXPONENT}", node)

    def _check_arity(self, node: ast.Call, name: str, function: Callable[..., Any], arguments: list[Any]) -> None:
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as error:
            raise self._error(f"{name}: {error} ({len(arguments)} given)", node) from None
        except ValueError:  # a function of C without a signature checks its arguments itself
            return

    def _known_functions(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._functions, n=3)
        return f"did you mean {_listed(near)}?" if near else f"there are {', '.join(sorted(self._functions))}"

    # -- errors with a caret ------------------------------------------------------------------------

    def _error(self, message: str, node: ast.expr) -> ConfigError:
        column = len(self._text.encode()[: node.col_offset].decode(errors="ignore"))
        if isinstance(node, ast.BinOp):  # the operator, not the beginning of its left operand
            end = len(self._text.encode()[: node.left.end_col_offset].decode(errors="ignore"))
            column = end + len(self._text[end:]) - len(self._text[end:].lstrip(" )"))
        return self._error_at(message, column)

    def _syntax_error(self, error: SyntaxError) -> ConfigError:
        column = max((error.offset or 1) - 1, 0)
        message = str(error.msg).split(". ")[0]  # what Python would suggest is about programs
        if "decimal literal" in message or "forgot a comma" in str(error.msg):
            message = "an operator is missing here; a product needs '*', as in 2*w"
        elif "null byte" in message:
            message = "a null byte is not allowed"
        elif "=" in self._text and "==" not in self._text:
            message, column = "'=' is not allowed: write the cost alone", self._text.index("=")
        return self._error_at(message, column)

    def _error_at(self, message: str, column: int) -> ConfigError:
        """The message, the part of the expression around `column`, and a caret under it."""
        start = max(0, column - _EXCERPT // 2)
        before = "…" if start else ""
        part = self._text[start : start + _EXCERPT]
        after = "…" if start + _EXCERPT < len(self._text) else ""
        shown = "".join(character if character.isprintable() else "?" for character in part)
        caret = " " * (column - start + len(before)) + "^"
        return ConfigError(f"in the expression: {message}\n  {before}{shown}{after}\n  {caret}")

    @staticmethod
    def _is_placed(error: Exception) -> bool:
        return isinstance(error, ConfigError) and str(error).startswith("in the expression: ")


def _listed(names: Iterable[str]) -> str:
    return " or ".join(map(repr, names))
