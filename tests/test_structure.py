"""The house rules that a machine can check: imports, docstrings, lengths, randomness."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("minigrad", "nn", "gpt", "examples")  # each may import itself and what stands to its left
ENGINE = ("errors", "backend", "tape", "primitives", "tensor")  # the same, for the engine's core
EXTRAS = {"cupy", "cupyx", "graphviz", "matplotlib", "mpi4py", "threadpoolctl", "tqdm"}
EXTRAS |= {"pydoc_data"}  # of the standard library, but some interpreters come without it
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
PRODUCT = {name: path for name, path in FILES.items() if not name.startswith("examples")}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}

MAX_FILE, MAX_FUNCTION = 450, 60
LONGER = {  # files that are lists of short entries
    "tests.faults.planted": 500,  # one planted fault after another
    "minigrad.tensor": 820,  # one method of a line or two after another
}


def imported(node, names):
    """The modules an import statement reads: `from minigrad import tape` is minigrad.tape."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    below = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in names else node.module for name in below]


def imports(tree):
    """What a module reads when it runs; imports for type checkers alone make no cycle."""
    unread = [n for block in ast.walk(tree) if is_for_checkers(block) for n in ast.walk(block)]
    nodes = [node for node in ast.walk(tree) if is_import(node) and node not in unread]
    return [name for node in nodes for name in imported(node, FILES)]


def is_for_checkers(node):
    return isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING"


def is_import(node):
    return isinstance(node, (ast.Import, ast.ImportFrom))


def is_function(node):
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def is_main(name):
    return name.endswith("__main__")


@pytest.mark.parametrize("name", FILES)
def test_imports_go_one_way(name):
    own = PACKAGES.index(name.split(".")[0])
    for target in imports(TREES[name]):
        package = target.split(".")[0]
        assert not is_main(target), f"{name} imports {target}"
        if package in PACKAGES and not is_main(name):
            assert PACKAGES.index(package) <= own, f"{name} imports {target}"
        if name in PRODUCT:
            known = package in (*PACKAGES, *EXTRAS, "numpy") or package in sys.stdlib_module_names
            known |= name == "minigrad.testing" and package in (
                "pytest",
                "hypothesis",
            )  # helpers for users' tests
            assert known, f"{name} imports {target}, which is no declared dependency"


@pytest.mark.parametrize("name", ENGINE)
def test_the_core_of_the_engine_is_built_in_layers(name):
    below = {f"minigrad.{other}" for other in ENGINE[: ENGINE.index(name) + 1]}
    inside = {".".join(target.split(".")[:2]) for target in imports(TREES[f"minigrad.{name}"])}
    inside = {target for target in inside if target.startswith("minigrad")}
    assert inside <= below


def test_no_two_files_import_each_other():
    edges = {name: {t for t in imports(TREES[name]) if t in FILES and t != name} for name in FILES}
    while leaves := {name for name, targets in edges.items() if not targets & edges.keys()}:
        edges = {name: targets for name, targets in edges.items() if name not in leaves}
    assert edges == {}


@pytest.mark.parametrize("name", PRODUCT)
def test_only_extras_are_imported_inside_functions_and_only_there(name):
    hidden = {n for f in ast.walk(TREES[name]) if is_function(f) for n in ast.walk(f) if is_import(n)}
    for node in ast.walk(TREES[name]):
        for target in imported(node, FILES) if is_import(node) else ():
            assert (target.split(".")[0] in EXTRAS) == (node in hidden), f"{name}:{node.lineno}: {target}"


def public_definitions(tree):
    """Every public function and class of a module, and every public method of its public classes."""
    for node in tree.body:
        if (is_function(node) or isinstance(node, ast.ClassDef)) and not node.name.startswith("_"):
            if not any(getattr(d, "attr", None) == "setter" for d in node.decorator_list):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node)


@pytest.mark.parametrize("name", FILES)
def test_everything_public_has_a_docstring(name):
    assert ast.get_docstring(TREES[name]), f"{name} has no docstring"
    without = [d.name for d in public_definitions(TREES[name]) if not ast.get_docstring(d)]
    assert without == []


def operations():
    """(module, function) of every array function that returns (output, vjp)."""
    for name, tree in TREES.items():
        for node in tree.body:
            if not is_function(node):
                continue
            decorators = [
                d.func.id for d in node.decorator_list if isinstance(getattr(d, "func", None), ast.Name)
            ]
            primitive = (
                name.startswith("minigrad.primitives.") and not node.returns and not node.name.startswith("_")
            )
            if "op" in decorators or primitive:
                yield name, node


def test_every_operation_states_shapes_what_it_saves_and_its_derivation():
    found = list(operations())
    assert len(found) > 40
    for name, node in found:
        sections = [line.strip().split(" ")[0] for line in (ast.get_docstring(node) or "").splitlines()]
        for section in ("Shapes", "Saves", "Backward"):
            assert section in sections, f"{name}.{node.name} has no {section}"


@pytest.mark.parametrize("name", PRODUCT)
def test_files_and_functions_stay_short(name):
    lines = len(PRODUCT[name].read_text().splitlines())
    assert lines <= LONGER.get(name, MAX_FILE)
    long = {f.name: n for f in ast.walk(TREES[name]) if is_function(f) if (n := length(f)) > MAX_FUNCTION}
    assert long == {}


def length(function):
    return function.end_lineno - function.lineno + 1


@pytest.mark.parametrize("name", FILES)
def test_no_number_comes_from_numpys_global_generator(name):
    drawn = [
        f"{name}:{node.lineno}: np.random.{node.attr}"
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)
        if node.value.attr == "random" and isinstance(node.value.value, ast.Name)
        if node.value.value.id in ("np", "numpy") and node.attr.islower() and node.attr != "default_rng"
    ]
    assert drawn == []


def test_no_test_is_skipped_without_a_reason():
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("skip", "xfail")
                and isinstance(node.value, ast.Attribute)
            ):
                raise AssertionError(
                    f"{path.name}:{node.lineno}: {node.attr} without a condition and a reason"
                )
