"""Functions as text: by the name under which they can be imported, or by their source.

What pickles and what two losses are compared by. A text is code of whoever gave the function:
it is run where a pickle is loaded (as all pickles run code) or a loss is made of it, and never
read from a model file.
"""

import ast
import dis
import importlib
import inspect
import linecache
import pickle
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

NAMED = re.compile(r"(\w+(?:\.\w+)*):(\w+(?:\.\w+)*)")


class Function:
    """A function that is equal to another with the same text.

    Parameters
    ----------
    given : callable or str
        The function; or ``"module:name"``, or Python source that ends in a lambda or a def.
    """

    def __init__(self, given: Any) -> None:
        self.call: Any
        self.text: str | None
        self.missing = ""
        if isinstance(given, Function):
            self.call, self.text, self.missing = given.call, given.text, given.missing
        elif isinstance(given, str):
            self.call, self.text = function_of(given), given
        else:
            self.call = given
            try:
                self.text = text_of(given)
            except (ValueError, RecursionError) as error:
                self.text, self.missing = None, str(error)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Function):
            return NotImplemented
        return self.call is other.call or (self.text is not None and self.text == other.text)

    def __hash__(self) -> int:
        return hash(self.call if self.text is None else self.text)

    def __repr__(self) -> str:
        return repr(self.call if self.text is None else self.text)

    def __copy__(self) -> "Function":
        return self

    def __deepcopy__(self, memo: Any) -> "Function":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.text is None:
            raise pickle.PicklingError(f"a function of a loss cannot be pickled: {self.missing}")
        return Function, (self.text,)

    @property
    def name(self) -> str:
        """Its own name; of a lambda "own"."""
        found: str = getattr(self.call, "__name__", "own")
        return found if found.isidentifier() else "own"


def text_of(function: Callable[..., Any]) -> str:
    """`module:name` where that is the very function, else its source, with what it needs.

    A function of a script or notebook has no module that another process could import: it is
    written out as well.
    """
    named = _name_of(function)
    if named is not None and not named.startswith("__main__:"):
        return named
    try:
        return _source_of(inspect.unwrap(function))
    except ValueError:
        if named is not None:
            return named
        raise


def _name_of(function: Any) -> str | None:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not isinstance(module, str) or NAMED.fullmatch(f"{module}:{name}") is None:
        return None
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return f"{module}:{name}" if found is function else None


@lru_cache(maxsize=256)
def function_of(text: str) -> Callable[..., Any]:
    """The function that a text names, or that it is the source of."""
    if found := NAMED.fullmatch(text):
        thing: Any = importlib.import_module(found[1])
        for part in found[2].split("."):
            thing = getattr(thing, part)
    else:
        thing = _run(text)
    if not callable(thing):
        raise TypeError(f"a function is wanted; {text!r} is {thing!r}")
    return thing  # type: ignore[no-any-return]


def _run(text: str) -> Any:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ValueError(
            f'a function, "module:name" or Python source is wanted; got {text!r}'
        ) from error
    last = tree.body[-1] if tree.body else None
    # Tracebacks show lines of it, and the source of the source is found.
    where = f"<own loss {hash(text):x}>"
    linecache.cache[where] = (len(text), None, text.splitlines(keepends=True), where)
    names: dict[str, Any] = {"__name__": "own_loss"}
    if isinstance(last, ast.FunctionDef):
        exec(compile(tree, where, "exec"), names)
        return names[last.name]
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Lambda):
        body = ast.Module(tree.body[:-1], [])
        exec(compile(body, where, "exec"), names)
        return eval(compile(ast.Expression(last.value), where, "eval"), names)
    raise ValueError(f"the source of a function ends in a lambda or a def; got {text!r}")


def _source_of(function: Any) -> str:
    """Source that stands alone: imports, numbers and helpers that it uses, then the function."""
    lines: dict[str, str] = {}
    node = _gather(function, lines)
    return "\n".join([*lines.values(), ast.unparse(node)])


