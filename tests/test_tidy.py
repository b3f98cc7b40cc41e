"""The house style as a test: which way imports go, how long things are, what they are called, what a test says."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from lua.scripts import SCRIPTS, load_script

ROOT = Path(__file__).parent.parent
ROOMS = ("gateway", "lua", "reconciler", "loadtest", "vendored")
PYTHON = sorted(path for room in (*ROOMS, "tests", "deploy") for path in (ROOT / room).rglob("*.py"))
OURS = [path for path in PYTHON if path.relative_to(ROOT).parts[0] in ROOMS]
TESTS = [path for path in PYTHON if path.name.startswith("test_")]
LUA = sorted((ROOT / "lua").rglob("*.lua"))

MODULE_LINES_MAX = 300
TEST_MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
LUA_LINES_MAX = 160
BANNED_WORDS = frozenset({"manager", "helper", "helpers", "util", "utils"})

MAY_IMPORT: dict[str, frozenset[str]] = {
    "lua": frozenset(),
    "vendored": frozenset(),
    "loadtest": frozenset({"vendored"}),
    "loadtest/bench": frozenset({"lua", "loadtest", "reconciler"}),
    "reconciler": frozenset({"lua"}),
    "gateway": frozenset({"lua"}),
    "gateway/cli": frozenset({"lua", "gateway", "reconciler", "loadtest"}),
    "gateway/finance": frozenset({"lua", "gateway", "reconciler"}),
    "gateway/console": frozenset({"lua", "gateway", "vendored"}),
    "gateway/console/books": frozenset({"lua", "gateway", "reconciler"}),
}
"""
Room → the other rooms it may import. The command line puts the two sides together, so it may see both, and it replays
traces; finance and its pages read the books, which are the reconciler's; the console draws with a library of
others; the benchmark measures scripts and reports themselves.
"""


def shown(path: Path) -> str:
    """The path from the project's folder."""
    return path.relative_to(ROOT).as_posix()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """The syntax tree of a module, walked through once for all tests here."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))


@pytest.fixture(scope="module", autouse=True)
def _forget() -> Iterator[None]:
    """Millions of nodes are nothing that the collector of garbage should look through for the tests that follow."""
    yield
    nodes.cache_clear()


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of every import of ours in a module, those inside functions and type-checking blocks too."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: a relative import"
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            room = module.partition(".")[0]
            if room in (*ROOMS, "tests"):
                yield node.lineno, room


def test_imports_go_one_way() -> None:
    """gateway → lua ← reconciler, function-level imports included; only the command line and finance see both sides."""
    wrong = []
    for path in OURS:
        parts = path.relative_to(ROOT).parts
        place = next(place for end in (3, 2, 1) if (place := "/".join(parts[:end])) in MAY_IMPORT)
        allowed = MAY_IMPORT[place] | {parts[0]}
        wrong += [f"{shown(path)}:{line}: {room}" for line, room in imported_rooms(path) if room not in allowed]

    assert wrong == []


def test_the_import_check_sees_inside_functions(tmp_path: Path) -> None:
    """The check above is not fooled by an import that only happens when a function runs."""
    planted = tmp_path / "planted.py"
    planted.write_text("def f():\n    from reconciler.drain import run\n    import gateway.app\n    return run\n")

    assert list(imported_rooms(planted)) == [(2, "reconciler"), (3, "gateway")]


def test_modules_are_short() -> None:
    """A module fits into a head: 300 lines, a test module 400."""
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    long = {
        shown(path): count
        for path, count in lines.items()
        if count > (TEST_MODULE_LINES_MAX if path in TESTS else MODULE_LINES_MAX)
    }

    assert long == {}


def test_functions_are_short() -> None:
    """A function fits on a screen."""
    long = [
        f"{shown(path)}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in PYTHON
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert long == []


def identifiers(path: Path) -> Iterator[str]:
    """Every name that a module gives to something of its own, and its own name."""
    yield path.stem
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def words(name: str) -> set[str]:
    """The words of an identifier, in lower case."""
    return set(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_"))


def test_names_avoid_words_that_say_nothing() -> None:
    """No manager, no helper, no utils: a name says what a thing is."""
    found = {f"{shown(path)}: {name}" for path in PYTHON for name in identifiers(path) if BANNED_WORDS & words(name)}

    assert found == set()


def test_nothing_is_left_for_later() -> None:
    """No marker of unfinished work is left behind."""
    marks = ["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"]
    found = [f"{shown(path)}: {mark}" for path in (*PYTHON, *LUA) for mark in marks if mark in path.read_text("utf-8")]

    assert found == []


def test_no_test_is_skipped_or_sleeps() -> None:
    """A test waits for a condition and runs everywhere; only what root alone can prove is left out for others."""
    found = [
        f"{shown(path)}:{node.lineno}: {ast.unparse(node)}"
        for path in TESTS
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and re.fullmatch(r"time\.sleep|pytest\.skip|pytest\.mark\.(skip|skipif|xfail)", ast.unparse(node))
    ]

    assert found == []


def test_no_middleware_that_costs_a_task_a_request() -> None:
    """Starlette's BaseHTTPMiddleware is not used: it makes a task group and a stream for each request."""
    found = [
        shown(path)
        for path in OURS
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and "BaseHTTPMiddleware" in {alias.name for alias in node.names}
    ]

    assert found == []


