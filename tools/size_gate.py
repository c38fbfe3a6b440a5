"""Fails when a file, function, class, parameter list or folder outgrows the house's limits (CONTRIBUTING.md)."""

import ast
import sys
from pathlib import Path

FILE_LINES, FUNCTION_LINES, CLASS_LINES, PARAMETERS, FOLDER_FILES = 400, 50, 250, 6, 14


def main() -> int:
    root = Path(__file__).parent.parent / "src" / "leveret"
    complaints = [complaint for path in sorted(root.rglob("*.py")) for complaint in check_file(path, root.parent)]
    complaints += [
        complaint for folder in sorted({p.parent for p in root.rglob("*.py")}) for complaint in check_folder(folder)
    ]
    print("\n".join(complaints) or "size gate: all files within limits")
    return 1 if complaints else 0


def check_file(path: Path, base: Path) -> list[str]:
    text = path.read_text()
    name = str(path.relative_to(base))
    lines = text.count("\n")
    complaints = [f"{name}: {lines} lines, at most {FILE_LINES}"] if lines > FILE_LINES else []
    for node in ast.walk(ast.parse(text)):
        complaints += check_node(node, name)
    return complaints


def check_node(node: ast.AST, name: str) -> list[str]:
    if isinstance(node, ast.ClassDef):
        return _too_long(node, name, CLASS_LINES)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return _too_long(node, name, FUNCTION_LINES) + _too_many_parameters(node, name)
    return []


def _too_long(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str, limit: int) -> list[str]:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    return [f"{name}:{node.lineno}: {node.name} has {lines} lines, at most {limit}"] if lines > limit else []


def _too_many_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> list[str]:
    decorators = {ast.unparse(d).rsplit(".", 1)[-1] for d in node.decorator_list}
    if "overload" in decorators:
        return []
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    count = len([n for n in names if n not in ("self", "cls")])
    # What Celery fixed (send_task, apply_async, get ...) keeps its parameters and says so in its docstring.
    if count > PARAMETERS and "Celery's signature" not in (ast.get_docstring(node) or ""):
        return [f"{name}:{node.lineno}: {node.name} takes {count} parameters, at most {PARAMETERS}"]
    return []


def check_folder(folder: Path) -> list[str]:
    files = [p for p in folder.iterdir() if p.suffix in (".py", ".sql", ".lua") and p.name != "__init__.py"]
    return (
        [f"{folder}: {len(files)} files, at most {FOLDER_FILES}"]
        if len(files) > FOLDER_FILES and folder.name != "queries"
        else []
    )


if __name__ == "__main__":
    sys.exit(main())
