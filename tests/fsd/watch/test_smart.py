"""SMART: the shapes of smartctl's JSON, and an engine that asks.

No test machine has a disk with bad sectors, so smartctl itself is a stand-in here: a script that
prints what smartctl 7.4 prints (shortened). It is the one thing in these tests that is not real.
"""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_checks import until
from store_harness import with_settings

from fsd.disks.smart import (
    SmartAsleepError,
    SmartBridgeError,
    SmartReading,
    SmartUnavailableError,
    parse_smart,
    smart_notices,
)


def attribute(number: int, name: str, raw: int, text: str = "") -> dict:
    return {
        "id": number,
        "name": name,
        "value": 100,
        "worst": 100,
        "thresh": 10,
        "when_failed": "",
        "flags": {"value": 51, "string": "PO--CK ", "prefailure": True},
        "raw": {"value": raw, "string": text or str(raw)},
    }


def ata(*, passed: bool = True, reallocated: int = 0, pending: int = 0) -> dict:
    rows = [
        attribute(1, "Raw_Read_Error_Rate", 0),
        attribute(5, "Reallocated_Sector_Ct", reallocated),
        # The raw value of a Seagate's hours carries milliseconds above; smartctl decodes it below.
        attribute(9, "Power_On_Hours", 190_554_416_842_218, "42474 (173 79 0)"),
        attribute(194, "Temperature_Celsius", 146_028_888_098, "34 (Min/Max 18/48)"),
        attribute(197, "Current_Pending_Sector", pending),
        attribute(198, "Offline_Uncorrectable", pending),
    ]
    return {
        "json_format_version": [1, 0],
        "smartctl": {"version": [7, 4], "exit_status": 0 if passed else 8},
        "device": {"name": "/dev/sda", "info_name": "/dev/sda [SAT]", "type": "sat"},
        "smart_status": {"passed": passed},
        "ata_smart_attributes": {"revision": 10, "table": rows},
        "power_on_time": {"hours": 42474},
        "power_cycle_count": 118,
        "temperature": {"current": 34},
    }


NVME = {
    "smartctl": {"version": [7, 4], "exit_status": 0},
    "device": {"name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"},
    "smart_status": {"passed": True, "nvme": {"value": 0}},
    "nvme_smart_health_information_log": {
        "critical_warning": 0,
        "temperature": 41,
        "percentage_used": 97,
        "media_errors": 3,
        "power_on_hours": 9001,
    },
    "temperature": {"current": 41},
    "power_on_time": {"hours": 9001},
}
SCSI = {
    "smartctl": {"version": [7, 4], "exit_status": 0},
    "device": {"name": "/dev/sdb", "type": "scsi", "protocol": "SCSI"},
    "smart_status": {"passed": True},
    "temperature": {"current": 29, "drive_trip": 60},
    "scsi_grown_defect_list": 7,
    "power_on_time": {"hours": 51000, "minutes": 12},
}
NOT_PERMITTED = {
    "smartctl": {
        "version": [7, 4],
        "messages": [
            {
                "string": "Smartctl open device: /dev/sda failed: Permission denied",
                "severity": "error",
            }
        ],
        "exit_status": 2,
    }
}


def test_the_shapes_of_ata_nvme_and_scsi():
    reading = parse_smart(json.dumps(ata(reallocated=12, pending=3)), 0)
    assert reading == SmartReading(True, 12, 3, 3)
    assert parse_smart(json.dumps(NVME), 0) == SmartReading(True)
    assert parse_smart(json.dumps(SCSI), 0) == SmartReading(True, 7)


def test_a_failing_disk_is_read_although_smartctl_exits_with_8():
    assert parse_smart(json.dumps(ata(passed=False)), 8).passed is False


@pytest.mark.parametrize(
    ("output", "status", "why"),
    [
        (json.dumps(NOT_PERMITTED), 2, "Permission denied"),
        ("smartctl: invalid option\nmore", 1, "invalid option"),
        ("", 1, "said nothing"),
        ("[]", 0, "no JSON object"),
        (json.dumps({"smartctl": {}}), 4, "does not report"),
    ],
)
def test_no_reading_says_why(output: str, status: int, why: str):
    with pytest.raises(SmartUnavailableError, match=why):
        parse_smart(output, status)


def said(text: str, status: int) -> str:
    """Return smartctl's answer when it only says something."""
    message = {"string": text, "severity": "error"}
    return json.dumps({"smartctl": {"messages": [message], "exit_status": status}})


ASLEEP = said("Device is in STANDBY mode, exit(2)", 2)
BRIDGE = said("/dev/sdb: Unknown USB bridge [0x152d:0xb581 (0x4403)]", 1)


def test_what_the_exit_status_says_counts_where_the_answer_is_silent():
    silent = {"scsi_grown_defect_list": 0}
    assert parse_smart(json.dumps(silent), 0).passed is None
    assert parse_smart(json.dumps(silent), 8).passed is False
    assert parse_smart(json.dumps(ata()), 8).passed is False
    assert parse_smart(json.dumps(ata()), 4 | 32 | 64 | 128) == parse_smart(json.dumps(ata()), 0)
    below = parse_smart(json.dumps(ata()), 16)
    assert codes(below) == {"smart-threshold": "warning"}


def test_a_raw_value_of_several_counts_is_read_as_smartctl_shows_it():
    document = ata()
    rows = document["ata_smart_attributes"]["table"]
    rows[1]["raw"] = {"value": 0x0007_0000_0003, "string": "3 (0 7)"}
    assert parse_smart(json.dumps(document), 0).reallocated_sectors == 3
    for text in ("9" * 5000, "-3", "", None, 7):
        rows[1]["raw"] = {"value": 4, "string": text}
        assert parse_smart(json.dumps(document), 0).reallocated_sectors == 4


