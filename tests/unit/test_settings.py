"""The settings table: bounds, relations, misspelt variables, precedence, and what its errors never say."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.cores import usable_cores
from gateway.environment import AUTO, OTHER_VARIABLES, load_settings
from gateway.settings import PREFIX, SettingError, Settings
from loadtest.marks import MARKS
from loadtest.run.arguments import ARGUMENTS

FIELDS = Settings.__struct_fields__
META: dict[str, msgspec.Meta] = {name: Settings.__annotations__[name].__metadata__[0] for name in FIELDS}
KIND: dict[str, Any] = {name: Settings.__annotations__[name].__origin__ for name in FIELDS}
NUMBERS = [name for name in FIELDS if KIND[name] is int]
SECRETS = [name for name in FIELDS if (META[name].extra or {})["secret"]]

AROUND: dict[str, dict[str, str]] = {
    "claim_queue_max": {"CLAIM_BATCH_MAX": "1"},
    "body_bytes_max": {"CLAIM_BODY_BYTES_MAX": "64"},
    "redis_call_ms_max": {"REDIS_CONNECT_MS_MAX": "50", "DRAIN_BLOCK_MS": "10", "STOP_S_MAX": "300"},
    "redis_connect_ms_max": {"REDIS_CALL_MS_MAX": "30000", "STOP_S_MAX": "300"},
    "claim_wait_ms_max": {"STOP_S_MAX": "300"},
    "claim_body_bytes_max": {},
    "code_failures_holder_max": {"CODE_FAILURES_ADDRESS_MAX": "1000000"},
    "code_failures_address_max": {"CODE_FAILURES_HOLDER_MAX": "1"},
    "code_failures_key_address_max": {"CODE_FAILURES_KEY_MAX": "1000000"},
    "code_failures_key_max": {"CODE_FAILURES_KEY_ADDRESS_MAX": "1"},
    "console_idle_s_max": {"CONSOLE_SIGNED_IN_S_MAX": "604800"},
    "console_signed_in_s_max": {"CONSOLE_IDLE_S_MAX": "60"},
    "sign_in_failures_name_address_max": {
        "SIGN_IN_FAILURES_ADDRESS_MAX": "1000000",
        "SIGN_IN_FAILURES_NAME_MAX": "1000000",
    },
    "sign_in_failures_address_max": {"SIGN_IN_FAILURES_NAME_ADDRESS_MAX": "1"},
    "sign_in_failures_name_max": {"SIGN_IN_FAILURES_NAME_ADDRESS_MAX": "1"},
    "drain_block_ms": {"REDIS_CALL_MS_MAX": "6000"},
    "stop_s_max": {"CLAIM_WAIT_MS_MAX": "100", "REDIS_CALL_MS_MAX": "600", "REDIS_CONNECT_MS_MAX": "50"},
}
"""What has to go along with a setting at its bound, so that only the bound is tested and no relation."""


def environment(**settings: object) -> dict[str, str]:
    """Settings by name as an environment."""
    return {PREFIX + name.upper(): str(value) for name, value in settings.items()}


def at_bound(name: str, value: int) -> dict[str, str]:
    """An environment with *name* at *value* and what has to go along."""
    return environment(**{name: value}) | {PREFIX + other: text for other, text in AROUND.get(name, {}).items()}


def test_defaults_agree_with_each_other_and_with_their_own_bounds() -> None:
    """A process without any variable starts, and every default is within the bounds the table states."""
    settings = load_settings({})

    assert settings == Settings()
    for name in FIELDS:
        assert msgspec.convert(getattr(settings, name), Settings.__annotations__[name]) == getattr(settings, name)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_both_bounds(name: str) -> None:
    """A limit on everything: no number is unbounded on either side."""
    assert META[name].ge is not None
    assert META[name].le is not None


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_says_its_unit_and_why(name: str) -> None:
    """The table is complete: each setting has a unit and a reason."""
    assert (META[name].extra or {})["unit"]
    assert META[name].description


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_at_its_bounds_is_taken(name: str) -> None:
    """Both bounds themselves are allowed, given settings that agree with them."""
    for bound in (META[name].ge, META[name].le):
        assert bound is not None
        assert getattr(load_settings(at_bound(name, int(bound))), name) == bound


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_beyond_a_bound_is_refused_by_name(name: str) -> None:
    """One below the low bound and one above the high one are refused; the text names the variable and the bound."""
    low, high = META[name].ge, META[name].le
    assert low is not None
    assert high is not None
    for beyond, bound in ((low - 1, low), (high + 1, high)):
        with pytest.raises(SettingError) as refused:
            load_settings(at_bound(name, int(beyond)))

        assert PREFIX + name.upper() in str(refused.value)
        assert str(bound) in str(refused.value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["", "ten", "1.5", "1e3x", "0x10"])
def test_what_is_not_a_whole_number_is_refused_by_name(name: str, text: str) -> None:
    """Text where a whole number belongs is refused, never read as something near it."""
    with pytest.raises(SettingError, match=PREFIX + name.upper()):
        load_settings(environment(**{name: text}))


RELATIONS = [
    ({"claim_batch_max": 100, "claim_queue_max": 99}, ["CLAIM_BATCH_MAX", "CLAIM_QUEUE_MAX"]),
    ({"claim_body_bytes_max": 2048, "body_bytes_max": 2047}, ["CLAIM_BODY_BYTES_MAX", "BODY_BYTES_MAX"]),
    ({"redis_connect_ms_max": 2001, "redis_call_ms_max": 2000}, ["REDIS_CONNECT_MS_MAX", "REDIS_CALL_MS_MAX"]),
    (
        {"claim_wait_ms_max": 3001, "redis_call_ms_max": 2000, "stop_s_max": 5},
        ["CLAIM_WAIT_MS_MAX", "REDIS_CALL_MS_MAX", "STOP_S_MAX"],
    ),
    (
        {"code_failures_holder_max": 6, "code_failures_address_max": 5},
        ["CODE_FAILURES_HOLDER_MAX", "CODE_FAILURES_ADDRESS_MAX"],
    ),
    (
        {"code_failures_key_address_max": 6, "code_failures_key_max": 5},
        ["CODE_FAILURES_KEY_ADDRESS_MAX", "CODE_FAILURES_KEY_MAX"],
    ),
    ({"drain_block_ms": 1000, "redis_call_ms_max": 1000}, ["DRAIN_BLOCK_MS", "REDIS_CALL_MS_MAX"]),
]


@pytest.mark.parametrize(("settings", "named"), RELATIONS)
def test_settings_at_odds_are_refused_and_all_of_them_named(settings: dict[str, int], named: list[str]) -> None:
    """Each relation is checked at start, and the refusal names every setting in it."""
    with pytest.raises(SettingError) as refused:
        load_settings(environment(**settings))

    for name in named:
        assert PREFIX + name in str(refused.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"claim_batch_max": 100, "claim_queue_max": 100},
        {"claim_body_bytes_max": 2048, "body_bytes_max": 2048},
        {"redis_connect_ms_max": 2000, "redis_call_ms_max": 2000},
        {"claim_wait_ms_max": 3000, "redis_call_ms_max": 2000, "stop_s_max": 5},
        {"code_failures_holder_max": 5, "code_failures_address_max": 5},
        {"code_failures_key_address_max": 5, "code_failures_key_max": 5},
        {"drain_block_ms": 999, "redis_call_ms_max": 1000},
    ],
)
def test_settings_that_just_agree_are_taken(settings: dict[str, int]) -> None:
    """The edge of each relation belongs to what is allowed."""
    loaded = load_settings(environment(**settings))

    assert {name: getattr(loaded, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("name", "text"), [("fsync", "sometimes"), ("fsync", ""), ("log_level", "INFO"), ("log_level", "")]
)
def test_a_word_that_is_not_among_the_allowed_is_refused_with_them(name: str, text: str) -> None:
    """A setting with known words names them when it is given another one."""
    with pytest.raises(SettingError) as refused:
        load_settings(environment(**{name: text}))

    assert PREFIX + name.upper() in str(refused.value)
    assert ("everysec, always" if name == "fsync" else "debug, info, warning, error") in str(refused.value)


@pytest.mark.parametrize("text", ["nobody", "10.0.0.1/8", "192.0.2.7 192.0.2.8"])
def test_a_proxy_that_is_no_address_is_refused(text: str) -> None:
    """A misspelt network neither trusts nobody in silence nor everybody: the start ends, and the variable is named."""
    with pytest.raises(SettingError, match="FAIRCLAIM_TRUSTED_PROXIES"):
        load_settings(environment(trusted_proxies=f"192.0.2.7,{text}"))

    assert load_settings(environment(trusted_proxies="192.0.2.7, fd00::/8")).trusted_proxies == "192.0.2.7, fd00::/8"


@pytest.mark.parametrize("variable", ["FAIRCLAIM_CLAIM_BATCHMAX", "FAIRCLAIM_", "FAIRCLAIM_REDIS", "FAIRCLAIM_PORTS"])
def test_a_misspelt_variable_is_refused(variable: str) -> None:
    """A FAIRCLAIM_ variable that is no setting ends the start: a misspelt limit is no limit."""
    with pytest.raises(SettingError, match=variable):
        load_settings({variable: "1"})


def test_other_variables_are_left_alone() -> None:
    """Variables of the command line, of the tests and of everybody else are none of the settings' business."""
    others = dict.fromkeys(OTHER_VARIABLES, "x")

    assert load_settings(others | {"PATH": "/bin", "fairclaim_port": "x", "PORT": "x"}) == Settings()


