"""Counters in files: right across workers and crashes, in a form Prometheus reads."""

import json
import logging
import re
from pathlib import Path

import pytest

from gateway.logs import JsonLines
from gateway.telemetry import METRICS, SECONDS, Telemetry


def samples(text: str) -> dict[str, float]:
    """Every sample line: name with labels → value."""
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


def test_counters_of_all_workers_add_up_and_survive_their_worker(tmp_path: Path) -> None:
    """Two workers count, one ends and comes back: whoever is asked gives the sum, and nothing runs backwards."""
    one, two = Telemetry(tmp_path, 0), Telemetry(tmp_path, 1)
    one.claim("claimed", 0.002)
    two.claim("claimed", 0.02)
    two.claim("sold_out", 0.02)
    two.close()
    again = Telemetry(tmp_path, 1)
    again.claim("claimed", 9.0)

    found = samples(one.render())

    assert found == samples(again.render())
    assert found['fairclaim_claims_total{outcome="claimed"}'] == 3
    assert found['fairclaim_claims_total{outcome="sold_out"}'] == 1
    assert found["fairclaim_claim_seconds_count"] == 4
    assert found["fairclaim_claim_seconds_sum"] == pytest.approx(9.042)


def test_gauges_start_anew_with_their_worker(tmp_path: Path) -> None:
    """What waited in a worker that died waits no more."""
    Telemetry(tmp_path, 0).waiting(7)

    assert samples(Telemetry(tmp_path, 0).render())["fairclaim_queue_claims"] == 0


def test_gauges_end_with_their_worker(tmp_path: Path) -> None:
    """A worker that stopped while it refused claims, and never comes back, does not refuse any for ever."""
    stopped, other = Telemetry(tmp_path, 7), Telemetry(tmp_path, 0)
    stopped.admission(closed=True)
    stopped.waiting(2)
    stopped.close()

    found = samples(other.render())

    assert (found["fairclaim_admission_closed"], found["fairclaim_queue_claims"]) == (0, 0)


def test_histograms_are_cumulative_and_end_at_their_count(tmp_path: Path) -> None:
    """Buckets count what is at most their bound, as Prometheus defines le; +Inf equals the count."""
    telemetry = Telemetry(tmp_path, 0)
    for bound in SECONDS:
        telemetry.claim("claimed", bound)
    telemetry.claim("claimed", SECONDS[-1] + 1)

    found = samples(telemetry.render())

    counts = [found[f'fairclaim_claim_seconds_bucket{{le="{bound:g}"}}'] for bound in SECONDS]
    assert counts == list(range(1, len(SECONDS) + 1))
    assert (
        found['fairclaim_claim_seconds_bucket{le="+Inf"}'] == found["fairclaim_claim_seconds_count"] == len(SECONDS) + 1
    )


def test_every_line_is_in_the_text_format(tmp_path: Path) -> None:
    """HELP, TYPE and samples have the shape of the Prometheus text format, each metric once."""
    text = Telemetry(tmp_path, 0).render()
    sample = re.compile(r'[a-z_]+(_bucket|_sum|_count)?(\{[a-z]+="[^"\\\n]+"\})? [0-9.e+-]+')

    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or sample.fullmatch(line), line
    assert [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")] == [m.name for m in METRICS]


def test_a_file_of_another_layout_is_left_out(tmp_path: Path) -> None:
    """A file cut short or of another version is not added up."""
    telemetry = Telemetry(tmp_path, 0)
    telemetry.response(200)
    whole = next(tmp_path.glob("*.counters"))
    (tmp_path / whole.name.replace("-0.", "-9.")).write_bytes(b"\x01" * 16)

    assert samples(telemetry.render())['fairclaim_http_responses_total{class="2xx"}'] == 1


def test_a_log_line_is_one_json_object_whatever_is_in_it() -> None:
    """Line ends and quotes in a text can't forge a second line; extra fields and the stack are inside."""
    try:
        raise ValueError("of ours")
    except ValueError as error:
        record = logging.LogRecord(
            "fairclaim.x", logging.ERROR, "f", 1, 'a\n{"forged": %s}', ("1",), (ValueError, error, error.__traceback__)
        )
    record.request_id = "r-1"

    line = JsonLines().format(record)

    assert "\n" not in line
    read = json.loads(line)
    assert (read["level"], read["logger"], read["request_id"]) == ("error", "fairclaim.x", "r-1")
    assert read["text"] == 'a\n{"forged": 1}'
    assert "ValueError: of ours" in read["error"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", read["at"])
