"""The embedded PostgreSQL comes up from whatever state it was left in."""

import os
import secrets
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from pacs.database import processes, sockets
from pacs.database.binaries import find_binaries
from pacs.database.embedded import EmbeddedPostgres
from pacs.database.errors import (
    DatabaseUnsupported,
    DataDirectoryError,
    DataDirectoryInUse,
)

# Holds a server and does nothing else; a process of its own, so that it can be killed.
OWNER = """
import sys, time
from pathlib import Path
from pacs.database.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def own_elsewhere(cluster_folder: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the server in the care of another process, which may be killed."""
    owners: list[subprocess.Popen[str]] = []

    def own() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", OWNER, str(cluster_folder)]
        owners.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert owners[-1].stdout is not None
        assert owners[-1].stdout.readline()
        return owners[-1]

    yield own
    for owner in owners:
        owner.kill()
        owner.communicate()


def write(url: str) -> int:
    """Commit a number that no other test has; returns it."""
    number = secrets.randbits(31)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [number])
    return number


def kept(url: str) -> set[int]:
    """All numbers that were ever committed and not lost."""
    with psycopg.connect(url) as connection:
        return {int(row[0]) for row in connection.execute("SELECT value FROM kept")}


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def test_what_is_committed_is_there_after_a_restart(cluster_folder: Path) -> None:
    with EmbeddedPostgres(cluster_folder) as server:
        number = write(server.url)
    assert not processes.postgres_in(cluster_folder / "cluster")
    with EmbeddedPostgres(cluster_folder) as server:
        assert number in kept(server.url)