def test_arguments_of_a_load_test_are_left_alone() -> None:
    """Who exports them can still use every command, and a variable that only sounds alike is refused as ever."""
    assert load_settings(dict.fromkeys((argument.variable for argument in ARGUMENTS), "x")) == Settings()
    assert load_settings({MARKS: "x"}) == Settings()
    with pytest.raises(SettingError, match="FAIRCLAIM_LOADTESTS"):
        load_settings({"FAIRCLAIM_LOADTESTS": "x"})


def test_other_variables_and_settings_do_not_overlap() -> None:
    """No variable is both a setting and left alone."""
    assert not {PREFIX + name.upper() for name in FIELDS} & OTHER_VARIABLES.keys()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_never_in_an_error(name: str) -> None:
    """A secret that is refused is not repeated: error texts reach terminals and logs."""
    with pytest.raises(SettingError) as refused:
        load_settings({}, **{name: ["hunter2-hunter2"]})

    assert PREFIX + name.upper() in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_secrets_are_those_that_hold_credentials() -> None:
    """The settings marked secret are the two URLs with passwords, the signing keys and the mail server's password."""
    assert SECRETS == ["redis_url", "postgres_url", "jwt_keys", "smtp_password"]


def test_flags_go_over_the_environment() -> None:
    """A flag that is given wins over its variable; one that is not (None) leaves the variable be."""
    settings = load_settings(environment(port=9000, workers=3), port=9001, workers=None)

    assert (settings.port, settings.workers) == (9001, 3)


