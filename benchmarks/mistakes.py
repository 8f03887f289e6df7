"""Single-place mistakes of a Python module: subtle ones, each a small edit of its text found in its syntax tree."""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
NAMES = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "minimum": "maximum",
    "maximum": "minimum",
    "floor": "ceil",
    "ceil": "floor",
    "argmin": "argmax",
    "argmax": "argmin",
    "sum": "mean",
    "mean": "sum",
    "removeprefix": "removesuffix",
    "startswith": "endswith",
    "endswith": "startswith",
}
"""Functions and methods that are easily mixed up."""
DROPPED_CALLS = {"clip", "sorted", "sqrt", "abs", "log1p", "reversed", "round", "nan_to_num", "unique", "softplus"}
"""Functions whose first argument could stand there alone; of methods, what they are called on."""
DROPPED_METHODS = {"clip", "lower", "strip", "copy", "transpose", "detach", "cumsum", "resolve", "astype"}
DROPPED_KEYWORDS = {
    "key",
    "reverse",
    "kind",
    "side",
    "default",
    "minlength",
    "ddof",
    "keepdims",
    "order",
    "assume_unique",
}
"""Keywords that a call often works without."""
MODULES = ("np", "torch", "math", "pc", "pa", "functional")
SILENT = {"log", "logger", "logging", "warnings", "print", "suppress", "super"}
"""Beginnings of calls whose absence changes no answer."""


@dataclass(frozen=True)
class Mistake:
    """One edit of a module: the text from `start` to `end` becomes `after`; function: its name, "" at the top."""

    path: str
    line: int
    function: str
    kind: str
    start: int
    end: int
    before: str
    after: str

    @property
    def name(self) -> str:
        """A name that stays when the mistake's line moves in its file."""
        return f"{self.path} {self.function or 'module'}: `{_short(self.before)}` -> `{_short(self.after)}`"

    def applied(self, source: str) -> str:
        return source[: self.start] + self.after + source[self.end :]


def mistakes(path: str, source: str) -> list[Mistake]:
    """Every mistake that can be made in a module; a few of them do not compile."""
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    return finder.found