def test_nobody_else_can_read_it_or_sign_in(cluster_folder: Path) -> None:
    with EmbeddedPostgres(cluster_folder) as server:
        assert stat.S_IMODE((cluster_folder / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE((cluster_folder / "cluster").stat().st_mode) == 0o700
        wrong = server.url.replace(server.url.split(":")[2].split("@")[0], "guess")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        with psycopg.connect(server.url) as connection:
            settings: dict[str, str] = dict(
                connection.execute("SELECT name, setting FROM pg_settings").fetchall()
            )
    assert settings["listen_addresses"] == ""
    assert settings["fsync"] == settings["data_checksums"] == "on"
    assert settings["server_encoding"] == "UTF8"


def test_the_postmaster_is_killed(cluster_folder: Path) -> None:
    with EmbeddedPostgres(cluster_folder) as server:
        number = write(server.url)
        postmaster = int((cluster_folder / "cluster" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        eventually(lambda: not server.alive())
        server.restart()
        assert server.alive()
        assert number in kept(server.url)


def test_everything_is_killed_at_once(
    cluster_folder: Path, own_elsewhere: Callable[[], subprocess.Popen[str]]
) -> None:
    numbers: set[int] = set()
    for _ in range(3):
        owner = own_elsewhere()
        url = EmbeddedPostgres(cluster_folder).url
        numbers.add(write(url))
        victims = processes.postgres_in(cluster_folder / "cluster")
        owner.kill()
        for process in victims:
            processes.send(process.pid, signal.SIGKILL)
        # Not waited for: while it is a zombie its number still answers to kill(pid, 0).
        with EmbeddedPostgres(cluster_folder) as server:
            assert numbers <= kept(server.url)


def test_a_zombie_with_the_number_in_the_lock_file_is_not_believed(cluster_folder: Path) -> None:
    with EmbeddedPostgres(cluster_folder) as server:
        number = write(server.url)
        lock_file = (cluster_folder / "cluster" / "postmaster.pid").read_text()
    zombie = subprocess.Popen(["true"])
    eventually(lambda: not processes.alive(zombie.pid))
    lines = lock_file.splitlines()
    stale = cluster_folder / "cluster" / "postmaster.pid"
    stale.write_text("\n".join([str(zombie.pid), *lines[1:]]))
    with EmbeddedPostgres(cluster_folder) as server:
        assert number in kept(server.url)
    zombie.wait()


def test_a_stranger_with_the_number_in_the_lock_file_is_left_alone(cluster_folder: Path) -> None:
    with EmbeddedPostgres(cluster_folder) as server:
        number = write(server.url)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (cluster_folder / "cluster" / "postmaster.pid").write_text(f"{stranger.pid}\n")
        with EmbeddedPostgres(cluster_folder) as server:
            assert number in kept(server.url)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_the_server_shuts_down_when_its_owner_is_killed(
    cluster_folder: Path, own_elsewhere: Callable[[], subprocess.Popen[str]]
) -> None:
    owner = own_elsewhere()
    url = EmbeddedPostgres(cluster_folder).url
    write(url)
    owner.kill()
    owner.wait()
    eventually(lambda: not processes.postgres_in(cluster_folder / "cluster"))


def test_an_orphaned_server_is_taken_down_and_started_anew(cluster_folder: Path) -> None:
    with EmbeddedPostgres(cluster_folder) as server:
        number = write(server.url)
        command = Path(f"/proc/{processes.postgres_in(server.cluster)[0].pid}/cmdline")
        heads = [p for p in processes.postgres_in(server.cluster) if p.parent == os.getpid()]
        command = Path(f"/proc/{heads[0].pid}/cmdline")
        words = command.read_bytes().rstrip(b"\0").split(b"\0")
        owner = command.stat().st_uid
    # The same server as before, but nobody's child who would care for it.
    orphan = subprocess.Popen(
        words, stderr=subprocess.DEVNULL, user=owner if os.geteuid() == 0 else None, cwd="/"
    )
    eventually(lambda: len(processes.postgres_in(cluster_folder / "cluster")) > 3)
    said: list[str] = []
    with EmbeddedPostgres(cluster_folder, said.append) as server:
        orphan.wait()
        assert number in kept(server.url)
    assert any("left behind" in line for line in said)


def test_a_backend_that_outlives_its_postmaster_is_waited_for(
    cluster_folder: Path, own_elsewhere: Callable[[], subprocess.Popen[str]]
) -> None:
    owner = own_elsewhere()
    url = EmbeddedPostgres(cluster_folder).url
    number = write(url)
    busy = psycopg.connect(url)
    with suppress(psycopg.OperationalError), busy.cursor() as cursor:
        # In its own loop it does not notice that the postmaster has gone.
        cursor.execute("SET statement_timeout = '2s'")
        busy.commit()
        busy.pgconn.send_query(b"DO $$ BEGIN LOOP END LOOP; END $$")
    postmaster = int((cluster_folder / "cluster" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    owner.kill()
    owner.wait()
    with EmbeddedPostgres(cluster_folder) as server:
        assert number in kept(server.url)
    busy.close()


def test_two_at_once_do_not_share_it(cluster_folder: Path) -> None:
    with (
        EmbeddedPostgres(cluster_folder),
        pytest.raises(DataDirectoryInUse, match=rf"in use by process {os.getpid()}"),
    ):
        EmbeddedPostgres(cluster_folder).start()


def test_a_half_made_cluster_is_made_anew(fresh_folder: Path) -> None:
    (fresh_folder / "cluster.new" / "cluster").mkdir(parents=True)
    (fresh_folder / "cluster.new" / "cluster" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(fresh_folder) as server:
        write(server.url)
    assert not (fresh_folder / "cluster.new").exists()


def test_files_of_another_postgresql_are_refused(cluster_folder: Path) -> None:
    with EmbeddedPostgres(cluster_folder) as server:
        version = server.cluster / "PG_VERSION"
    right = version.read_text()
    version.write_text("14\n")
    with pytest.raises(
        DatabaseUnsupported, match=r"is of PostgreSQL 14, this program runs"
    ) as told:
        EmbeddedPostgres(cluster_folder).start()
    version.write_text(right)
    assert "\n" not in str(told.value)


def test_a_long_path_is_no_obstacle(fresh_folder: Path) -> None:
    deep = fresh_folder.parent / "/".join(["a-rather-long-name-of-a-folder"] * 4) / "postgres"
    for folder in reversed(deep.parents):
        if folder.is_relative_to(fresh_folder.parent) and not folder.exists():
            folder.mkdir(mode=0o755)
    with EmbeddedPostgres(deep) as server:
        number = write(server.url)
        assert number in kept(server.url)
        outside = sockets.folder(deep)
        assert outside.stat().st_mode & 0o077 == 0
    assert not outside.exists()


@pytest.mark.usefixtures("as_root")
def test_under_root_it_runs_as_nobody_even_where_nobody_may_pass(fresh_folder: Path) -> None:
    closed = fresh_folder.parent / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "postgres") as server:
        write(server.url)
        heads = [p for p in processes.postgres_in(server.cluster) if p.parent == os.getpid()]
        assert Path(f"/proc/{heads[0].pid}").stat().st_uid != 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.usefixtures("as_root")
def test_a_full_disk_is_named_and_leaves_nothing_half_made(fresh_folder: Path) -> None:
    disk = fresh_folder.parent / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(DataDirectoryError, match="is full: make room"):
            EmbeddedPostgres(disk / "postgres").start()
        assert {entry.name for entry in (disk / "postgres").iterdir()} <= {"lock"}
        subprocess.run(["mount", "-o", "remount,size=400m", str(disk)], check=True)
        with EmbeddedPostgres(disk / "postgres") as server:
            write(server.url)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_the_programs_are_of_one_version() -> None:
    binaries = find_binaries()
    assert binaries.major >= 15
    assert binaries.initdb.exists()
