"""
What a wire protocol and a connection say to each other.

A protocol is a codec: one object for each connection, without I/O. The connection
feeds it what it received and asks for events; when the application has answered,
it asks the codec to render the answer. Whatever the split of the input, the events
are the same, but for the boundaries between the pieces of a body.

One request is in hand at a time. After C{END} (or a L{Request} that is C{done}) the
connection answers, and only then asks for the next event, so that pipelined requests
wait inside the codec.

The connection always collects the whole body before it calls the application, and
then sets C{wsgi.input} and C{CONTENT_LENGTH} to what it got. For a body that needs no
collecting the codec does it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = [
    "ABORT",
    "END",
    "REQUEST_VARIABLES",
    "Fields",
    "ICodec",
    "ICodecFactory",
    "IStraight",
    "Limits",
    "Marker",
    "Reply",
    "Request",
    "RequestError",
    "Truncated",
    "WireError",
]


REQUEST_VARIABLES = (
    "REQUEST_METHOD",
    "PATH_INFO",
    "QUERY_STRING",
    "REQUEST_URI",
    "RAW_URI",
    "SERVER_PROTOCOL",
)
"""
Variables that every request has. A connection's template has them too, as empty
strings: the dictionary then has its final size when it is copied.
"""


class Marker:
    """
    An event that carries nothing but its identity.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"


END = Marker("END")
"""The request is complete; answer it, then ask again."""

ABORT = Marker("ABORT")
"""The peer gave this request up; discard the answer, then ask again."""


class Reply:
    """
    Bytes that the protocol itself wants sent (FastCGI management records).

    @ivar data: what to send, at once.
    """

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Request:
    """
    A request whose head is complete.

    It belongs to the codec, which may give the same object, filled anew, for the next
    request: take what you need before you ask for another event after C{END}.

    @ivar environ: a fresh dictionary: the connection's template and the variables
        of this request (CGI names, native strings as PEP 3333 wants them). The
        gateway adds C{wsgi.input} and hands this very object to the application.
    @ivar bodyLength: bytes of the body as declared, 0 when there is none, -1 when
        only the end of the stream will tell (chunked, FastCGI without
        CONTENT_LENGTH).
    @ivar expectContinue: the client waits for C{100 Continue} before it sends the
        body.
    @ivar done: nothing of this request follows, not even C{END}. A body that came whole
        along with its head is C{environ["wsgi.input"]} then.
    @ivar line: the request line, for the scoreboard and the log; e.g.
        C{b"GET / HTTP/1.1"}.
    """

    __slots__ = ("bodyLength", "done", "environ", "expectContinue", "line")

    def __init__(
        self,
        environ: dict[str, object],
        bodyLength: int = 0,
        done: bool = True,
        expectContinue: bool = False,
        line: bytes = b"",
    ) -> None:
        self.environ = environ
        self.bodyLength = bodyLength
        self.done = done
        self.expectContinue = expectContinue
        self.line = line


class Fields:
    """
    The checked and rendered header fields of a response. One object may serve many
    responses: it is never changed.

    @ivar block: C{Name: value} lines, each ended by CRLF; without the empty line, and
        without Content-Length: the codec renders that where it belongs.
    @ivar contentLength: what the application declared, or -1.
    @ivar hasDate: the application gave its own Date.
    @ivar hasServer: the application gave its own Server.
    @ivar plain: neither.
    """

    __slots__ = ("block", "contentLength", "hasDate", "hasServer", "plain")

    def __init__(
        self,
        block: bytes,
        contentLength: int = -1,
        hasDate: bool = False,
        hasServer: bool = False,
    ) -> None:
        self.block = block
        self.contentLength = contentLength
        self.hasDate = hasDate
        self.hasServer = hasServer
        self.plain = not hasDate and not hasServer


class Limits:
    """
    How much of a request is taken (the settings, Requests); sizes in bytes.

    @ivar line: the request line.
    @ivar fields: how many header fields.
    @ivar fieldSize: one field.
    @ivar head: all fields together; for SCGI, FastCGI and uwsgi all variables.
    @ivar body: the body; 0 for no limit.
    @ivar along: a body up to this size that came whole along with its head may be
        handed over with it.
    """

    __slots__ = ("along", "body", "fieldSize", "fields", "head", "line")

    def __init__(
        self,
        line: int = 8190,
        fields: int = 100,
        fieldSize: int = 8190,
        head: int = 65536,
        body: int = 1 << 30,
        along: int = 0,
    ) -> None:
        self.along = along
        self.line = line
        self.fields = fields
        self.fieldSize = fieldSize
        self.head = head
        self.body = body


class WireError(Exception):
    """
    The base of all that a peer can do wrong.
    """