def _gather(function: Any, lines: dict[str, str]) -> Any:
    """Syntax of a function; a line for each name that it takes from outside is added."""
    code = getattr(function, "__code__", None)
    if code is None:
        raise ValueError(f"{function!r} is no function with a source; wrap it in a def in a module")
    node = _node_of(function, code)
    node.args.defaults = [_literal(x) for x in function.__defaults__ or ()]
    keywords = function.__kwdefaults__ or {}
    node.args.kw_defaults = [
        _literal(keywords[a.arg]) if a.arg in keywords else None for a in node.args.kwonlyargs
    ]
    wanted = set(_names_in(code))
    if isinstance(node, ast.FunctionDef):
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        node.returns = None
        decorators = [x for top in node.decorator_list for x in ast.walk(top)]
        wanted |= {x.id for x in decorators if isinstance(x, ast.Name)}
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    for name in sorted(wanted):
        if name in cells:
            _add(name, cells[name].cell_contents, lines)
        elif name in function.__globals__:
            _add(name, function.__globals__[name], lines)
    return node


def _add(name: str, value: Any, lines: dict[str, str]) -> None:
    own: dict[str, str] = {}
    line = _line(name, value, own)
    for known, text in {**own, name: line}.items():
        if lines.setdefault(known, text) != text:
            raise ValueError(
                f"its source uses two things by the name {known}; call one of them something else"
            )


def _names_in(code: CodeType) -> Iterator[str]:
    """Names that a function takes from outside, and functions within it."""
    yield from code.co_freevars
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield step.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names_in(inner)


def _line(name: str, value: Any, lines: dict[str, str]) -> str:
    """A statement that gives the name its value; what that needs itself is added to the lines."""
    if isinstance(value, ModuleType):
        return f"import {value.__name__} as {name}"
    named = _name_of(value)
    if named is not None and "__main__" not in named and "." not in named.partition(":")[2]:
        module, _, own = named.partition(":")
        return f"from {module} import {own} as {name}"
    if isinstance(value, FunctionType):
        node = _gather(value, lines)
        if isinstance(node, ast.Lambda):
            return f"{name} = {ast.unparse(node)}"
        node.name = name
        return ast.unparse(node)
    return f"{name} = {ast.unparse(_literal(value, name))}"


def _literal(value: Any, name: str = "a default") -> ast.expr:
    value = value.item() if isinstance(value, np.number) else value
    try:
        ast.literal_eval(repr(value))
    except (ValueError, SyntaxError) as error:
        raise ValueError(
            f"its source uses {name}, which is neither a module, nor a function that can be "
            f"imported, nor a plain value: {value!r}; put the function in a module"
        ) from error
    return ast.parse(repr(value), mode="eval").body


def _node_of(function: Any, code: CodeType) -> Any:
    """Syntax of a function, from the file it was written in."""
    found: list[ast.stmt | ast.Lambda]
    lines = linecache.getlines(code.co_filename, function.__globals__)
    # From Python 3.13 on lines of "<string>" are those of `python -c`, not those of an `eval`.
    if not lines or code.co_filename == "<string>":
        raise ValueError(
            f"the source of {function.__qualname__!r} cannot be had ({code.co_filename}); "
            "write it in a file or a notebook, or put the function in a module"
        )
    try:
        if code.co_name != "<lambda>":
            found = [*ast.parse(textwrap.dedent(inspect.getsource(function))).body[:1]]
        else:
            found = _lambdas_at(code, ast.parse("".join(lines)))
    except (OSError, SyntaxError):
        found = []
    kinds = (ast.FunctionDef, ast.Lambda)
    named = [*code.co_varnames[: code.co_argcount]]
    found = [x for x in found if isinstance(x, kinds) and [a.arg for a in x.args.args] == named]
    if not found:
        raise ValueError(
            f"the source of {function.__qualname__!r} in {code.co_filename} is not that of its "
            "code; was it changed meanwhile?"
        )
    # Of a lambda the innermost of those around its code.
    return max(found, key=lambda x: (x.lineno, x.col_offset))


def _lambdas_at(code: CodeType, tree: ast.AST) -> list[ast.stmt | ast.Lambda]:
    """Lambdas around the places of the code's instructions: they have no name to be found by."""
    places = [
        (line, column)
        for line, end_line, column, end_column in code.co_positions()
        if line and column is not None and (line, column) != (end_line, end_column)
    ]
    return [x for x in ast.walk(tree) if isinstance(x, ast.Lambda) and _spans(x, places)]


def _spans(node: ast.Lambda, places: list[tuple[int, int]]) -> bool:
    start = (node.lineno, node.col_offset)
    end = (node.end_lineno or 0, node.end_col_offset or 0)
    return all(start <= place <= end for place in places)