@pytest.mark.parametrize(
    "output", ["x" * 10**6, "[" * 10**6, "STANDBY " * 10**5, said("y\n" * 10**6, 1)]
)
def test_what_it_says_is_one_short_line(output):
    with pytest.raises(SmartUnavailableError) as refused:
        parse_smart(output, 1)
    assert len(str(refused.value)) <= 200 and "\n" not in str(refused.value)


def test_numbers_that_are_none_are_left_out():
    for number in (10**400, True, "7", None):
        document = {**SCSI, "scsi_grown_defect_list": number}
        assert parse_smart(json.dumps(document), 0) == SmartReading(True)


@pytest.mark.parametrize(
    ("output", "status", "kind"),
    [
        (ASLEEP, 2, SmartAsleepError),
        ("Device is in SLEEP mode, exit(2)", 2, SmartAsleepError),
        (BRIDGE, 1, SmartBridgeError),
        (said("Please specify device type with the -d option.", 1), 1, SmartBridgeError),
    ],
)
def test_a_disk_asleep_or_behind_a_bridge_is_told_from_one_that_says_nothing(output, status, kind):
    with pytest.raises(kind):
        parse_smart(output, status)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "smart_status",
                    "passed",
                    "ata_smart_attributes",
                    "table",
                    "id",
                    "raw",
                    "value",
                    "scsi_grown_defect_list",
                    "smartctl",
                    "messages",
                    "string",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(values, st.integers(0, 255))
def test_strange_answers_never_break_it(document, status):
    try:
        reading = parse_smart(json.dumps(document), status)
    except SmartUnavailableError:
        return
    smart_notices("d1", reading)


def codes(reading: SmartReading) -> dict[str, str]:
    return {notice.code: notice.severity for notice in smart_notices("d1", reading)}


def test_what_is_warned_of():
    assert codes(SmartReading(True, 3, 0, 0)) == {}
    assert codes(SmartReading(passed=False)) == {"smart-failed": "critical"}
    assert codes(SmartReading(reallocated_sectors=50)) == {"smart-reallocated": "warning"}
    assert codes(SmartReading(pending_sectors=1)) == {"smart-pending": "warning"}
    assert codes(SmartReading(uncorrectable_sectors=1)) == {"smart-pending": "warning"}


@pytest.fixture
def short_tmp(disk_tmp: str) -> str:
    """Stores of this file lie on a disk: they ask it how it is."""
    return disk_tmp


def needs_device(path) -> None:
    device = os.stat(path).st_dev
    if not os.path.exists(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"):
        pytest.skip("the folder for temporary files lies on no block device")


def script(tmp_path, body: str) -> str:
    path = tmp_path / "smartctl"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def store_asking(store, program: str):
    one = store(1, started=False, copies_raw=1, copies_generated=1)
    needs_device(one.root)
    one.config = with_settings(one.root, smartctl=json.dumps(program))
    one.start()
    return one


def notice(one, code: str):
    return until(
        lambda: next((n for n in one.client.warnings() if n.code == code), None), f"notice {code}"
    )


def test_an_engine_asks_the_stand_in_about_the_device_of_the_mount(store, tmp_path):
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps(ata(passed=False, pending=8)))
    program = script(tmp_path, f'echo "$@" >> {tmp_path}/calls\ncat {answer}\nexit 8')
    one = store_asking(store, program)
    assert notice(one, "smart-failed").severity == "critical"
    assert "8 unreadable sectors" in notice(one, "smart-pending").message
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith("--json -H -A /dev/")


@pytest.mark.parametrize(
    ("body", "why"),
    [(None, "No such file"), (f"echo '{json.dumps(NOT_PERMITTED)}'; exit 2", "Permission denied")],
)
def test_without_smartctl_it_is_said_once_and_nothing_else_changes(store, tmp_path, body, why):
    program = str(tmp_path / "missing") if body is None else script(tmp_path, body)
    one = store_asking(store, program)
    found = notice(one, "smart-off")
    assert found.severity == "info"
    assert why in found.message
    assert sum(n.code.startswith("smart") for n in one.client.warnings()) == 1


def test_a_disk_behind_an_unknown_bridge_is_asked_again_with_sat(store, tmp_path):
    answer, bridge = tmp_path / "answer.json", tmp_path / "bridge.json"
    answer.write_text(json.dumps(ata(passed=False)))
    bridge.write_text(BRIDGE)
    body = f'case "$*" in *"-d sat"*) cat {answer}; exit 8;; *) cat {bridge}; exit 1;; esac'
    one = store_asking(store, script(tmp_path, body))
    assert notice(one, "smart-failed").severity == "critical"
    assert not any(n.code == "smart-off" for n in one.client.warnings())


def test_a_disk_that_sleeps_is_not_woken_and_nothing_is_said(store, tmp_path):
    asleep = tmp_path / "asleep.json"
    asleep.write_text(ASLEEP)
    calls = tmp_path / "calls"
    one = store_asking(store, script(tmp_path, f'echo "$@" >> {calls}\ncat {asleep}\nexit 2'))
    until(calls.exists, "the call")
    assert "-n standby" in calls.read_text()
    assert not any(n.code.startswith("smart") for n in one.client.warnings())


def test_a_smartctl_that_hangs_keeps_nobody(store, tmp_path):
    one = store_asking(store, script(tmp_path, f"touch {tmp_path}/called; sleep 600"))
    until((tmp_path / "called").exists, "the call")
    assert one.client.health().disks[0].state == "online"
    one.stop()