def compiles(source: str) -> bool:
    """True if a text is a Python module."""
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(source, "mistake", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: str) -> None:
        self.path, self.source = path, source
        self.found: list[Mistake] = []
        self.scope: list[str] = []
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._bytes = source.splitlines()

    # Places

    def _offset(self, line: int, column: int) -> int:
        """Of a place in the text; the tree counts columns in bytes."""
        return self._lines[line - 1] + len(self._bytes[line - 1].encode()[:column].decode())

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self._offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self.source[start:end]

    def _add(self, kind: str, node: ast.AST, after: str) -> None:
        start, end = self._span(node)
        before = self.source[start:end]
        if before != after:
            self.found.append(
                Mistake(self.path, node.lineno, ".".join(self.scope), kind, start, end, before, after)  # type: ignore[attr-defined]
            )

    def _rewrite(self, kind: str, node: ast.expr, **fields: object) -> None:
        """The node with other fields."""
        values = {name: getattr(node, name) for name in node._fields} | fields
        self._add(kind, node, f"({ast.unparse(type(node)(**values))})")  # type: ignore[arg-type]

    # Scopes, and what is left alone

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.scope.append(node.name)
        for default in (*node.args.defaults, *(one for one in node.args.kw_defaults if one)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)
        self.scope.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self.scope.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Texts for people are left out."""

    def visit_Raise(self, node: ast.Raise) -> None:
        """Nor are errors."""

    def visit_Import(self, node: ast.Import) -> None: ...
    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...
    def visit_Assert(self, node: ast.Assert) -> None: ...

    # Statements

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant) or _root(node.value) in SILENT:
            return
        if isinstance(node.value, ast.Call):
            self._add("statement", node, "pass")
        self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Subscript | ast.Attribute) for target in node.targets) and self.scope:
            self._add("statement", node, "pass")
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._add("statement", node, "pass")
        swapped = OPERATORS.get(type(node.op))
        if swapped:
            self._add("operator", node, ast.unparse(ast.AugAssign(node.target, swapped(), node.value)))
        self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if _is_type_checking(node.test):
            return
        self._condition(node.test)
        if not node.orelse and not isinstance(node.test, ast.Constant):
            self._add("condition", node.test, "False")
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._add(
            "negation", node, f"({self._text(node.orelse)} if {self._text(node.test)} else {self._text(node.body)})"
        )
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add("loop", node, "break")

    def visit_Break(self, node: ast.Break) -> None:
        self._add("loop", node, "continue")

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self._add("condition", condition, "True")
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return  # its own mistake
        self._add("negation", test, f"not ({self._text(test)})")

    # Expressions

    def visit_Compare(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            operators = [*node.ops[:place], COMPARISONS[type(operator)](), *node.ops[place + 1 :]]
            self._rewrite("comparison", node, ops=operators)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._rewrite("logic", node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for place in range(len(node.values)):
            left = [*node.values[:place], *node.values[place + 1 :]]
            self._add("condition", node, f"({f' {_word(node.op)} '.join(self._text(one) for one in left)})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self._add("negation", node, f"({self._text(node.operand)})")
        if not isinstance(node.operand, ast.Constant):
            self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        swapped = OPERATORS.get(type(node.op))
        if swapped and not _is_text(node.left) and not _is_text(node.right) and not _is_type(node):
            self._rewrite("operator", node, op=swapped())
        if isinstance(node.op, ast.Sub | ast.MatMult):
            self._rewrite("operands", node, left=node.right, right=node.left)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._add("flag", node, str(not value))
        elif isinstance(value, int):
            self._add("constant", node, str(value + 1))
            if value > 0:
                self._add("constant", node, str(value - 1))
        elif isinstance(value, float):
            self._add("constant", node, repr(value * 2 if value else 1.0))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr == "T":
            self._add("transposition", node, self._text(node.value))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.slice, ast.Slice) and not node.slice.step:
            for bound in ("lower", "upper"):
                if getattr(node.slice, bound):
                    cut = ast.Slice(**{"lower": node.slice.lower, "upper": node.slice.upper, bound: None})
                    self._rewrite("slice", node, slice=cut)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _root(node) in SILENT:
            return
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        self._other_function(node, name)
        self._left_out(node, name)
        self.visit(node.func)
        for one in node.args:
            self.visit(one)
        for keyword in node.keywords:
            if keyword.arg not in ("encoding", "strict", "indent", "copy", "frozen", "eq"):
                self.visit(keyword.value)

    def _other_function(self, node: ast.Call, name: str) -> None:
        """Another function that could be called by mistake."""
        if name not in NAMES:
            return
        if isinstance(node.func, ast.Attribute):
            self._rewrite("function", node, func=ast.Attribute(node.func.value, NAMES[name], ast.Load()))
        elif name != "sum":
            self._rewrite("function", node, func=ast.Name(NAMES[name], ast.Load()))

    def _left_out(self, node: ast.Call, name: str) -> None:
        """The call, one of its bounds, or one of its keywords."""
        is_method = isinstance(node.func, ast.Attribute) and _root(node.func) not in MODULES
        if isinstance(node.func, ast.Attribute) and is_method and name in DROPPED_METHODS:
            self._add("call", node, self._text(node.func.value))
        elif not is_method and name in DROPPED_CALLS and node.args:
            after = self._text(node.args[0])
            self._add("call", node, f"list({after})" if name in ("sorted", "reversed") else after)
        if name in ("min", "max", "minimum", "maximum") and len(node.args) == 2 and not node.keywords:
            for one in node.args:
                self._add("clip", node, self._text(one))
        for keyword in node.keywords:
            if keyword.arg in DROPPED_KEYWORDS:
                kept = [one for one in node.keywords if one is not keyword]
                self._rewrite("keyword", node, keywords=kept)


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _word(operator: ast.boolop) -> str:
    return "and" if isinstance(operator, ast.And) else "or"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_type(node: ast.BinOp) -> bool:
    return isinstance(node.op, ast.BitOr) and any(
        isinstance(one, ast.Constant) or (isinstance(one, ast.Name) and (one.id[:1].isupper() or one.id in _TYPES))
        for one in (node.left, node.right)
    )


_TYPES = {"int", "str", "float", "bool", "bytes", "dict", "list", "tuple", "set"}


def _is_type_checking(node: ast.expr) -> bool:
    return "TYPE_CHECKING" in ast.dump(node)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 100 else f"{flat[:97]}..."


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Qualified name and first line of every function of a module."""
    waiting: list[tuple[str, ast.AST]] = [("", ast.parse(source))]
    while waiting:
        scope, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            name = scope
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{scope}.{child.name}".lstrip(".")
                if isinstance(child, ast.FunctionDef):
                    yield name, child.lineno
            waiting.append((name, child))