def test_flags_are_checked_like_variables() -> None:
    """A flag beyond its bound is refused by the name of its variable."""
    with pytest.raises(SettingError, match="FAIRCLAIM_WORKERS"):
        load_settings({}, workers=0)


def test_auto_is_as_many_workers_as_cores_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """auto becomes a number where settings are loaded, from a variable or a flag, and at most the high bound."""
    monkeypatch.setitem(AUTO, "workers", lambda: 12)
    assert load_settings(environment(workers="auto")).workers == 12
    assert load_settings({}, workers="auto").workers == 12

    monkeypatch.setitem(AUTO, "workers", lambda: 96)
    assert load_settings({}, workers="auto").workers == META["workers"].le


@pytest.mark.parametrize("text", ["", "Auto", "automatic", "0", "65", "1.5", "-1", "all"])
def test_workers_are_auto_or_a_number(text: str) -> None:
    """Anything else is refused, and the refusal says both."""
    with pytest.raises(SettingError) as refused:
        load_settings(environment(workers=text))

    assert str(refused.value) == f"FAIRCLAIM_WORKERS is {text!r}; allowed: auto or a whole number from 1 to 64"


def test_auto_is_for_no_other_number() -> None:
    """Where auto means nothing it is refused like any other word."""
    with pytest.raises(SettingError, match="FAIRCLAIM_PORT is 'auto'; allowed: a whole number from 0 to 65535"):
        load_settings({}, port="auto")


@pytest.mark.parametrize(
    ("quotas", "own", "cores"),
    [
        ({}, "0::/\n", 4),
        ({"": "max 100000"}, "0::/\n", 4),
        ({"": "150000 100000"}, "0::/\n", 2),
        ({"": "5000 100000"}, "0::/\n", 1),
        ({"": "900000 100000"}, "0::/\n", 4),
        ({"a": "300000 100000", "a/b": "max 100000"}, "1:cpu:/old\n0::/a/b\n", 3),
        ({"a": "100000 50000", "a/b": "300000 100000"}, "0::/a/b\n", 2),
        ({"": "100000 100000"}, "0::/seen/outside\n", 1),
        ({"": "100000 100000"}, "0::/../elsewhere\n", 1),
        ({"": "100000 100000"}, "", 1),
    ],
)
def test_cores_are_those_of_affinity_and_quota(
    quotas: dict[str, str], own: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smallest quota of our control group and those above it, rounded up, within the cores we may run on."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 4, 5}, raising=False)
    groups = tmp_path / "groups"
    for group, quota in quotas.items():
        (groups / group).mkdir(parents=True, exist_ok=True)
        (groups / group / "cpu.max").write_text(quota + "\n")
    (tmp_path / "own").write_text(own)

    assert usable_cores(groups, tmp_path / "own") == cores


def test_cores_without_control_groups_or_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that has neither is asked for its cores, and one that does not know them has one."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for known, cores in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda known=known: known)
        assert usable_cores(tmp_path, tmp_path / "none") == cores


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_switch_is_read_from_its_words(text: str, meant: bool) -> None:
    """Switches are true or false, 1 or 0."""
    assert load_settings(environment(no_demo=text)).no_demo is meant


def test_a_switch_refuses_other_words() -> None:
    """A word that is neither is refused by name."""
    with pytest.raises(SettingError, match="FAIRCLAIM_NO_DEMO"):
        load_settings(environment(no_demo="maybe"))


def test_settings_can_not_be_changed() -> None:
    """What was checked at start stays as it was checked."""
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]
