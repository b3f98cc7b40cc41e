"""
junit.xml: the verdict and the gates of a run as test cases, the form in which every CI shows what failed.

The names are the same from run to run, so that a CI can tell the history of each.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from xml.etree import ElementTree as ET

import msgspec

from loadtest.report.result import Result

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Case(NamedTuple):
    """One test case. *failed* is what did not hold, *error* why it could not be told; both empty where it holds."""

    name: str
    failed: str = ""
    error: str = ""
    row: str = ""


def junit(result: Result) -> bytes:
    """The bytes of junit.xml: a suite of the verdict's checks, and one of the gates."""
    root = ET.Element("testsuites", name=f"fairclaim loadtest {result.run}")
    took_s = result.verdict.took_s if result.verdict else 0.0
    suites = [
        _suite(root, "loadtest.verdict", list(_checks(result)), took_s, result),
        _suite(root, "loadtest.gates", list(_gates(result)), result.duration_s, result),
    ]
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    root.set("time", f"{took_s + result.duration_s:.3f}")
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _checks(result: Result) -> Iterable[_Case]:
    if result.verdict is None:
        yield _Case("judged", error=result.unjudged or "there is no verdict")
        return
    for check in result.verdict.checks:
        failed = "" if check.holds else f"{check.violated} of {check.checked} violate: {check.says}"
        yield _Case(check.name, failed, row=msgspec.json.encode(check.first).decode() if check.first else "")


def _gates(result: Result) -> Iterable[_Case]:
    for gate in result.gates:
        yield _Case(gate.name, "" if gate.holds else f"asked: {gate.asked}; found: {gate.found}")


def _suite(root: ET.Element, name: str, cases: list[_Case], took_s: float, result: Result) -> ET.Element:
    suite = ET.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(sum(bool(case.failed) for case in cases)),
        errors=str(sum(bool(case.error) for case in cases)),
        skipped="0",
        time=f"{took_s:.3f}",
        timestamp=result.started_at.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    for case in cases:
        element = ET.SubElement(suite, "testcase", classname=name, name=_text(case.name), time="0")
        for kind, says in (("failure", case.failed), ("error", case.error)):
            if says:
                ET.SubElement(element, kind, message=_text(says), type=kind).text = _text(case.row or says)
    return suite


def _text(text: str) -> str:
    """*text* with a mark in the place of what XML cannot hold."""
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
