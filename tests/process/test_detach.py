"""
L{svctree.process.detach}: real daemons, and the parents that wait for them.
"""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from svctree.process import Foreground
from svctree.process.detach import awaitDaemon
from tests.support.processes import Processes, alive, fieldsOf, waitUntil

BEGIN = """
import os, signal, sys, time
from svctree.process import detachProcess
status = detachProcess()
"""


def start(code: str, *arguments: object, **keywords: object):  # type: ignore[no-untyped-def]
    return subprocess.run(
        [sys.executable, "-c", BEGIN + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=20,
        **keywords,  # type: ignore[arg-type]
    )


def test_parentWaitsForReady(tmp_path: Path) -> None:
    """
    The parent exits with 0 when the daemon is ready, not before; by then the daemon
    is a session of its own without a terminal, and its parent is not ours.
    """
    note = tmp_path / "note"
    done = start(
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {os.getsid(0)} {os.getppid()}')\n"
        "os.dup2(1, 2)\n"
        "status.ready()\n"
        "signal.sigwait([signal.SIGTERM])\n",
        note,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pid, session, parent = map(int, note.read_text().split())
    assert alive(pid)
    try:
        fields = fieldsOf(pid)
        assert session not in (pid, os.getsid(0))
        assert fields[4] == "0", "it has a terminal"
        assert parent != os.getpid()
    finally:
        os.kill(pid, signal.SIGKILL)


def test_failureInOneLine() -> None:
    """
    A failure is told by the parent: one line, the details below it, the status.
    """
    done = start("status.failed('no such thing', 4, 'line 1\\nline 2\\n')")
    assert done.returncode == 4
    assert done.stderr == "svctree: no such thing\nline 1\nline 2\n"


def test_longDetails() -> None:
    """
    A traceback larger than a pipe's buffer gets through.
    """
    done = start("status.failed('long', 3, 'x' * 1000000)")
    assert done.returncode == 3
    assert len(done.stderr) > 1000000


def test_deathBeforeReady() -> None:
    """
    A daemon that dies without a word is a failure that names its pid.
    """
    done = start("os.dup2(1, 2)\nos.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == 1
    assert "ended before it was ready" in done.stderr and "(pid " in done.stderr


def test_descriptors(tmp_path: Path) -> None:
    """
    Descriptors 0 and 1 are /dev/null, 2 stays for the error log, and nothing that
    the caller had open is left, but what it wants to keep.
    """
    note = tmp_path / "note"
    kept, extra = os.open(os.devnull, os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    code = f"""
import os, sys
from svctree.process import detachProcess
status = detachProcess(keep=[{kept}])
found = {{}}
for fd in os.listdir("/proc/self/fd"):
    try:
        found[int(fd)] = os.readlink(f"/proc/self/fd/{{fd}}")
    except OSError:
        pass
open(sys.argv[1], "w").write(repr(found))
status.ready()
"""
    subprocess.run(
        [sys.executable, "-c", code, note],
        pass_fds=[kept, extra],
        check=True,
        timeout=20,
    )
    os.close(kept)
    os.close(extra)
    found = eval(note.read_text())
    assert found.pop(0) == found.pop(1) == "/dev/null"
    found.pop(2)
    assert found.pop(kept) == "/dev/null"
    assert [kind for kind in found.values() if not kind.startswith("pipe:")] == []
    assert len(found) == 1, "only the pipe to the parent"


def test_closedStandardStreams(tmp_path: Path) -> None:
    """
    Started with descriptors 0 to 2 closed, nothing else gets these numbers.
    """
    note = tmp_path / "note"
    code = (
        BEGIN + "open(sys.argv[1], 'w').write(' '.join(os.readlink("
        "f'/proc/self/fd/{fd}') for fd in range(3)))\nstatus.ready()\n"
    )
    shell = f'"{sys.executable}" -c "$CODE" "{note}" <&- >&- 2>&-'
    subprocess.run(
        ["sh", "-c", shell], env={**os.environ, "CODE": code}, check=True, timeout=20
    )
    assert note.read_text() == "/dev/null /dev/null /dev/null"


def test_progressOnATerminal() -> None:
    """
    On a terminal the parent shows what the start waits for; elsewhere it is silent.
    """
    code = BEGIN + "status.progress('waiting for web')\nstatus.ready()\n"
    quiet = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=20, check=True
    )
    assert quiet.stderr == b""
    master, terminal = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", code], stderr=terminal) as process:
        os.close(terminal)
        assert process.wait(20) == 0
        # Shown, and then removed from the line.
        shown = b"\r\x1b[Ksvctree: waiting for web\r\x1b[K"
        assert os.read(master, 1000) == shown
    os.close(master)


def test_interrupt(processes: Processes, tmp_path: Path) -> None:
    """
    Ctrl-C while waiting ends the daemon too.
    """
    note = tmp_path / "note"
    code = BEGIN + (
        "os.dup2(1, 2)\n"
        "open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        # Not pause(): the signal may come just before it.
        "while True:\n"
        "    time.sleep(0.05)\n"
    )
    parent = processes.start([sys.executable, "-c", code, note])
    pid = int(waitUntil(lambda: note.exists() and note.read_text(), "the daemon"))
    parent.signal(signal.SIGINT)
    assert parent.wait() == 130
    assert "the daemon was told to stop" in parent.output
    waitUntil(lambda: not alive(pid), "its end")


def test_earlyInterrupt(processes: Processes, tmp_path: Path) -> None:
    """
    An interrupt that comes before the daemon has said who it is reaches it as well.
    """
    note = tmp_path / "note"
    code = (
        "import os, sys\n"
        "from svctree.process import detach\n"
        "class Late(detach.StatusPipe):\n"
        "    def __init__(self, fd):\n"
        "        open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "        while os.path.exists(sys.argv[1]): pass\n"
        "        super().__init__(fd)\n"
        "detach.StatusPipe = Late\n"
        "detach.detachProcess()\n"
        "os.dup2(1, 2)\n"
        "import signal; signal.pause()\n"
    )
    parent = processes.start([sys.executable, "-c", code, note])
    pid = int(waitUntil(lambda: note.exists() and note.read_text(), "the daemon"))
    parent.signal(signal.SIGINT)
    note.unlink()
    assert parent.wait() == 130
    waitUntil(lambda: not alive(pid), "its end")


def test_sweepsWhatWasLeft(tmp_path: Path) -> None:
    """
    The waiting parent removes an emptied pidfile and a dead socket for a daemon
    that may not.
    """
    import socket

    (tmp_path / "d.pid").touch()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "dead"))
    dead.close()
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(tmp_path / "live"))
        live.listen()
        (tmp_path / "file").write_text("mine")
        start(
            "status.failed('no', 1, '', sys.argv[1], sys.argv[2:])",
            *[tmp_path / name for name in ("d.pid", "dead", "live", "file")],
        )
    assert sorted(os.listdir(tmp_path)) == ["file", "live"]


def test_parentGone() -> None:
    """
    A daemon whose parent does not wait any more starts all the same.
    """
    reader, writer = os.pipe()
    os.close(reader)
    from svctree.process import StatusPipe

    status = StatusPipe(writer)
    status.progress("waiting")
    status.ready()
    status.ready()


def test_foreground() -> None:
    """
    In the foreground a failure goes to standard error.
    """
    stream = io.StringIO()
    report = Foreground(stream)
    report.progress("waiting")
    report.ready()
    report.failed("no", 1, "why")
    assert stream.getvalue() == "svctree: no\nwhy\n"


def test_foregroundKeepsItsOwn() -> None:
    """
    The failure is told to the standard error that the process was started with,
    also when the error log has taken its place.
    """
    code = (
        "import os\nfrom svctree.process import Foreground\n"
        "report = Foreground()\n"
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"
        "report.failed('no'); report.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stderr == "svctree: no\n"


def test_emptyPipe() -> None:
    """
    A pipe that ends without any message is a failure.
    """
    reader, writer = os.pipe()
    os.close(writer)
    stream = io.StringIO()
    assert awaitDaemon(reader, stream) == 1
    assert "ended before it was ready" in stream.getvalue()
