"""Every rule of a campaign is said beside a field of the form in each language; every field there is, is asked."""

import ast
import builtins
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec
import pytest
from babel import Locale
from msgspec.inspect import StructType, UnionType, type_info

from gateway.campaigns import check, check_worth, patch, register, service
from gateway.campaigns.broken import Broken
from gateway.campaigns.definition import Definition
from gateway.console.campaigns.fields import FIELDS
from gateway.console.campaigns.kept import KEPT_CHARS_MAX, read_kept, write_kept
from gateway.console.campaigns.rules import errors_of, field_of, said
from gateway.console.locales import Words

ENGLISH, CHINESE = (
    Words(language, Locale.parse(place), "UTC") for language, place in (("en", "en_GB"), ("zh_Hans", "zh_Hans_CN"))
)
RULES_MIN = 50


class Stand(int):
    """Stands for what a rule has from its surroundings: a number, and whatever else is asked of it."""

    def __getattr__(self, name: str) -> "Stand":
        return Stand(7)


class Names(dict[str, Any]):
    """The names of a module, and a stand-in for what is local to a function."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__()
        self._module = module

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        return getattr(self._module, name, Stand(7))


def rules() -> Iterator[tuple[str, str]]:
    """Field and rule of each Broken() in the source, numbers filled in; a field that only running tells is its form."""
    for module in (check, check_worth, patch, service, register):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Broken"):
                continue
            field, rule = (eval(compile(ast.Expression(each), "", "eval"), {}, Names(module)) for each in node.args)  # noqa: S307
            if isinstance(rule, Stand):  # said in a variable just before
                rule = "null where value is a balance and there is a budget: what expired is in the budget again"
            yield str(field), str(rule)


def test_every_rule_is_known_in_each_language() -> None:
    """None is shown as the API says it; a number that a rule has is in what is said."""
    found = list(rules())
    assert len(found) >= RULES_MIN, "they are found in the source"
    for field, rule in found:
        english, chinese = said(rule, ENGLISH), said(rule, CHINESE)
        assert english != rule or rule == "1 to 16, each account once", rule
        assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese), rule
        if not any(part.isdigit() for part in field):
            assert field_of(field) == field or field_of(field).startswith(f"{field}."), field


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("a whole number from 1 to 10000; 10000 is the whole price", "More than 0% and at most 100%"),
        ("a whole number from 1 to 1000000", "A whole number from 1 to 1,000,000"),
        ("a whole number from 1 to 100000, so that a guessed code misses", "A whole number from 1 to 100,000"),
    ],
)
def test_rules_that_begin_alike(rule: str, says: str) -> None:
    """Each is its own."""
    assert said(rule, ENGLISH) == says


def test_a_rule_of_a_whole_part_is_said_where_it_was_changed() -> None:
    """Of scope at the stores that were typed; with nothing known of that, at its first field."""
    broken = [Broken("scope", "fixed once the campaign has started"), Broken("funders[1].account", "after starts_at")]
    assert list(errors_of(broken, ENGLISH, ["scope.stores", "name"])) == ["scope.stores", "funders"]
    assert list(errors_of(broken, ENGLISH)) == ["scope.stores", "funders"]
    assert field_of("on_expiry") == "on_expiry.stock"


def leaves(kind: Any, above: str = "") -> Iterator[str]:
    """The names of a definition's fields, part by part; of a union those of each kind."""
    kinds = [each for each in kind.types if isinstance(each, StructType)] if isinstance(kind, UnionType) else [kind]
    if not isinstance(kinds[0] if kinds else None, StructType):
        yield above
        return
    for each in kinds:
        for field in each.fields:
            yield from leaves(_plain(field.type), f"{above}.{field.encode_name}" if above else field.encode_name)


def _plain(kind: Any) -> Any:
    while isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    return kind


def test_every_field_of_a_definition_is_asked() -> None:
    """What the API knows can be made in the wizard: each field and each kind of value."""
    asked = {name for name in FIELDS if name not in ("value.type", "validity.kind")}
    assert asked == set(leaves(type_info(Definition)))
    kinds = {each.tag for each in msgspec.inspect.type_info(Definition.__annotations__["value"]).types}  # type: ignore[attr-defined]
    assert {value for value, _ in FIELDS["value.type"].options} == kinds


def test_what_was_typed_goes_through_an_address() -> None:
    """As it was, whatever it is; more than an address can have does not."""
    typed = {"name": '秋 <b>&"\x01', "id": "", "funders": "a 50\nb 50"}
    kept = write_kept(typed)
    assert kept.replace("-", "").replace("_", "").isalnum()
    assert read_kept(kept) == {"name": '秋 <b>&"\x01', "funders": "a 50\nb 50"}
    assert write_kept({"scope.skus": "".join(chr(33 + n * n % 90) + str(n) for n in range(9000))}) == ""
    zero = write_kept({"id": "a\0"})
    for nobody in ("", "x", kept[:-5], "é", "A" * (KEPT_CHARS_MAX + 1), write_kept({"a": "b"})[:-2] + "AA", zero):
        assert read_kept(nobody) is None, nobody
