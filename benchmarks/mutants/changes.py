"""All small changes that can be made to a file: one operator, condition, constant, return value or statement each.

Left alone is what no test can or should see: docstrings, annotations, decorators, logging, texts, and the numbers that
tune (sizes, pauses); 0, 1 and 2 and sums inside functions are changed, for they are counts and indices.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_COUNTED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult}


@dataclass(frozen=True)
class Change:
    """Replace the bytes `start:end` of a file, which begin on `line`, by `text`."""

    line: int
    kind: str
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        """The changed file."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def changes(source: bytes) -> list[Change]:
    """Every change of a file, in the order of its lines. Each result still parses and says something else."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, kind, text in _visit(ast.parse(source), inside=False):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        change = Change(node.lineno, kind, start, end, text)
        if source[start:end].decode() != text and _parses(change.applied(source)):
            found.append(change)
    return sorted(dict.fromkeys(found), key=lambda change: (change.start, change.kind))


def _parses(source: bytes) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _visit(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.stmt | ast.expr, str, str]]:
    """`inside` is true below a function: code that runs when it is called, not when the file is read."""
    if isinstance(node, ast.JoinedStr) or _is_quiet(node):
        return
    if inside and isinstance(node, ast.stmt):
        yield from _of_statement(node)
    if isinstance(node, ast.expr):
        yield from _of_expression(node, inside=inside)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment", "bases", "keywords_of_class"):
            continue
        below = inside or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and name == "body")
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _visit(child, inside=below)


def _is_quiet(node: ast.AST) -> bool:
    """A docstring, a line of the log, a block for type checkers."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant):
        return True
    return isinstance(node.value, ast.Call) and ast.unparse(node.value.func).startswith(
        ("log.", "logger.", "_log.", "_logger.", "structlog.")
    )


def _is_path(node: ast.BinOp) -> bool:
    """`folder / name`: any change of it is an error at once, which proves nothing."""
    return isinstance(node.op, ast.Div) and not any(
        isinstance(side, ast.Constant) and isinstance(side.value, int | float) for side in (node.left, node.right)
    )


def _of_statement(node: ast.stmt) -> Iterator[tuple[ast.stmt | ast.expr, str, str]]:
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Yield | ast.YieldFrom):
        yield node, "statement left out", "pass"
    elif isinstance(node, ast.Raise):
        yield node, "error not raised", "pass"
    elif isinstance(node, ast.AugAssign | ast.Delete):
        yield node, "statement left out", "pass"
    elif isinstance(node, ast.Break):
        yield node, "break for continue", "continue"
    elif isinstance(node, ast.Continue):
        yield node, "continue for break", "break"
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) not in ("None", "False"):
        yield node, "nothing returned", "return None"
    elif isinstance(node, ast.If | ast.While):
        yield node.test, "condition turned round", f"(not ({ast.unparse(node.test)}))"


def _of_expression(node: ast.expr, *, inside: bool) -> Iterator[tuple[ast.expr, str, str]]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[place] = _COMPARED[type(operator)]()
            yield node, "other comparison", f"({ast.unparse(changed)})"
    elif isinstance(node, ast.BoolOp):
        changed_bool = copy.deepcopy(node)
        changed_bool.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, "and for or", f"({ast.unparse(changed_bool)})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, "not left out", f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.IfExp):
        yield node.test, "condition turned round", f"(not ({ast.unparse(node.test)}))"
    elif inside and isinstance(node, ast.BinOp) and type(node.op) in _COUNTED and not _is_path(node):
        changed_bin = copy.deepcopy(node)
        changed_bin.op = _COUNTED[type(node.op)]()
        yield node, "other arithmetic", f"({ast.unparse(changed_bin)})"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, "true for false", str(not node.value)
    elif inside and isinstance(node, ast.Constant) and type(node.value) is int and node.value in (0, 1, 2):
        yield node, "one more", str(node.value + 1)
