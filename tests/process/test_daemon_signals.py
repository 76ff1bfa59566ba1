"""
What signals do to a real daemon (the page of signals in the reference).
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading

from svctree.control import ControlClient
from tests.support.daemons import Daemon
from tests.support.processes import alive, waitUntil


def send(daemon: Daemon, number: int) -> int:
    """
    @return: the pid of the master that got it.
    """
    master = daemon.master()
    os.kill(master, number)
    return master


def slowRequest(daemon: Daemon, seconds: float) -> tuple[threading.Thread, list[str]]:
    """
    Begin a request that takes its time.

    @return: the thread that waits for it, and where its answer will be.
    """
    answers: list[str] = []

    def ask() -> None:
        try:
            answers.append(daemon.get(f"/sleep?{seconds}", timeout=60))
        except Exception as error:
            answers.append(f"lost: {error!r}")

    thread = threading.Thread(target=ask)
    thread.start()
    client = ControlClient(str(daemon.control))
    waitUntil(lambda: "/sleep" in str(client.status()), "the request")
    return thread, answers


def test_term(daemon: Daemon) -> None:
    """
    TERM finishes what is in hand, then ends everything.
    """
    daemon.start()
    thread, answers = slowRequest(daemon, 2)
    master = send(daemon, signal.SIGTERM)
    thread.join()
    assert answers == ["hello"]
    waitUntil(lambda: not alive(master), "its end")
    assert daemon.left() == ["error.log"]


def test_fast(daemon: Daemon) -> None:
    """
    INT, QUIT and a second TERM do not wait for what is in hand.
    """
    for numbers in (
        [signal.SIGINT],
        [signal.SIGQUIT],
        [signal.SIGTERM, signal.SIGTERM],
    ):
        daemon.start()
        thread, answers = slowRequest(daemon, 50)
        for number in numbers:
            master = send(daemon, number)
            waitUntil(
                lambda number=number: f"received {number.name}" in daemon.log(),
                "the signal",
            )
        waitUntil(lambda master=master: not alive(master), "its end", 10)
        thread.join()
        assert answers != ["hello"]
        assert daemon.left() == ["error.log"]
        daemon.errorlog.unlink()


def test_hup(daemon: Daemon) -> None:
    """
    HUP takes new code into service; one that does not boot leaves the old one
    serving, and says so in the log.
    """
    master = daemon.start()
    source = (daemon.folder / "site_app.py").read_text()
    daemon.writeApplication(source.replace("VERSION", "second"))
    send(daemon, signal.SIGHUP)
    waitUntil(lambda: daemon.get("/version") == "second", "the new code", 20)
    daemon.writeApplication("raise ValueError('broken')\n")
    send(daemon, signal.SIGHUP)
    daemon.waitForLog("reload failed")
    assert "ValueError: broken" in daemon.log()
    assert daemon.get("/version") == "second"
    assert daemon.master() == master


def test_hupOnATerminal(daemon: Daemon) -> None:
    """
    In the foreground on a terminal HUP ends it: the window was closed.
    """
    daemon.configure(detach="no")
    ours, terminal = pty.openpty()
    with subprocess.Popen(daemon.argv("run"), stdin=terminal) as process:
        try:
            daemon.waitForLog("ready, pid")
            process.send_signal(signal.SIGHUP)
            assert process.wait(20) == 0
        finally:
            process.kill()
    os.close(ours)
    os.close(terminal)
    assert daemon.left() == ["error.log"]


def test_usr1(daemon: Daemon) -> None:
    """
    USR1 reopens the error log in every process.
    """
    daemon.start()
    daemon.errorlog.rename(daemon.run / "old")
    send(daemon, signal.SIGUSR1)
    waitUntil(
        lambda: all(
            os.readlink(f"/proc/{pid}/fd/2") == str(daemon.errorlog)
            for pid in daemon.processes()
        ),
        "the new log",
    )


def test_scaling(daemon: Daemon) -> None:
    """
    TTIN is one worker more, TTOU one less, and never none.
    """
    daemon.start()
    send(daemon, signal.SIGTTIN)
    waitUntil(lambda: len(daemon.workers()) == 3, "a third worker")
    for left in (2, 1):
        send(daemon, signal.SIGTTOU)
        waitUntil(lambda left=left: len(daemon.workers()) == left, "one less")
    send(daemon, signal.SIGTTOU)
    daemon.waitForLog("received SIGTTOU")
    assert daemon.get() == "hello"


def test_winch(daemon: Daemon) -> None:
    """
    WINCH finishes what is in hand and accepts nothing more; the daemon stays.
    """
    daemon.start()
    thread, answers = slowRequest(daemon, 2)
    master = send(daemon, signal.SIGWINCH)
    thread.join()
    assert answers == ["hello"]
    waitUntil(lambda: daemon.workers() == [], "the end of the workers", 20)
    assert daemon.command("status").returncode == 0
    assert daemon.master() == master
    assert daemon.command("stop").returncode == 0


def test_resizedTerminal(daemon: Daemon) -> None:
    """
    In the foreground on a terminal WINCH comes with every change of the window's
    size, and means nothing else.
    """
    daemon.configure(detach="no", workers=1)
    ours, terminal = pty.openpty()
    argv = ["setsid", "--ctty", *daemon.argv("run")]
    with subprocess.Popen(argv, stdin=terminal) as process:
        try:
            daemon.waitForLog("ready, pid")
            size = struct.pack("4H", 50, 100, 0, 0)
            fcntl.ioctl(ours, termios.TIOCSWINSZ, size)
            daemon.waitForLog("received SIGWINCH")
            assert daemon.command("status").returncode == 0
            assert len(daemon.workers()) == 1
            assert daemon.get() == "hello"
        finally:
            os.kill(daemon.master(), signal.SIGTERM)
            assert process.wait(20) == 0
    os.close(ours)
    os.close(terminal)


def test_stopUnderWay(daemon: Daemon) -> None:
    """
    A TERM that comes while the daemon still starts is not lost: nothing is left.
    """
    daemon.writeApplication("import time\ntime.sleep(3)\n")
    with subprocess.Popen(
        daemon.argv("start"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as start:
        master = waitUntil(daemon.master, "the daemon", 20)
        waitUntil(daemon.zygotes, "its zygote", 20)
        os.kill(master, signal.SIGTERM)
        assert start.stderr is not None
        assert b"was told to stop before it was ready" in start.stderr.read()
        assert start.wait(30) == 1
    waitUntil(lambda: not alive(master), "its end", 20)
    assert daemon.left() == ["error.log"]
