"""
Raw requests and the verdict on each.

Written from RFC 9110 and 9112 and from the published advisories on request smuggling
in other servers (PEP 3333 servers, llhttp, puma); every flaw stands alone.
"""

from __future__ import annotations

from typing import NamedTuple

LINE = b"GET / HTTP/1.1\r\n"
HOST = b"Host: a.example\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a.example\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n"


class Refused(NamedTuple):
    """
    @ivar status: of the answer.
    """

    name: str
    raw: bytes
    status: int


class Accepted(NamedTuple):
    """
    @ivar body: what the application reads.
    @ivar environ: variables that must be so; L{None} for one that must be absent.
    @ivar keepAlive: whether the connection goes on.
    """

    name: str
    raw: bytes
    body: bytes = b""
    environ: dict[str, str | None] = {}
    keepAlive: bool = True


def get(field: bytes, line: bytes = LINE) -> bytes:
    return line + HOST + field + b"\r\n\r\n"


def targeted(target: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\n" + HOST + END


def chunks(data: bytes) -> bytes:
    return CHUNKED + data


REFUSED = [
    # Framing: two ways to read it are one too many.
    Refused(
        "length-and-chunked",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    Refused(
        "chunked-and-length",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        400,
    ),
    Refused(
        "two-lengths", POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400
    ),
    Refused(
        "two-equal-lengths",
        POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        400,
    ),
    *(
        Refused(f"length-{name}", POST + b"Content-Length: " + v + b"\r\n\r\nabc", 400)
        for name, v in [
            ("plus", b"+3"),
            ("minus", b"-3"),
            ("list", b"3, 3"),
            ("list-differs", b"3, 4"),
            ("hex", b"0x3"),
            ("underscore", b"1_0"),
            ("empty", b""),
            ("letters", b"abc"),
            ("space-inside", b"3 3"),
            ("point", b"3.0"),
            ("superscript", b"\xb3"),
            ("semicolon", b"3;"),
        ]
    ),
    Refused(
        "length-endless", POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 413
    ),
    *(
        Refused(
            f"coding-{name}",
            POST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n",
            status,
        )
        for name, value, status in [
            ("identity", b"identity", 400),
            ("empty", b"", 400),
            ("twice", b"chunked, chunked", 400),
            ("not-last", b"chunked, gzip", 400),
            ("gzip-chunked", b"gzip, chunked", 501),
            ("x", b"xchunked", 400),
            ("quoted", b'"chunked"', 400),
            ("parameter", b"chunked;q=1", 400),
            ("comma", b"chunked,", 400),
            ("vertical-tab", b"\x0bchunked", 400),
            ("nbsp", b"\xa0chunked", 400),
            ("nel", b"chunked\x85", 400),
            ("nul", b"chunked\0", 400),
        ]
    ),
    Refused(
        "two-codings",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    Refused(
        "two-codings-differ",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        400,
    ),
    Refused(
        "coding-in-1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    # Chunks
    *(
        Refused(f"chunk-{name}", chunks(data), 400)
        for name, data in [
            ("size-empty", b"\r\nabc\r\n0\r\n\r\n"),
            ("size-plus", b"+3\r\nabc\r\n0\r\n\r\n"),
            ("size-minus", b"-3\r\nabc\r\n0\r\n\r\n"),
            ("size-0x", b"0x3\r\nabc\r\n0\r\n\r\n"),
            ("size-underscore", b"0_3\r\nabc\r\n0\r\n\r\n"),
            ("size-space-before", b" 3\r\nabc\r\n0\r\n\r\n"),
            ("size-space-after", b"3 \r\nabc\r\n0\r\n\r\n"),
            ("size-letters", b"xyz\r\nabc\r\n0\r\n\r\n"),
            ("size-fullwidth", b"\xef\xbc\x93\r\nabc\r\n0\r\n\r\n"),
            ("size-nul", b"3\0\r\nabc\r\n0\r\n\r\n"),
            ("size-bare-lf", b"3\nabc\r\n0\r\n\r\n"),
            ("size-bare-cr", b"3\rabc\r\n0\r\n\r\n"),
            ("data-long", b"3\r\nabcd\r\n0\r\n\r\n"),
            ("data-bare-lf", b"3\r\nabc\n0\r\n\r\n"),
            ("data-bare-cr", b"3\r\nabc\r0\r\n\r\n"),
            ("data-no-end", b"3\r\nabc0\r\n\r\n"),
            ("extension-lf", b"3;a=b\nc\r\nabc\r\n0\r\n\r\n"),
            ("extension-nul", b"3;a=\0\r\nabc\r\n0\r\n\r\n"),
            ("extension-cr", b"3;a\rb\r\nabc\r\n0\r\n\r\n"),
            ("extension-empty-name", b"3;=b\r\nabc\r\n0\r\n\r\n"),
            ("extension-open-quote", b'3;a="b\r\nabc\r\n0\r\n\r\n'),
            ("extension-long", b"3;" + b"a" * 2000 + b"\r\nabc\r\n0\r\n\r\n"),
            (
                "extensions-many",
                (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 20 + b"0\r\n\r\n",
            ),
            ("last-bare-lf", b"0\n\r\n"),
            ("trailer-bare-lf", b"0\r\nA: b\n\r\n"),
            ("trailer-no-colon", b"0\r\nabc\r\n\r\n"),
            ("trailer-space-before-colon", b"0\r\nA : b\r\n\r\n"),
            ("trailer-folded", b"0\r\nA: b\r\n c\r\n\r\n"),
            ("trailer-nul", b"0\r\nA: \0\r\n\r\n"),
            ("trailer-length", b"0\r\nContent-Length: 3\r\n\r\n"),
            ("trailer-coding", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            ("trailer-host", b"0\r\nHost: evil\r\n\r\n"),
            ("trailer-host-case", b"0\r\nhOST: evil\r\n\r\n"),
            ("trailer-authorization", b"0\r\nAuthorization: x\r\n\r\n"),
            ("trailer-forwarded", b"0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"),
        ]
    ),
    Refused("trailers-many", chunks(b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n"), 431),
    Refused("trailer-long", chunks(b"0\r\nA: " + b"b" * 9000 + b"\r\n\r\n"), 431),
    Refused(
        "trailers-large",
        chunks(b"0\r\n" + (b"A: " + b"b" * 8000 + b"\r\n") * 3 + b"\r\n"),
        431,
    ),
    # Bytes that are nowhere allowed
    *(
        Refused(f"bytes-{name}", raw, 400)
        for name, raw in [
            ("bare-lf-line", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
            ("bare-lf-field", LINE + b"Host: a\nX: b\r\n\r\n"),
            ("bare-lf-all", b"GET / HTTP/1.1\nHost: a\n\n"),
            ("bare-cr-line", b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
            ("bare-cr-field", get(b"X: a\rb")),
            ("cr-cr-lf", get(b"X: a\r")),
            ("nul-value", get(b"X: a\0b")),
            ("nul-name", get(b"X\0: a")),
            ("nul-target", targeted(b"/\0")),
            ("escape-value", get(b"X: \x1b[31m")),
            ("del-value", get(b"X: \x7f")),
            ("vertical-tab-value", get(b"X: \x0b")),
            ("form-feed-line", b"GET /\x0c HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x42" * 500),
            ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        ]
    ),
    # Field lines
    *(
        Refused(f"field-{name}", get(line), 400)
        for name, line in [
            ("space-before-colon", b"X : a"),
            ("tab-before-colon", b"X\t: a"),
            ("no-colon", b"X"),
            ("empty-name", b": a"),
            ("name-with-space", b"X Y: a"),
            ("name-quoted", b'"X": a'),
            ("name-slash", b"X/Y: a"),
            ("name-latin-1", b"X\xe4: a"),
            ("name-brackets", b"X[]: a"),
            ("folded", b"X: a\r\n b"),
            ("folded-tab", b"X: a\r\n\tb"),
            ("length-space-before-colon", b"Content-Length : 3"),
            ("coding-tab-before-colon", b"Transfer-Encoding\t: chunked"),
        ]
    ),
    Refused("field-first-folded", LINE + b" Host: a\r\n\r\n", 400),
    Refused("field-space-line", LINE + HOST + b" \r\n\r\n", 400),
    # Host
    Refused("host-none", LINE + b"X: y\r\n\r\n", 400),
    Refused("host-none-bare", LINE + END, 400),
    Refused("host-two", LINE + HOST + HOST + END, 400),
    Refused("host-two-differ", LINE + HOST + b"Host: b\r\n\r\n", 400),
    Refused("host-two-1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    *(
        Refused(f"host-{name}", LINE + b"Host: " + value + b"\r\n\r\n", 400)
        for name, value in [
            ("empty", b""),
            ("user", b"user@host"),
            ("path", b"host/path"),
            ("list", b"a, b"),
            ("space", b"a b"),
            ("port-letters", b"a:b"),
            ("port-large", b"a:65536"),
            ("two-ports", b"a:1:2"),
            ("bare-ipv6", b"::1"),
            ("open-bracket", b"[::1"),
            ("quote", b'a"b'),
            ("latin-1", b"\xe4.example"),
            ("query", b"a?b"),
            ("backslash", b"a\\b"),
        ]
    ),
    # Fields that are said once
    *(
        Refused(f"twice-{name.decode()}", get(name + b": 1\r\n" + name + b": 1"), 400)
        for name in [
            b"Content-Type",
            b"Authorization",
            b"User-Agent",
            b"Referer",
            b"If-Modified-Since",
            b"Range",
            b"Origin",
        ]
    ),
    # Request line
    *(
        Refused(f"line-{name}", line + b"\r\n" + HOST + END, status)
        for name, line, status in [
            ("two-words", b"GET /", 400),
            ("four-words", b"GET / x HTTP/1.1", 400),
            ("two-spaces", b"GET  / HTTP/1.1", 400),
            ("space-first", b" GET / HTTP/1.1", 400),
            ("space-last", b"GET / HTTP/1.1 ", 400),
            ("tab", b"GET\t/\tHTTP/1.1", 400),
            ("method-bracket", b"GE[T / HTTP/1.1", 400),
            ("method-colon", b"GET: / HTTP/1.1", 400),
            ("method-lower", b"get / HTTP/1.1", 400),
            ("method-mixed", b"Post / HTTP/1.1", 400),
            ("version-lower", b"GET / http/1.1", 400),
            ("version-10", b"GET / HTTP/1.10", 400),
            ("version-01", b"GET / HTTP/01.1", 400),
            ("version-short", b"GET / HTTP/1", 400),
            ("version-name", b"GET / HTTQ/1.1", 400),
            ("version-0.9", b"GET / HTTP/0.9", 505),
            ("version-2.0", b"GET / HTTP/2.0", 505),
            ("version-3.0", b"GET / HTTP/3.0", 505),
            ("connect", b"CONNECT a.example:443 HTTP/1.1", 501),
            ("connect-path", b"CONNECT / HTTP/1.1", 400),
            ("connect-no-port", b"CONNECT a.example HTTP/1.1", 400),
            ("connect-absolute", b"CONNECT http://a/ HTTP/1.1", 400),
        ]
    ),
    Refused("http-2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    *(
        Refused(f"target-{name}", targeted(target, method), 400)
        for name, target, method in [
            ("no-slash", b"index", b"GET"),
            ("star-get", b"*", b"GET"),
            ("starstar", b"**", b"OPTIONS"),
            ("fragment", b"/a#b", b"GET"),
            ("latin-1", b"/\xe4", b"GET"),
            ("authority", b"a.example:80", b"GET"),
            ("query-only", b"?a", b"GET"),
            ("ftp", b"ftp://a/", b"GET"),
            ("absolute-no-host", b"http:///a", b"GET"),
            ("absolute-user", b"http://u@a/", b"GET"),
            ("absolute-port", b"http://a:b/", b"GET"),
            ("del", b"/\x7f", b"GET"),
        ]
    ),
    Refused("two-empty-lines", b"\r\n\r\n" + LINE + HOST + END, 400),
    # Expectations
    Refused(
        "expect-unknown", POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417
    ),
    Refused("expect-get", get(b"Expect: something"), 417),
    # Limits
    Refused("limit-line", b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\n" + HOST + END, 414),
    Refused("limit-line-endless", b"GET /" + b"a" * 9000, 414),
    Refused("limit-field", get(b"X: " + b"a" * 8200), 431),
    Refused("limit-field-endless", LINE + HOST + b"X: " + b"a" * 9000, 431),
    Refused("limit-fields", LINE + HOST + b"X: a\r\n" * 100 + END, 431),
    Refused(
        "limit-head", LINE + HOST + (b"X: " + b"a" * 8000 + b"\r\n") * 3 + END, 431
    ),
    Refused("limit-body", POST + b"Content-Length: 2000000\r\n\r\n", 413),
    Refused(
        "limit-body-expect",
        POST + b"Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n",
        413,
    ),
    Refused("limit-chunks", chunks(b"100000\r\n"), 413),
    Refused(
        "limit-chunks-sum",
        chunks((b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 2 + b"F0001\r\n"),
        413,
    ),
]

ACCEPTED = [
    Accepted(
        "plain",
        get(b"X: y"),
        environ={
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "SCRIPT_NAME": "",
            "REQUEST_URI": "/",
            "RAW_URI": "/",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "a.example",
            "HTTP_X": "y",
            "CONTENT_LENGTH": None,
            "CONTENT_TYPE": None,
        },
    ),
    Accepted(
        "1.0-without-host",
        b"GET / HTTP/1.0\r\n\r\n",
        environ={"SERVER_PROTOCOL": "HTTP/1.0", "HTTP_HOST": None},
        keepAlive=False,
    ),
    Accepted("1.0-keep-alive", b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
    Accepted(
        "1.0-keep-alive-list",
        b"GET / HTTP/1.0\r\nConnection: foo, keep-alive\r\n\r\n",
        environ={"HTTP_CONNECTION": None},
    ),
    Accepted(
        "1.0-both",
        b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
        keepAlive=False,
    ),
    Accepted(
        "1.0-expect", b"GET / HTTP/1.0\r\nExpect: anything\r\n\r\n", b"", {}, False
    ),
    Accepted("1.1-close", get(b"Connection: close"), keepAlive=False),
    Accepted("1.1-close-case", get(b"connection: CLOSE"), keepAlive=False),
    Accepted("1.1-close-list", get(b"Connection: x, close ,y"), keepAlive=False),
    Accepted(
        "1.1-close-second", get(b"Connection: x\r\nConnection: close"), keepAlive=False
    ),
    Accepted(
        "1.1-keep-alive",
        get(b"Connection: keep-alive\r\nKeep-Alive: timeout=5"),
        environ={"HTTP_CONNECTION": None, "HTTP_KEEP_ALIVE": None},
    ),
    Accepted(
        "1.9",
        get(b"X: y", b"GET / HTTP/1.9\r\n"),
        environ={"SERVER_PROTOCOL": "HTTP/1.1"},
    ),
    Accepted("empty-line-before", END + get(b"X: y")),
    Accepted("value-empty", get(b"X:"), environ={"HTTP_X": ""}),
    Accepted("value-no-space", get(b"X:a"), environ={"HTTP_X": "a"}),
    Accepted("value-stripped", get(b"X: \t a b \t "), environ={"HTTP_X": "a b"}),
    Accepted("value-tab", get(b"X: a\tb"), environ={"HTTP_X": "a\tb"}),
    Accepted("value-latin-1", get(b"X: \xe4"), environ={"HTTP_X": "\xe4"}),
    Accepted("value-colon", get(b"X: a:b"), environ={"HTTP_X": "a:b"}),
    Accepted("repeated", get(b"X: a\r\nX: b"), environ={"HTTP_X": "a, b"}),
    Accepted(
        "cookies",
        get(b"Cookie: a=1\r\nCookie: b=2"),
        environ={"HTTP_COOKIE": "a=1; b=2"},
    ),
    Accepted("underscore", get(b"X_Y: a\r\nX-Z: b"), environ={"HTTP_X_Y": None}),
    Accepted(
        "underscore-twin",
        get(b"X-Y: good\r\nX_Y: evil"),
        environ={"HTTP_X_Y": "good"},
    ),
    Accepted(
        "underscore-length",
        get(b"Content_Length: 5\r\nTransfer_Encoding: chunked"),
        environ={"CONTENT_LENGTH": None},
    ),
    Accepted("proxy", get(b"Proxy: http://evil/"), environ={"HTTP_PROXY": None}),
    Accepted(
        "hop-by-hop",
        get(b"TE: trailers\r\nTrailer: X\r\nUpgrade: websocket\r\nProxy-Connection: x"),
        environ={
            "HTTP_TE": None,
            "HTTP_TRAILER": None,
            "HTTP_UPGRADE": None,
            "HTTP_PROXY_CONNECTION": None,
        },
    ),
    Accepted(
        "forwarded-untrusted",
        get(b"X-Forwarded-For: 1.2.3.4\r\nForwarded: for=a\r\nX-Forwarded-Proto: x"),
        environ={
            "HTTP_X_FORWARDED_FOR": None,
            "HTTP_FORWARDED": None,
            "HTTP_X_FORWARDED_PROTO": None,
            "wsgi.url_scheme": "http",
        },
    ),
    *(
        Accepted(
            f"host-{name}",
            LINE + b"Host: " + value + b"\r\n\r\n",
            environ={"HTTP_HOST": value.decode()},
        )
        for name, value in [
            ("port", b"a.example:8080"),
            ("ipv4", b"127.0.0.1:80"),
            ("ipv6", b"[::1]:80"),
            ("underscore", b"my_host"),
            ("empty-port", b"a:"),
        ]
    ),
    Accepted(
        "absolute",
        targeted(b"http://b.example:81/p?q"),
        environ={
            "HTTP_HOST": "b.example:81",
            "PATH_INFO": "/p",
            "QUERY_STRING": "q",
            "REQUEST_URI": "http://b.example:81/p?q",
        },
    ),
    Accepted(
        "absolute-bare", targeted(b"HTTP://b.example"), environ={"PATH_INFO": "/"}
    ),
    Accepted(
        "absolute-query",
        targeted(b"http://b?x"),
        environ={"PATH_INFO": "/", "QUERY_STRING": "x"},
    ),
    Accepted(
        "options-star",
        targeted(b"*", b"OPTIONS"),
        environ={"REQUEST_URI": "*", "PATH_INFO": ""},
    ),
    Accepted(
        "path-decoded-once",
        targeted(b"/a%20b%2Fc%252e%c3%a4?x=%20"),
        environ={
            "PATH_INFO": "/a b/c%2e\xc3\xa4",
            "QUERY_STRING": "x=%20",
            "REQUEST_URI": "/a%20b%2Fc%252e%c3%a4?x=%20",
            "RAW_URI": "/a%20b%2Fc%252e%c3%a4?x=%20",
        },
    ),
    Accepted(
        "path-percent-stays", targeted(b"/100%/%zz"), environ={"PATH_INFO": "/100%/%zz"}
    ),
    Accepted("path-double-slash", targeted(b"//a//b"), environ={"PATH_INFO": "//a//b"}),
    Accepted(
        "path-signs", targeted(b'/"<>^`{|}[]'), environ={"PATH_INFO": '/"<>^`{|}[]'}
    ),
    Accepted(
        "method-own", targeted(b"/", b"PURGE"), environ={"REQUEST_METHOD": "PURGE"}
    ),
    Accepted(
        "method-token",
        targeted(b"/", b"M-SEARCH!"),
        environ={"REQUEST_METHOD": "M-SEARCH!"},
    ),
    Accepted(
        "body",
        POST + b"Content-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello",
        b"hello",
        {
            "CONTENT_LENGTH": "5",
            "CONTENT_TYPE": "text/plain",
            "HTTP_CONTENT_TYPE": None,
        },
    ),
    Accepted("body-zeros", POST + b"Content-Length: 0005\r\n\r\nhello", b"hello"),
    Accepted("body-none", POST + b"Content-Length: 0\r\n\r\n"),
    Accepted("body-get", LINE + HOST + b"Content-Length: 2\r\n\r\nhi", b"hi"),
    Accepted(
        "body-expect",
        POST + b"Content-Length: 2\r\nExpect: 100-Continue\r\n\r\nhi",
        b"hi",
        {"HTTP_EXPECT": None},
    ),
    Accepted(
        "chunks",
        chunks(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        b"abcde",
        {"HTTP_TRANSFER_ENCODING": None},
    ),
    Accepted("chunks-none", chunks(b"0\r\n\r\n")),
    Accepted(
        "chunks-case",
        POST + b"transfer-encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"a",
    ),
    Accepted(
        "chunk-upper-case", chunks(b"A\r\n0123456789\r\n0\r\n\r\n"), b"0123456789"
    ),
    Accepted("chunk-zero-padded", chunks(b"0003\r\nabc\r\n000\r\n\r\n"), b"abc"),
    Accepted("chunk-extension", chunks(b"3;a\r\nabc\r\n0;b=c\r\n\r\n"), b"abc"),
    Accepted(
        "chunk-extension-quoted",
        chunks(b'3;a="b;\\"c";d=e\r\nabc\r\n0\r\n\r\n'),
        b"abc",
    ),
    Accepted("chunk-crlf-data", chunks(b"4\r\n\r\n\r\n\r\n0\r\n\r\n"), b"\r\n\r\n"),
    Accepted(
        "trailers",
        chunks(b"1\r\na\r\n0\r\nX-Sum: 1\r\nY: z\r\n\r\n"),
        b"a",
        {"HTTP_X_SUM": None},
    ),
    Accepted("limit-line-fits", targeted(b"/" + b"a" * 8175)),
    Accepted("limit-fields-fit", LINE + HOST + b"X: a\r\n" * 99 + END),
]

TRUNCATED = [
    ("head", LINE + HOST),
    ("line", b"GET / HT"),
    ("body", POST + b"Content-Length: 5\r\n\r\nhell"),
    ("chunk", chunks(b"5\r\nhell")),
    ("chunk-end", chunks(b"5\r\nhello")),
    ("last-chunk", chunks(b"5\r\nhello\r\n")),
    ("final-crlf", chunks(b"5\r\nhello\r\n0\r\n")),
    ("trailers", chunks(b"5\r\nhello\r\n0\r\nX: y\r\n")),
]
"""What is no request when the client ends here."""
