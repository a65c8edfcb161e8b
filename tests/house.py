"""The modules of the package and what they import.

Run as a script, it prints a table of the imports between folders.

    python tests/house.py
"""

import ast
from collections import Counter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "h2q"
# A folder imports only from folders on lower floors.
FLOORS = {
    "system": 1,
    "config": 2,
    "documents": 2,
    "memory": 3,
    "model": 4,
    "checkpoint": 5,
    "datasets": 5,
    "generation": 6,
    "evaluation": 7,
    "asking": 8,
    "training": 8,
    "evolution": 9,
    "cli": 10,
}


def module_name(path: Path) -> str:
    """``h2q.model.attention`` for the path of that module."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def path_of(module: str) -> Path:
    """The file of a module that is no package."""
    return PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")


TREES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
MODULES = [name for name in TREES if path_of(name).is_file()]  # without the packages themselves


def imports(module: str) -> set[str]:
    """Dotted names that ``module`` imports anywhere, also within functions."""
    return imports_of(TREES[module])


def imports_of(tree: ast.AST) -> set[str]:
    """Dotted names that the code in ``tree`` imports, those of modules as far as they are known."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in TREES else node.module for name in within}
    return found


def folder(module: str) -> str:
    """``model`` for ``h2q.model.attention``, ``config`` for ``h2q.config``."""
    return module.split(".")[1]


def own_imports(module: str) -> set[str]:
    """The modules of the package that ``module`` imports."""
    return {name for name in imports(module) if name.startswith("h2q.")}


def main() -> None:
    arrows = Counter(
        (folder(module), folder(target))
        for module in MODULES
        for target in own_imports(module)
        if folder(module) != folder(target)
    )
    order = sorted(FLOORS, key=lambda name: -FLOORS[name])
    print(f"{'imports':>12}", *(f"{name:>10}" for name in order), sep="")
    for name in order:
        counts = (arrows.get((name, target), 0) or "·" for target in order)
        print(f"{name:>12}", *(f"{count:>10}" for count in counts), sep="")
    print(f"{len(MODULES)} modules in {len(FLOORS)} places, {len(arrows)} arrows between them")


if __name__ == "__main__":
    main()
