"""
Every zope interface of the project.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zope.interface import Attribute, Interface

__all__ = [
    "IComposite",
    "IDescribable",
    "IDrained",
    "IHurried",
    "IListener",
    "ILogHolder",
    "IPinged",
    "IPlacing",
    "IReloadable",
    "IScalable",
    "IServiceState",
    "IWorkerModel",
    "OPIInterface",
]


class IDescribable(Interface):
    """
    A service that can say what it is made of, so that another one like it can be made
    elsewhere: from a saved application, or from C{describe()}.

    For a class that is not yours, register an adapter from it to this interface.
    """

    def settings() -> Mapping[str, object]:
        """
        @return: the keywords that make an equal service when its class is called
            with them, as plain data: C{None}, C{bool}, C{int}, C{float}, C{str},
            C{bytes}, and C{list}, C{tuple} and C{dict} of these. Classes and
            functions that a module exports may be among it. Neither the C{name}
            nor the children belong here: the tree knows them.
        """


class IComposite(IDescribable):
    """
    A container whose constructor makes its children: they come with it and are not
    written down beside it.
    """


class IPlacing(Interface):
    """
    A container that knows more about a child than its name, such as when it is
    restarted and what it waits for.
    """

    def placementOf(service: Any) -> Mapping[str, object]:
        """
        @param service: one of the children.
        @return: the keywords for L{place} that differ from the defaults, as plain
            data.
        """

    def place(service: Any, **placement: object) -> object:
        """
        Add a child, as C{service.setServiceParent} does, with keywords.
        """


class IServiceState(Interface):
    """
    A service whose state can be asked for.
    """

    state = Attribute(
        "L{svctree.tree.State}: C{new}, C{starting}, C{running}, C{stopping},"
        " C{stopped} or C{failed}."
    )

    path = Attribute("C{str}: where the service is in its tree, e.g. C{/web/pool}.")


class IListener(Interface):
    """
    A source of listening sockets, bound while the process is privileged.

    Pools find their listeners by name in the tree. The sockets belong to the
    listener: they are open from its privileged phase until it stops, they outlive
    every generation of workers, and a pool only passes them on by descriptor.
    """

    name = Attribute("C{str}: the name under which pools find this listener.")

    def sockets() -> Sequence[socket.socket]:
        """
        @return: the listening sockets, non-blocking; empty before the privileged
            phase.
        """

    def urls() -> Sequence[str]:
        """
        @return: for each socket what a person would click or type, e.g.
            C{http://127.0.0.1:8080/} or C{unix:/run/app.sock}.
        """

    def watch(observer: Callable[[Any], object]) -> None:
        """
        Ask to be told when the sockets change.

        @param observer: called with the listener when L{sockets} has the new ones
            and the old ones still listen; these are closed when what it returns, a
            Deferred or not, has fired. If it fails the change is undone.
        """

    def unwatch(observer: Callable[[Any], object]) -> None:
        """
        Undo L{watch}.
        """


class IReloadable(Interface):
    """
    Something that can take new code or new data while it serves.
    """

    def reload() -> object:
        """
        @return: a Deferred that fires when the new is in service and the old is
            gone or going, and fails when the old has to serve on. The failure's
            C{details} may be the application's traceback.
        """


class IScalable(Interface):
    """
    Something that has a number of workers.
    """

    size = Attribute("C{int}: how many workers it wants at present.")

    def scale(number: int) -> object:
        """
        @return: a Deferred that fires when that many workers are ready.
        """


class IHurried(Interface):
    """
    Something that finishes what is in hand when it stops, and can leave that.
    """

    def hurry() -> object:
        """
        Do not wait any longer: the operator has asked twice, or for a fast stop.
        Called before, during or after C{stopService}, any number of times.
        """


class IDrained(Interface):
    """
    Something that can stop taking new work while it stays up.
    """

    def drain() -> object:
        """
        Accept nothing more, finish what is in hand.
        """


class ILogHolder(Interface):
    """
    Something that has handed the error log on to other processes.
    """

    def logReopened(fd: int) -> object:
        """
        The error log is another file now.

        @param fd: the new file, open; it belongs to the caller.
        @return: L{None}, or a Deferred that fires when the others write to it.
        """


class IPinged(Interface):
    """
    Something that systemd's watchdog should watch.
    """

    def ping() -> object:
        """
        @return: a Deferred that fires when all is well, and fails or never fires
            otherwise.
        """


class IWorkerModel(Interface):
    """
    How the work of a pool is shared out among processes and threads.
    """

    name = Attribute("C{str}: the value of the option C{workermodel}.")

    inProcess = Attribute(
        "C{bool}: the application runs in this very process, without zygote."
    )

    def processes(settings: Any) -> tuple[int, int]:
        """
        @param settings: the pool's L{svctree.settings.PoolSettings}.
        @return: the least and the greatest number of workers; the pool follows the
            load between them.
        """

    def threads(settings: Any) -> int:
        """
        @return: how many requests a worker can have in hand.
        """

    def flags(settings: Any) -> Mapping[str, bool]:
        """
        @return: C{multithread}, C{multiprocess} and C{runOnce}, what the application
            is told under the names C{wsgi.*} (PEP 3333).
        """


class OPIInterface(Interface):
    """
    A way of integrating into the operating system, chosen by the option C{mode}.

    It is made with C{(config, opts, args)}: the configuration, the parsed options of
    the command line, and its arguments (see L{svctree.opi.factory}).
    """

    MODE_THREADED = Attribute("C{int}: one process with threads.")
    MODE_FORKED = Attribute("C{int}: several processes.")
    MODE_SINGLE = Attribute("C{int}: one process with one thread.")
    MODE_ONCE = Attribute("C{int}: this process, for one request, as with CGI.")

    mode = Attribute("C{int}: the running mode, one of those above.")

    config = Attribute("The configuration.")

    def work() -> None:
        """
        Begin to handle requests, or do what the command line asks for.

        @raise svctree.opi.OPIDone: that is done, and there is nothing to serve.
        @raise svctree.opi.OPIError: it failed.
        """
