"""
Starts nginx, Apache httpd and lighttpd as ordinary foreground processes.

The files in docs/listings/frontends are used as they are, with nothing but addresses
and paths put in; what is written here is only what Debian's own main configuration
files would say around them.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.processes import BIN, Processes, Running, waitUntil

__all__ = [
    "LISTINGS",
    "TOP",
    "FrontEnd",
    "freePort",
    "listing",
    "need",
    "startApache",
    "startLighttpd",
    "startNginx",
    "startService",
    "takesConnections",
]

TOP = Path(__file__).parent.parent.parent
LISTINGS = TOP / "docs" / "listings" / "frontends"

_PACKAGES = {
    "nginx": "nginx",
    "apache2": "apache2",
    "lighttpd": "lighttpd",
    "spawn-fcgi": "spawn-fcgi",
    "cgi-fcgi": "libfcgi-bin",
}

_MODULES = Path("/usr/lib/apache2/modules")


def need(command: str) -> str:
    """
    @return: the path of a front end's command; skips the test where there is none,
        and says which package has it.
    """
    found = shutil.which(command, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"needs {command} (Debian's package {_PACKAGES[command]})")
    return found


def needModule(name: str, package: str) -> None:
    """
    Skip the test where a module of Apache is not installed.
    """
    if not (_MODULES / f"mod_{name}.so").exists():
        pytest.skip(f"needs mod_{name} (Debian's package {package})")


def freePort() -> int:
    """
    @return: a port of 127.0.0.1 that was free a moment ago: none of these servers can
        be given a socket or be asked for the port that it chose.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def listing(name: str, changes: Mapping[str, str]) -> str:
    """
    Read a listing and put in addresses and paths.

    @param changes: what stands in the file, and what to put there.
    """
    text = (LISTINGS / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


def takesConnections(address: int | Path) -> bool:
    """
    @param address: a port of 127.0.0.1, or the path of a unix socket.
    """
    family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
    with socket.socket(family) as sock:
        target = (
            ("127.0.0.1", address) if isinstance(address, int) else os.fspath(address)
        )
        return sock.connect_ex(target) == 0


class FrontEnd:
    """
    A started front end.

    @ivar port: where clients find it on 127.0.0.1.
    """

    def __init__(self, running: Running, port: int, log: Path) -> None:
        self.running = running
        self.port = port
        self._log = log

    @property
    def errors(self) -> str:
        """
        What is in its error log.
        """
        logged = self._log.read_text() if self._log.exists() else ""
        return logged + self.running.output

    def whenUp(self) -> FrontEnd:
        def up() -> bool:
            assert self.running.process.poll() is None, self.errors
            return takesConnections(self.port)

        waitUntil(up, f"port {self.port}")
        return self


def untilWeEnd(argv: list[str]) -> list[str]:
    """
    @return: the command, told by the kernel to end when these tests do: front ends
        would outlive tests that are killed, and keep their ports and folders.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *argv] if setpriv else argv


def startNginx(processes: Processes, folder: Path, site: str) -> FrontEnd:
    """
    @param site: the text of a listing, with C{listen 80} still in it.
    """
    command = need("nginx")
    port = freePort()
    for stock in ("fastcgi_params", "scgi_params", "uwsgi_params"):
        shutil.copy(f"/etc/nginx/{stock}", folder / stock)
    site = site.replace("listen 80;", f"listen 127.0.0.1:{port};")
    user = "user root;" if os.getuid() == 0 else ""
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "nginx.conf"
    main.write_text(
        f"{user}\ndaemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log info;\nevents {{ worker_connections 512; }}\n"
        f"http {{\naccess_log off;\n{temporary}\n{site}\n}}\n"
    )
    argv = [command, "-p", str(folder), "-c", str(main), "-e", f"{folder}/error.log"]
    running = processes.start(untilWeEnd(argv))
    return FrontEnd(running, port, folder / "error.log").whenUp()


def unprivileged() -> list[str]:
    """
    @return: what to put before a command that refuses to run as root: a user
        namespace in which we are somebody else, while our files stay ours.
    """
    if os.getuid() != 0:
        return []
    prefix = ["unshare", "--user", "--map-user=1000"]
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("Apache does not run as root, and there are no user namespaces")
    return prefix


def startApache(
    processes: Processes, folder: Path, site: str, modules: Mapping[str, str]
) -> FrontEnd:
    """
    @param site: the text of a listing, with C{<VirtualHost *:80>} still in it.
    @param modules: names of modules, with the package that has each.
    """
    command = need("apache2")
    port = freePort()
    loaded = {
        "mpm_event": "apache2",
        "authz_core": "apache2",
        "authz_host": "apache2",
        "alias": "apache2",
        "env": "apache2",
        "setenvif": "apache2",
        "headers": "apache2",
        "mime": "apache2",
        **modules,
    }
    lines = []
    for name, package in loaded.items():
        needModule(name, package)
        lines.append(f"LoadModule {name}_module {_MODULES}/mod_{name}.so")
    site = site.replace("<VirtualHost *:80>", f"<VirtualHost 127.0.0.1:{port}>")
    main = folder / "apache.conf"
    main.write_text(
        "\n".join(lines)
        + f"""
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
LogLevel info
Listen 127.0.0.1:{port}
ServerName localhost
TypesConfig /dev/null
DocumentRoot {folder}
StartServers 1
ServerLimit 1
ThreadsPerChild 32
MaxRequestWorkers 32
<Directory />
    Require all granted
</Directory>
"""
        + ("User #1000\nGroup #65534\n" if os.getuid() == 0 else "")
        + ("ScriptSock cgisock\n" if "cgid" in modules else "")
        + (
            "FcgidIPCDir fcgid\nFcgidProcessTableFile shm\n"
            if "fcgid" in modules
            else ""
        )
        + site
    )
    # In this order: who becomes somebody else is not told any more.
    argv = untilWeEnd([command, "-f", str(main), "-DFOREGROUND"])
    running = processes.start([*unprivileged(), *argv])
    return FrontEnd(running, port, folder / "error.log").whenUp()


def startLighttpd(processes: Processes, folder: Path, site: str) -> FrontEnd:
    """
    @param site: the text of a listing.
    """
    command = need("lighttpd")
    port = freePort()
    main = folder / "lighttpd.conf"
    main.write_text(
        f'server.document-root = "{folder}"\nserver.port = {port}\n'
        f'server.bind = "127.0.0.1"\nserver.errorlog = "{folder}/error.log"\n'
        f'server.upload-dirs = ( "{folder}" )\nserver.max-request-size = 102400\n'
        f"{site}\n"
    )
    running = processes.start(untilWeEnd([command, "-D", "-f", str(main)]))
    return FrontEnd(running, port, folder / "error.log").whenUp()


def startService(
    processes: Processes,
    folder: Path,
    listen: str,
    protocol: str,
    *options: str,
    application: str = "tests.frontends.application:application",
) -> Running:
    """
    Start C{twistd -n svctree} and wait until it serves.

    @param listen: an address as the option takes it.
    """
    argv = [str(BIN / "twistd"), "-n", "--pidfile=", "svctree"]
    argv += ["--listen", listen, "--protocol", protocol, *options, application]
    path = os.pathsep.join([str(TOP), *sys.path[1:]])
    running = processes.start(argv, cwd=folder, env={"PYTHONPATH": path})
    where = listen.removeprefix("unix:").removeprefix("tcp:")
    address = (
        int(where.rpartition(":")[2]) if listen.startswith("tcp:") else Path(where)
    )

    def up() -> bool:
        assert running.process.poll() is None, running.output
        return takesConnections(address)

    waitUntil(up, f"{listen} to be served", 30.0)
    return running
