"""Which folder may import which, what is loaded when, and what no module may do."""

import ast
import graphlib
import sys

import pytest

from tests import house
from tests.conftest import REPOSITORY, run_python
from tests.house import FLOORS, MODULES, TREES, folder, imports, own_imports

DEPENDENCIES = {"torch", "numpy", "tqdm"}
EXTRAS = {  # of pyproject.toml: the packages that each brings, and the one module that uses them
    "h2q.cli.settings_file": {"tomli"},
    "h2q.cli.report_plot": {"matplotlib"},
    "h2q.checkpoint.export": {"safetensors"},
    "h2q.documents.pdf": {"pypdf"},
    "h2q.cli.completion": {"shtab"},
    "h2q.training.tensorboard": {"tensorboard"},
}
# What ``--help`` needs: it loads no library.
LIGHT = [
    *(name for name in MODULES if folder(name) in ("system", "config")),
    *("h2q.cli.main", "h2q.cli.arguments", "h2q.cli.settings", "h2q.cli.settings_file"),
    *("h2q.cli.completion", "h2q.cli.help_formatter"),
]
# The one module that uses names of PyTorch that are not public.
PRIVATE = "h2q.system.torch_private"
LIGHT = [name for name in LIGHT if name not in ("h2q.system.device", PRIVATE)]  # they ask PyTorch
MOST_LINES = 350  # of a module
MOST_LINES_OF_A_FUNCTION = 40
SCRIPTS = {
    "local_training_system": ["LocalModelTrainer", "SelfEvolutionEngine"],
    "local_inference_demo": ["LocalInferenceModel"],
}
POSIX = {"fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "readline", "curses"}
POSIX_OS = {"fork", "getuid", "geteuid", "sched_getaffinity", "getloadavg", "uname", "killpg"}
NETWORK = {
    *("socket", "socketserver", "ssl", "asyncio", "http", "urllib", "ftplib", "smtplib"),
    *("poplib", "imaplib", "xmlrpc", "webbrowser", "multiprocessing"),
}
each_module = pytest.mark.parametrize("module", MODULES)


def loaded_by(code: str) -> set:
    """The heavy libraries in memory after a new process ran ``code``."""
    code += f"\nimport sys; print(*({DEPENDENCIES!r} & set(sys.modules)), file=sys.stderr)"
    return set(run_python(code).stderr.split())


def test_every_folder_has_its_floor():
    assert {folder(module) for module in MODULES} == set(FLOORS)


@each_module
def test_a_module_imports_only_from_lower_floors(module):
    """It may import from its own folder too."""
    above = {
        name
        for name in own_imports(module)
        if folder(name) != folder(module) and FLOORS[folder(name)] >= FLOORS[folder(module)]
    }
    assert not above


def test_modules_do_not_import_each_other_in_a_circle():
    graph = {module: own_imports(module) for module in MODULES}
    list(graphlib.TopologicalSorter(graph).static_order())


@each_module
def test_a_module_can_be_read_in_one_sitting(module):
    lines = house.path_of(module).read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES


@each_module
def test_a_function_fits_on_a_screen(module):
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno - node.lineno >= MOST_LINES_OF_A_FUNCTION
    }
    assert not long


@each_module
def test_a_module_has_tests_of_its_own(module):
    """In the same folder below ``tests``; the rooms of the catalogue share those of the catalogue."""
    if module.startswith("h2q.system.messages."):
        module = "h2q.system.messages.catalogue"
    *folders, name = module.split(".")[1:]
    assert REPOSITORY.joinpath("tests", *folders, f"test_{name}.py").is_file()