class RequestError(WireError):
    """
    The peer sent what must be refused; nothing further on this connection is read.

    @ivar status: the HTTP status that says so, e.g. 400; protocols that cannot
        answer close instead.
    @ivar reason: one phrase for the log: what was found and what was expected.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class Truncated(WireError):
    """
    The peer ended the stream in the middle of a request.
    """


class ICodec(Protocol):
    """
    One connection's protocol, without I/O.

    Input: L{feed}, then L{nextEvent} until it gives L{None}. Output: L{whole} for an
    answer that is one block, or L{head}, L{piece}..., L{end}. The rendered bytes are
    to be sent in order.

    @ivar keepAlive: whether the connection serves another request after the
        current answer; decided when the head is rendered, and false at the latest
        from L{close} on.
    @ivar idle: whether nothing of a next request has arrived: the connection may be
        closed without harm, and asking for the next event is idle, too. False from
        the first byte of a request on; what it says is used before the first request
        and after the end of an answer's rendering.
    @ivar transparent: whether the pieces of the current answer's body go out as they
        are, so that the connection may send a file by C{sendfile}; decided by
        L{head}.
    """

    keepAlive: bool
    idle: bool
    transparent: bool

    def feed(self, data: bytes) -> Request | bytes | Marker | Reply | None:
        """
        Take more bytes from the peer.

        @param data: what was received; C{b""} is the end of the stream.
        @return: the next event, as from L{nextEvent}, one call fewer.
        @raise WireError: as L{nextEvent}.
        """

    def nextEvent(self) -> Request | bytes | Marker | Reply | None:
        """
        @return: a L{Request}; a piece of its body; L{END}, L{ABORT}; a L{Reply}; or
            L{None}: more bytes, please. Between two requests the end of the stream
            is L{ABORT}-free: L{None} again and again.
        @raise RequestError: what came can never become a request.
        @raise Truncated: the stream ended inside a request.
        """

    def close(self) -> None:
        """
        Let the current or next answer be the last on this connection.
        """

    def whole(self, status: str, fields: Fields, body: bytes) -> bytes:
        """
        Render a complete answer; a body where the method or the status allows none
        is left out. Content-Length is C{fields.contentLength}, else the body's size;
        a gateway makes sure that they do not contradict each other.

        @param status: as given to C{start_response}, e.g. C{"200 OK"}.
        """

    def head(self, status: str, fields: Fields, length: int) -> bytes:
        """
        Render the beginning of an answer whose body comes in pieces.

        @param length: the size of the body in bytes where it is known, else -1: the
            codec then chooses the framing (chunked, or the end of the connection).
        """

    def piece(self, data: bytes) -> bytes:
        """
        Frame a piece of the body. Never called with nothing; gives C{b""} where no
        body may be sent.
        """

    def end(self) -> bytes:
        """
        Render the end of the answer.
        """

    def interim(self, status: int, block: bytes = b"") -> bytes:
        """
        Render an informational answer (100 Continue, 103 Early Hints).

        @param block: rendered header lines, as in L{Fields}.
        @return: C{b""} where the protocol or the client has no place for one.
        """

    def error(self, status: int) -> bytes:
        """
        Render a complete plain answer to a request that was refused or failed;
        C{b""} where the protocol can only close. The connection closes after it.
        """


class IStraight(ICodec, Protocol):
    """
    A codec that lets bodies pass by: what has a declared length need not be looked at.
    """

    def straight(self) -> int:
        """
        @return: how many of the bytes that come next are the body's, so that they may
            be received to where it is kept; 0 when all have to be fed.
        """

    def passed(self, count: int) -> Marker | None:
        """
        So many of them have come.

        @return: L{END}, or L{None} when more are to come.
        """


class ICodecFactory(Protocol):
    """
    Makes the codecs of one worker's connections. Found by name with
    C{svctree.wire.registry.codecs(name)}, which gives a callable
    C{(limits, mount, serverName) -> ICodecFactory}.

    A factory may have an attribute C{renewable}, which is true: its codecs can be used
    for one connection after the other. A codec has a method C{renew()} then, called
    when the only request of a connection has come whole and has been answered, and no
    application can have a part of it.
    """

    def __call__(
        self,
        template: dict[str, object],
        trust: Callable[[str], bool] | None,
    ) -> ICodec:
        """
        @param template: variables of this connection: C{wsgi.*} but for the input,
            C{SERVER_*}, C{REMOTE_*}, C{SCRIPT_NAME} (the mount) and
            L{REQUEST_VARIABLES}. The codec copies it for each request and never
            changes it.
        @param trust: tells whether an address belongs to a trusted proxy, when the
            peer of this connection is one itself; L{None} when it is not.
        """

    def tick(self, now: float) -> None:
        """
        A new second has begun.

        @param now: seconds since the epoch.
        """
