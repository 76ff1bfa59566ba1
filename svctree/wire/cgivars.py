"""
CGI variables: what SCGI, FastCGI, uwsgi and CGI have in common.

Front ends agree on the names of RFC 3875 and on little else. This module turns what
they send into an environ as PEP 3333 wants it:

 - fields that describe the framing between client and front end are dropped, and so
   is C{HTTP_PROXY}, which programs take for a setting of their own (httpoxy);
 - an empty CONTENT_TYPE or CONTENT_LENGTH (nginx sends both with every GET) means
   none;
 - SCRIPT_NAME and PATH_INFO come from REQUEST_URI and the mount point where the
   front end sends no PATH_INFO (nginx with its stock parameter files, Apache's
   mod_proxy_fcgi);
 - the scheme comes from HTTPS or REQUEST_SCHEME, and SERVER_NAME and SERVER_PORT,
   which are empty behind unix sockets, from the Host field.

B{Percent signs.} REQUEST_URI is decoded once, as bytes. C{%2F} becomes a slash like
any other, since PATH_INFO cannot tell the two apart and every WSGI server does the
same; who needs the difference reads REQUEST_URI, which is passed on untouched. A
PATH_INFO from the front end has been decoded there and is never decoded again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from svctree.wire.contract import Limits, RequestError

__all__ = [
    "DROPPED",
    "declaredLength",
    "environOf",
    "joinRepeated",
    "locate",
    "percentDecoded",
    "place",
    "requestLine",
    "schemeOf",
    "screened",
    "suspicious",
]

DROPPED = (
    "HTTP_CONTENT_LENGTH",
    "HTTP_CONTENT_TYPE",
    "HTTP_TRANSFER_ENCODING",
    "HTTP_PROXY",
)
"""
Never in an environ. The length and type of the body are CONTENT_LENGTH and
CONTENT_TYPE; the transfer coding was undone by the front end, which passes the field
on nevertheless.
"""

_DEFAULT_PORT = {"http": "80", "https": "443"}
_BODILESS = frozenset(("GET", "HEAD"))
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")


def _decodeOne(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def percentDecoded(text: str) -> str:
    """
    Decode each C{%XX} of a latin-1 text once; anything else stays.

    @return: the bytes so described, again as a latin-1 text.
    """
    if "%" not in text:
        return text
    return _ESCAPE.sub(_decodeOne, text)


def _uriPath(uri: str) -> str:
    # The absolute form of RFC 9112, 3.2.2, which nginx hands on in $request_uri.
    if uri[:1] != "/":
        _, scheme, rest = uri.partition("://")
        if not scheme:
            return ""  # "*" of OPTIONS
        slash, query = rest.find("/"), rest.find("?")
        if slash < 0 or 0 <= query < slash:
            return "/"
        uri = rest[slash:]
    return percentDecoded(uri.partition("?")[0])


def locate(variables: dict[str, Any], mount: str) -> None:
    """
    See to it that SCRIPT_NAME and PATH_INFO are there and that SCRIPT_NAME names the
    mount point. What is L{None} counts as absent.

    @param variables: of the request; changed in place.
    @param mount: the path prefix under which the application lives, without a slash
        at its end; C{""} for the root.
    """
    path = variables.get("PATH_INFO")
    if path is None:
        uri = variables.get("REQUEST_URI") or variables.get("DOCUMENT_URI")
        if uri:
            path = _uriPath(uri)
            variables["SCRIPT_NAME"] = ""
        else:
            # RFC 3875, 4.1.5: no PATH_INFO means that the script itself was asked
            # for.
            path = ""
        variables["PATH_INFO"] = path
    script = variables.get("SCRIPT_NAME")
    if script is None:
        variables["SCRIPT_NAME"] = script = ""
    if script[-1:] == "/":
        # lighttpd's "/" => (...), and mod_proxy_uwsgi's ProxyPass "/app/".
        variables["SCRIPT_NAME"] = script = script.rstrip("/")
        if path[:1] != "/":
            variables["PATH_INFO"] = path = "/" + path
    if mount and not script:
        size = len(mount)
        if path[:size] == mount and path[size : size + 1] in ("", "/"):
            variables["SCRIPT_NAME"] = mount
            variables["PATH_INFO"] = path[size:]


def schemeOf(variables: dict[str, str]) -> str:
    """
    @return: C{"https"} or C{"http"}, from HTTPS (C{on} or C{1}, as Apache and nginx
        say it), else from REQUEST_SCHEME.
    """
    https = variables.get("HTTPS")
    if https:
        return "https" if https.lower() in ("on", "1") else "http"
    return "https" if variables.get("REQUEST_SCHEME") == "https" else "http"


def declaredLength(variables: dict[str, str], limits: Limits) -> int:
    """
    @param variables: of the request, before L{environOf}; an empty CONTENT_LENGTH is
        taken out.
    @return: the size of the body in bytes; 0 when there is none; -1 when there may be
        one of unknown size: a method other than GET and HEAD without a length, or a
        body that came in chunks and that the front end hands on as it comes.
    @raise RequestError: it is no number (400), or above C{limits.body} (413).
    """
    text = variables.get("CONTENT_LENGTH")
    if not text:
        if text is not None:
            del variables["CONTENT_LENGTH"]
        if (
            variables.get("REQUEST_METHOD") in _BODILESS
            and "HTTP_TRANSFER_ENCODING" not in variables
        ):
            return 0
        return -1
    # The text came from latin-1, where only the ASCII digits are decimal.
    if not text.isdecimal():
        raise RequestError(400, f"CONTENT_LENGTH is {text[:40]!r}, expected digits")
    if len(text) > 18:
        raise RequestError(413, f"a body of {text[:40]} bytes was announced")
    length = int(text)
    if length > limits.body > 0:
        raise RequestError(
            413, f"a body of {length} bytes was announced, allowed are {limits.body}"
        )
    return length


def joinRepeated(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """
    Make a dictionary of pairs in which names are repeated.

    nginx before 1.23 hands repeated fields of a client on one by one: these are
    joined, as RFC 9110, 5.3 allows (and RFC 6265 asks for in Cookie). Of any other
    variable the last one counts: a parameter of nginx's configuration that
    overrides one of an included file is sent after it.
    """
    variables: dict[str, str] = {}
    for name, value in pairs:
        if name[:5] == "HTTP_" and name in variables:
            joint = "; " if name == "HTTP_COOKIE" else ", "
            value = variables[name] + joint + value
        variables[name] = value
    return variables


def suspicious(block: bytes) -> bool:
    """
    @param block: all that the peer sent as variables.
    @return: whether L{screened} is worth its time; one search for each of the names
        that it takes out.
    """
    return b"FORWARDED" in block or b"wsgi." in block


def screened(variables: dict[str, str], trusted: bool) -> dict[str, str]:
    """
    Take out what the peer has no right to say: names with a dot, since the C{wsgi.}
    keys are the server's to set, and the Forwarded and X-Forwarded-* fields unless
    the peer is a trusted proxy.
    """
    return {
        name: value
        for name, value in variables.items()
        if "." not in name
        and (
            trusted
            or not (name == "HTTP_FORWARDED" or name[:17] == "HTTP_X_FORWARDED_")
        )
    }


def _nameServer(variables: dict[str, str], scheme: str) -> None:
    host, port = variables.get("HTTP_HOST", ""), ""
    # A colon inside brackets belongs to an IPv6 address.
    if ":" in host[host.rfind("]") + 1 :]:
        host, _, port = host.rpartition(":")
    if not variables.get("SERVER_NAME"):
        variables["SERVER_NAME"] = host or "localhost"
    if not variables.get("SERVER_PORT"):
        variables["SERVER_PORT"] = port if port.isdecimal() else _DEFAULT_PORT[scheme]


def place(variables: dict[str, Any], mount: str) -> None:
    """
    Hot path. Set what follows from the URI: SCRIPT_NAME, PATH_INFO, QUERY_STRING and
    RAW_URI; changed in place. What is L{None} counts as absent.

    @param mount: see L{locate}.
    """
    get = variables.get
    uri = get("REQUEST_URI")
    if uri and not mount and uri[0] == "/" and get("PATH_INFO") is None:
        # What locate() would do.
        path = uri.partition("?")[0]
        variables["PATH_INFO"] = percentDecoded(path) if "%" in path else path
        variables["SCRIPT_NAME"] = ""
    else:
        locate(variables, mount)
    if get("QUERY_STRING") is None:
        variables["QUERY_STRING"] = (uri or "").partition("?")[2]
    if uri is not None:
        variables["RAW_URI"] = uri


def environOf(
    variables: dict[str, str], template: dict[str, object], mount: str
) -> dict[str, object]:
    """
    Make the environ of a request.

    @param variables: what the front end sent, in latin-1; afterwards what the environ
        has beyond its template.
    @param template: of the connection (the C{wsgi.} keys, the peer's address);
        where both have a name, the front end's value counts.
    @param mount: see L{locate}.
    @raise RequestError: there is no REQUEST_METHOD.
    """
    # One test each: a loop over DROPPED takes three times as long.
    variables.pop("HTTP_CONTENT_LENGTH", None)
    variables.pop("HTTP_CONTENT_TYPE", None)
    variables.pop("HTTP_TRANSFER_ENCODING", None)
    variables.pop("HTTP_PROXY", None)
    get = variables.get
    if not get("REQUEST_METHOD"):
        raise RequestError(400, "there is no REQUEST_METHOD")
    if get("CONTENT_TYPE") == "":
        del variables["CONTENT_TYPE"]
    place(variables, mount)
    if "SERVER_PROTOCOL" not in variables:
        variables["SERVER_PROTOCOL"] = "HTTP/1.0"
    scheme = schemeOf(variables)
    if not (get("SERVER_NAME") and get("SERVER_PORT")):
        _nameServer(variables, scheme)
    variables["wsgi.url_scheme"] = scheme
    environ: dict[str, object] = {**template, **variables}
    if "REQUEST_URI" not in variables:
        # The template has them as empty strings, which would be a lie.
        environ.pop("REQUEST_URI", None)
        environ.pop("RAW_URI", None)
    return environ


def requestLine(variables: Mapping[str, Any]) -> bytes:
    """
    @param variables: after L{environOf}, or what it gave.
    @return: what the client's request line was like, for the log.
    """
    uri = variables.get("REQUEST_URI") or (
        variables["SCRIPT_NAME"] + variables["PATH_INFO"]
    )
    method = variables["REQUEST_METHOD"]
    return f"{method} {uri} {variables['SERVER_PROTOCOL']}".encode("latin-1")