def test_the_package_itself_imports_none_of_its_modules():
    """Exceptions: what only type checkers read, and a public name when it is first used."""
    body = [
        node
        for node in TREES["h2q"].body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    assert not any(name.startswith("h2q") for name in house.imports_of(ast.Module(body, [])))


@each_module
def test_a_module_imports_nothing_but_the_three_dependencies(module):
    others = {name.split(".")[0] for name in imports(module)} - {"h2q"}
    foreign = others - set(sys.stdlib_module_names)
    allowed = {"tqdm"} if module in LIGHT else DEPENDENCIES
    assert foreign <= allowed | EXTRAS.get(module, set())


def test_extras_are_imported_only_when_they_are_used():
    """Within functions, so that only their users need them."""
    for module, names in EXTRAS.items():
        at_import = {
            ast.unparse(node)
            for node in TREES[module].body
            if isinstance(node, (ast.Import, ast.ImportFrom))
        }
        assert not any(name in line for name in names for line in at_import)


@pytest.mark.parametrize("module", TREES)
def test_a_module_says_what_it_does(module):
    assert len(ast.get_docstring(TREES[module]) or "") > 20


@each_module
def test_what_only_posix_has_is_imported_with_a_fallback(module):
    """At the top of ``try``, with the ``except ImportError`` of a Windows machine."""
    guarded = {
        alias.name
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Try)
        and any(
            handler.type and "ImportError" in ast.unparse(handler.type) for handler in node.handlers
        )
        for inner in node.body
        if isinstance(inner, ast.Import)
        for alias in inner.names
    }
    guarded |= {
        name for name in ("readline",) if module == "h2q.system.line_editing"
    }  # suppress(ImportError)
    assert imports(module) & POSIX <= guarded
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os":
            assert node.attr not in POSIX_OS, ast.unparse(node)


@each_module
def test_no_module_runs_text_or_pickles(module):
    """A file is data. ``torch.load`` always has ``weights_only=True``."""
    assert not imports(module) & {"pickle", "marshal", "shelve", "dill", "subprocess"}
    for node in ast.walk(TREES[module]):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        assert name not in ("eval", "exec", "compile", "__import__", "os.system")
        if name == "torch.load":
            assert "weights_only=True" in map(ast.unparse, node.keywords)


@each_module
def test_no_module_knows_the_network(module):
    """The only exception is the module that forbids it."""
    if module != "h2q.system.offline":
        assert not {name.split(".")[0] for name in imports(module)} & NETWORK


def test_torch_is_loaded_from_files_in_one_place_only():
    callers = [
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert callers == ["h2q.checkpoint.container"]


def names_of_others(tree: ast.AST) -> set[str]:
    """Names with a leading underscore, unless they belong to the code's own classes and modules."""
    own = {"self", "cls", "super()"}
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in own
    }
    used |= {  # getattr(torch.cpu, "_name", None)
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("getattr", "hasattr", "setattr")
        and isinstance(node.args[1], ast.Constant)
    }
    return {name for name in used if name.startswith("_") and not name.endswith("__")}


@each_module
def test_private_names_of_pytorch_are_used_in_one_module_only(module):
    """The operators below ``torch.ops``, too, may change with every version."""
    own = {
        node.name if isinstance(node, ast.FunctionDef) else node.attr
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef)
        or (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    }
    private = names_of_others(TREES[module]) - own if "torch" in imports(module) else set()
    code = ast.unparse(TREES[module])
    operators = [name for name in ("torch.ops", "torch.quantize_per_channel") if name in code]
    if module == PRIVATE:
        assert {"_version", "_linear_pointwise"} <= private and len(operators) == 2
    else:
        assert not private and not operators


@pytest.mark.parametrize("module", ["h2q", *LIGHT])
def test_importing_it_loads_no_library(module):
    assert loaded_by(f"import {module}") == set()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("flag", ["--help", "-h", "--version", "--lang=xx", "--no_such_flag"])
def test_help_and_wrong_use_load_no_library(script, flag):
    code = f"""
import contextlib, io, runpy, sys
sys.argv = ["{script}.py", "{flag}"]
with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
    runpy.run_path("{script}.py", run_name="__main__")
"""
    assert loaded_by(code) == set()


def test_loaded_by_sees_a_library_that_is_there():
    assert "torch" in loaded_by("import h2q; h2q.LocalInferenceModel")


@pytest.mark.parametrize(
    ("script", "name"), [(script, name) for script, names in SCRIPTS.items() for name in names]
)
def test_public_classes_can_be_imported_from_the_scripts(script, name):
    public = __import__(script, fromlist=[name])
    import h2q

    assert getattr(public, name) is getattr(h2q, name)
    assert getattr(h2q, name).__name__ == name
    assert name in h2q.__all__


@pytest.mark.parametrize("module", ["h2q", *SCRIPTS])
def test_names_that_are_not_there_are_not_made_up(module):
    with pytest.raises(AttributeError, match="NoSuchThing"):
        _ = __import__(module).NoSuchThing
