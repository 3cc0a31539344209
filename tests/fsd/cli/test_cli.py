"""The commands for files, datasets and care as a person uses them: real program, engine, files."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from command import FILES, PROGRAM, ROOT, drystone, environment, json_lines, key_of
from store_harness import write_files

# ---- Files -----------------------------------------------------------------------------------


def test_put_tells_about_every_file(store, source):
    made = store()
    lines = json_lines(drystone("put", source, "--batch", "pets", "--json", env=environment(made)))
    by_path = {line["path"]: line for line in lines}
    assert set(by_path) == set(FILES)
    for path, line in by_path.items():
        assert line["key"] == key_of(path)
        assert line["size_bytes"] == len(FILES[path])
        assert (line["copies"], line["copies_target"]) == (2, 2)
        assert line["status"] in ("written", "existing")
        assert "reason" not in line
    again = json_lines(drystone("put", source, "--batch", "more", "--json", env=environment(made)))
    assert {line["status"] for line in again} == {"existing"}


def test_skipped_files_are_named_and_make_it_incomplete(store, source):
    made = store()
    os.symlink("/etc/hostname", os.path.join(source, "outside"))
    os.mkfifo(os.path.join(source, "fifo"))
    result = drystone("put", source, "--batch", "pets", env=environment(made), expect=3)
    assert b"outside" in result.stderr and b"fifo" in result.stderr
    assert b"2 skipped" in result.stderr
    assert result.stdout == b""


def test_no_name_reaches_the_terminal_raw(filled):
    result = drystone("ls", "pets", env=environment(filled))
    assert b"\x1b" not in result.stdout and b"\xff" not in result.stdout
    assert len(result.stdout.splitlines()) == len(FILES)
    assert rb"evil\x1b[2J\nname\udcff.txt" in result.stdout
    exact = json_lines(drystone("ls", "pets", "--json", env=environment(filled)))
    assert {line["path"] for line in exact} == set(FILES)


def test_ls_without_a_batch_lists_batches(filled):
    assert b"pets" in drystone("ls", env=environment(filled)).stdout
    (batches,) = json_lines(drystone("ls", "--json", env=environment(filled)))
    assert [batch["batch"] for batch in batches] == ["pets"]


def test_get_and_head(filled, tmp_path):
    output = str(tmp_path / "dog.bin")
    key = key_of("deep/er/dog.bin")
    drystone("get", key, "-o", output, env=environment(filled))
    with open(output, "rb") as file:
        assert file.read() == FILES["deep/er/dog.bin"]
    drystone("get", key, "-o", output, env=environment(filled), expect=2)
    drystone("get", key, "--json", env=environment(filled), expect=2)
    drystone("get", "0" * 64, env=environment(filled), expect=1)
    drystone("head", "nonsense", env=environment(filled), expect=2)
    head = json.loads(drystone("head", key, "--json", env=environment(filled)).stdout)
    assert (head["key"], head["size_bytes"], head["copies"]) == (key, 100_000, 2)
    assert b"2 of 2" in drystone("head", key, env=environment(filled)).stdout
    # Nothing of a get is left behind.
    assert not [name for name in os.listdir(filled.config.run_dir) if name.startswith("get-")]


# ---- Datasets --------------------------------------------------------------------------------


def test_a_listing_is_a_manifest(filled):
    listing = drystone("ls", "pets", "--json", env=environment(filled)).stdout
    result = drystone(
        *("export", "-", "--id", "set", "--layout", "plain", "--mode", "copy"),
        env=environment(filled),
        input=listing,
    )
    target = os.fsdecode(result.stdout.strip())
    for path, data in FILES.items():
        with open(os.path.join(target, path), "rb") as file:
            assert file.read() == data
    # The same again is a no-op; other content under the same name is refused.
    again = ("export", "-", "--id", "set", "--layout", "plain", "--mode", "copy", "--json")
    answer = json.loads(drystone(*again, env=environment(filled), input=listing).stdout)
    assert (answer["target_root"], answer["job"]["state"]) == (target, "done")
    other = listing.splitlines(keepends=True)[0]
    result = drystone(*again, env=environment(filled), input=other, expect=1)
    assert b"sealed" in result.stderr


def test_a_bad_manifest_is_one_clear_answer(filled, tmp_path):
    manifest = tmp_path / "bad.jsonl"
    manifest.write_text('{"path": "../x", "key": "' + "0" * 64 + '"}\n{broken\n')
    options = ("--id", "set", "--layout", "bad", "--mode", "copy")
    result = drystone("export", str(manifest), *options, env=environment(filled), expect=2)
    assert b"line 1" in result.stderr and b"line 2" in result.stderr
    assert b"nothing was started" in result.stderr
    drystone("export", str(tmp_path / "no"), *options, env=environment(filled), expect=2)


def test_views_in_the_mount(filled, tmp_path):
    point = filled.mount()
    listing = drystone("ls", "pets", "--json", env=environment(filled)).stdout
    (tmp_path / "m.jsonl").write_bytes(listing)
    result = drystone(
        *("stage", str(tmp_path / "m.jsonl"), "--batch", "b1", "--layout", "l1", "--mode", "view"),
        env=environment(filled),
    )
    assert os.fsdecode(result.stdout.strip()) == os.path.join(point, "stage", "b1", "l1")
    for path, data in FILES.items():
        with open(os.path.join(point, "stage", "b1", "l1", path), "rb") as file:
            assert file.read() == data
    assert b"stage/b1/l1" in drystone("views", env=environment(filled)).stdout
    drystone("unpublish", "stage/b1/l1", env=environment(filled))
    assert drystone("views", "--json", env=environment(filled)).stdout.strip() == b"[]"
    drystone("unpublish", "stage/b1", env=environment(filled), expect=2)
    drystone("unpublish", "stage/b1/l1", env=environment(filled), expect=1)


# ---- Care ------------------------------------------------------------------------------------


@pytest.mark.seconds(19)
def test_care_commands_answer(filled):
    for command in (
        ("health",),
        ("capacity",),
        ("warnings",),
        ("verify", "--all"),
        ("verify", "--batch", "pets"),
        ("verify", "--sample", "0.5"),
        ("fsck",),
        ("reindex",),
        ("rebuild",),
        ("jobs",),
        ("disk", "list"),
        ("views",),
    ):
        assert drystone(*command, env=environment(filled)).stderr.count(b"drystone:") == 0
        for document in json_lines(drystone(*command, "--json", env=environment(filled))):
            assert isinstance(document, (dict, list))


@pytest.mark.parametrize("options", [(), ("--all", "--sample", "0.5"), ("--sample", "2")])
def test_verify_wants_one_clear_choice(filled, options):
    drystone("verify", *options, env=environment(filled), expect=2)


def test_a_lost_disk_is_rebuilt(filled):
    for folder, _, names in os.walk(filled.disks[0]):
        for name in names:
            os.truncate(os.path.join(folder, name), 0)
            os.unlink(os.path.join(folder, name))
    drystone("rebuild", "--disk", "nothing", "--yes", env=environment(filled), expect=2)
    drystone("rebuild", "--disk", "d1", env=environment(filled), input=b"n\n", expect=1)
    drystone("rebuild", "--disk", "d1", "--dry-run", env=environment(filled))
    assert b"gone" not in drystone("disk", "list", env=environment(filled)).stdout
    drystone("rebuild", "--disk", "d1", "--yes", env=environment(filled))
    for path, data in FILES.items():
        assert drystone("get", key_of(path), env=environment(filled)).stdout == data
        head = json.loads(drystone("head", key_of(path), "--json", env=environment(filled)).stdout)
        assert head["copies"] == 2 and "d1" not in head["disks"]
    drystone("verify", "--all", env=environment(filled))


def test_interrupt_detaches(store, tmp_path):
    made = store()
    (tmp_path / "big").mkdir()
    with open(tmp_path / "big" / "zeros", "wb") as file:
        file.truncate(1 << 30)
    terminal, theirs = pty.openpty()
    with open(terminal, "rb", buffering=0) as shown:
        process = subprocess.Popen(
            [sys.executable, PROGRAM, "put", str(tmp_path / "big"), "--batch", "big"],
            env={**os.environ, **environment(made)},
            stderr=theirs,
            # A shell's background job ignores Ctrl-C, and so would whatever it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        os.close(theirs)
        # What it shows on a terminal is the progress of its job: it follows it.
        told = shown.read(4096)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # As a terminal ends.
            while more := shown.read(4096):
                told += more
    assert process.wait(120) == 130, told
    (running,) = [job for job in made.client.jobs() if job.state == "running"]
    assert f"drystone job cancel {running.job_id}".encode() in told
    drystone("job", "cancel", running.job_id, env=environment(made))
    drystone("job", "wait", running.job_id, env=environment(made), expect=1)


def test_a_closed_pipe_is_quiet(store, tmp_path):
    made = store()
    folder = str(tmp_path / "many")
    os.mkdir(folder)
    for number in range(3000):
        write_files(folder, {f"file-{number:05}-{'x' * 100}": b"same"})
    made.put(folder, "many")
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "ls", "many"],
        env={**os.environ, **environment(made)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=120)
    assert errors == b""


# ---- Start-up --------------------------------------------------------------------------------


def test_commands_import_only_what_they_need(filled):
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r}); sys.argv = ['drystone', *sys.argv[1:]]\n"
        "import atexit; atexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr))\n"
        "import drystone; drystone.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "head", key_of("cat.txt")],
        env={**os.environ, **environment(filled)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0
    loaded = set(result.stderr.rpartition("LOADED")[2].split())
    assert loaded & {"fastapi", "numpy", "uvicorn", "pyfuse3", "trio", "lmdb"} == set()
    assert "fsd.client.client" in loaded