def test_no_error_is_swallowed_without_a_word() -> None:
    """No bare except, and no handler that does nothing at all."""
    found = [
        f"{shown(path)}:{node.lineno}"
        for path in OURS
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (len(node.body) == 1 and isinstance(node.body[0], ast.Pass)))
    ]

    assert found == []


def each_test(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The tests of a module."""
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def test_every_test_says_what_it_proves() -> None:
    """Each test has a docstring, a sentence: the claim it proves."""
    mute = [
        f"{shown(path)}:{node.lineno}: {node.name}"
        for path in TESTS
        for node in each_test(path)
        if not (ast.get_docstring(node) or "").rstrip().endswith(".")
    ]

    assert mute == []


def test_no_test_is_named_twice() -> None:
    """Two tests of one name in one module would be one test."""
    for path in TESTS:
        tests = [node.name for node in each_test(path)]

        assert sorted(tests) == sorted(set(tests)), shown(path)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_has_its_header(name: str) -> None:
    """A script begins with #!lua, its own name, KEYS, ARGV and REPLY; one that writes also says ENTRY and ORDER."""
    text = (ROOT / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    head = text.partition("--- @include")[0]

    assert text.startswith("#!lua")
    assert f"\n-- {name}: " in head
    for part in ("KEYS", "ARGV", "REPLY"):
        assert re.search(rf"^-- {part} +\S", head, re.MULTILINE), f"no {part} line"
    if "no-writes" not in text.partition("\n")[0]:
        for part in ("ORDER", "ENTRY"):
            assert re.search(rf"^-- {part} +\S", head, re.MULTILINE), f"no {part} line"


def test_every_script_file_is_a_script() -> None:
    """The verbs in lua/ are those of SCRIPTS, and every library file is used."""
    verbs = {path.stem for path in LUA if path.parent.name == "lua"}
    libraries = {path.stem for path in LUA if path.parent.name == "lib"}
    included = {
        name
        for verb in verbs
        for line in re.findall(r"^--- @include (.+)$", (ROOT / "lua" / f"{verb}.lua").read_text(), re.MULTILINE)
        for name in line.split()
    }

    assert verbs == set(SCRIPTS)
    assert libraries == included


def test_lua_is_short_and_builds_no_key() -> None:
    """A script is one verb of bounded length, takes every key from KEYS, and neither scans nor draws lots."""
    for path in LUA:
        text = path.read_text(encoding="utf-8")

        assert len(text.splitlines()) <= LUA_LINES_MAX, shown(path)
        assert "fc:" not in text, shown(path)
        assert not re.search(r"call\('(KEYS|SCAN|HSCAN|RANDOMKEY)'|math\.random", text, re.IGNORECASE), shown(path)


def test_only_lua_spells_a_key() -> None:
    """Neither the gateway nor the reconciler spells the name of a key: keys.py does."""
    found = [shown(path) for path in OURS if re.match("gateway|reconciler", shown(path)) and "fc:{" in path.read_text()]

    assert found == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_key_of_a_header_is_used(name: str) -> None:
    """A script reads its keys from KEYS, as many as its header lists."""
    text = (ROOT / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    parts = load_script(name).parts
    unpacked = re.search(r"^local ([\w,\s]+?) = unpack\(KEYS\)", text, re.MULTILINE)

    if unpacked:
        assert [key.strip() for key in unpacked[1].split(",")] == [f"{part}_key" for part in parts]
    else:
        assert {int(at) for at in re.findall(r"KEYS\[(\d)\]", text)} == set(range(1, len(parts) + 1))
