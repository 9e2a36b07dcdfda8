"""The slips of a future maintainer, one at a time: what each changes in a source file.

A comparison that takes its bound in or leaves it out, a sign, a number one too large, a condition turned round,
an argument that does not arrive, a statement that is gone. Not touched: messages (what is raised, text),
annotations, decorators.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SWAPS = {
    ast.Lt: ast.LtE,
    ast.Gt: ast.GtE,
    ast.Eq: ast.NotEq,
    ast.Is: ast.IsNot,
    ast.In: ast.NotIn,
    ast.Add: ast.Sub,
    ast.Mult: ast.Div,
    ast.BitAnd: ast.BitOr,
    ast.And: ast.Or,
}
SWAPS |= {new: old for old, new in SWAPS.items()} | {ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult}
MESSAGES = ("_error", "Error", "warn", "Finding")  # how the name of a call ends whose arguments are texts
OPTIONS = ("help", "description", "title", "desc", "stacklevel")  # keywords that only people see


@dataclass(frozen=True)
class Mutant:
    """One change: the bytes from `start` to `end` of a file become `after`."""

    path: str
    line: int
    where: str  # the function or the name at the top of the file that it stands in
    start: int
    end: int
    before: str
    after: str
    reach: range  # the lines that a test must run to meet it: for a default the function's; at import none of its own

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.where}: {_short(self.before)}  ->  {_short(self.after)}"

    @property
    def change(self) -> str:
        """What it changes where, without the number of the line."""
        return f"{self.path} {self.where}: {_short(self.before)}  ->  {_short(self.after)}"

    def applied(self, source: bytes) -> bytes:
        """Return the source with the change."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants(root: Path, path: str) -> list[Mutant]:
    """Return every mutant of a file, in the order of its lines."""
    source = (root / path).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, where, after, reach in _changes(ast.parse(source), "", ast.Module, range(0)):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        reach = range(node.lineno, node.lineno + 1) if reach is None else reach
        before = source[start:end].decode()
        found.append(Mutant(path, node.lineno, where, start, end, before, after, reach))
    return sorted(found, key=lambda m: (m.start, m.end, m.after))


def _changes(
    node: ast.AST, where: str, parent: type, reach: range | None
) -> Iterator[tuple[ast.AST, str, str, range | None]]:
    """Yield (a node, where it stands, the text to put in its place, its reach if not its line) for a tree."""
    if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)):
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(MESSAGES):
        return
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        where = f"{where}.{node.name}".lstrip(".")
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and parent in (ast.Module, ast.ClassDef):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        where = f"{where}.{ast.unparse(target)}".lstrip(".")
    for after in _texts(node):
        yield node, where, after, reach
    if isinstance(node, ast.If) and isinstance(node.test, (ast.Name, ast.Attribute, ast.Call)):
        if ast.unparse(node.test) != "TYPE_CHECKING":
            yield node.test, where, f"not {ast.unparse(node.test)}", reach
    for name, value in ast.iter_fields(node):
        if isinstance(node, ast.FunctionDef):
            reach = range(node.lineno, node.end_lineno + 1) if name == "args" else None
        if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not (isinstance(child, ast.keyword) and child.arg in OPTIONS):
                of_any_length = isinstance(child, ast.UnaryOp) and _is_reshape(
                    node
                )  # to NumPy, -2 is what -1 is
                found = _changes(child, where, type(node), reach)
                yield from (each for each in found if each[0] is child or not of_any_length)


def _is_reshape(node: ast.AST) -> bool:
    """Is it a call of x.reshape(...)?"""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reshape"


def _texts(node: ast.AST) -> Iterator[str]:
    """Yield what may stand in the place of a node by mistake."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            yield _text(node, ops=[SWAPS[type(op)]()])
        case ast.BinOp(op=op) if type(op) in SWAPS and not _is_text(node):
            yield _text(node, op=SWAPS[type(op)]())
        case ast.BoolOp(op=op):
            yield _text(node, op=SWAPS[type(op)]())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield f"({ast.unparse(operand)})"
        case ast.IfExp(test=test):
            yield _text(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Constant(value=bool(value)):
            yield str(not value)
        case ast.Constant(value=int(value)):
            yield str(value + 1)
        case ast.Constant(value=float(value)):
            yield repr(2 * value if value else 1.0)
        case ast.Call(func=ast.Attribute(value=value, attr="copy"), args=[], keywords=[]):
            yield ast.unparse(value)
        case ast.Call(keywords=keywords):
            for gone in keywords:
                if gone.arg and gone.arg not in OPTIONS:
                    yield _text(node, keywords=[k for k in keywords if k is not gone])
        case ast.AugAssign(op=op, target=target, value=value) if type(op) in SWAPS:
            yield ast.unparse(ast.AugAssign(target, SWAPS[type(op)](), value))
        case ast.Expr(value=ast.Call()):
            yield "pass"
        case ast.Break():
            yield "continue"
        case ast.Continue():
            yield "break"


def _text(node: ast.expr, **changed: object) -> str:
    """Return the source of an expression with some of its fields changed, in parentheses."""
    fields = {**dict(ast.iter_fields(node)), **changed}
    return f"({ast.unparse(type(node)(**fields))})"


def _is_text(node: ast.BinOp) -> bool:
    """Is this text put together, or the hint of a type?"""
    parts = (node.left, node.right)
    return any(
        isinstance(part, ast.JoinedStr)
        or (isinstance(part, ast.Constant) and not isinstance(part.value, (int, float)))
        for part in parts
    )


def _short(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())
