"""Who may ask the lab: the browser that was given the launch link, and pages of the lab itself.

A server on this machine can be reached by every page that a browser has open. So the address must
be one of ours (Host: against rebinding of names), the asking page must be ours (Origin,
Sec-Fetch-Site), and the browser must hold the cookie that the link of the terminal was exchanged
for, once.
"""

import hmac
import secrets
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convivo.lab.answers import Refusal

NAMES = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SPENT = "This link was for one use. Open the lab from the browser that used it, or start it again."


class Keys:
    """The launch token, good for one exchange, and the secret that is got for it."""

    def __init__(self, port: int) -> None:
        self.cookie = f"convivo-lab-{port}"  # cookies do not know ports
        self._secret = secrets.token_urlsafe(32)
        self._tokens: set[str] = set()

    def token(self) -> str:
        """A new launch token."""
        token = secrets.token_urlsafe(32)
        self._tokens.add(token)
        return token

    def exchange(self, token: str) -> bool:
        """Use a token up."""
        held = next((t for t in self._tokens if hmac.compare_digest(t, token)), None)
        self._tokens.discard(held or "")
        return held is not None

    def admits(self, headers: Headers) -> bool:
        """Whether the cookie is there."""
        pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        values = [value for name, _, value in pairs if name == self.cookie]
        return any(hmac.compare_digest(v.encode(), self._secret.encode()) for v in values)

    def handed_over(self) -> Response:
        """Back to the page, without the token in the address, with the cookie."""
        answer = RedirectResponse("./", 303, {"Cache-Control": "no-store"})
        answer.set_cookie(self.cookie, self._secret, httponly=True, samesite="strict", path="/")
        return answer


class Guard:
    """The middleware around everything: refuses, or lets through and adds the headers."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":  # no websockets here
            await send({"type": "websocket.close", "code": 1008})
        else:
            answer = self._answer(scope, Headers(scope=scope))
            await (answer or self.app)(scope, receive, _with_headers(send))

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """Refusal or redirection; None to go on."""
        try:
            check_host(headers)
            check_origin(scope["method"], scope["path"], headers)
            return self._admission(scope, headers)
        except Refusal as refusal:
            return refusal.response()

    def _admission(self, scope: Scope, headers: Headers) -> Response | None:
        path = scope["path"]
        if path.startswith("/static/") and scope["method"] in READING:
            return None  # the program itself, the same for everybody
        if path == "/" and scope["method"] == "GET":
            token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if token and self.keys.exchange(token):
                return self.keys.handed_over()
            if self.keys.admits(headers):
                return RedirectResponse("./", 303) if token else None
            return Response(SPENT, 403, media_type="text/plain")
        if not self.keys.admits(headers):
            raise Refusal(403, "cookie", "the lab's cookie is missing", "Use the launch link")
        return None


def check_host(headers: Headers) -> None:
    """Refuse names that are not this machine's: somebody else's name may lead here.

    Any port: the lab may be reached through a tunnel.
    """
    host = headers.get("host", "")
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    name, port = (name, port) if name else (host, "")
    if name.lower() not in NAMES or not (port == "" or port.isdecimal()):
        raise Refusal(
            403, "host", "the lab answers to this machine's own name only", "Use 127.0.0.1"
        )


def check_origin(method: str, path: str, headers: Headers) -> None:
    """Refuse other pages: to change anything always, to read data wherever they can be told."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    reading = method in READING
    if reading and not path.startswith("/api/"):
        return
    foreign = site not in (None, "same-origin")
    foreign |= origin is not None and origin != f"http://{headers['host']}"
    unknown = not reading and origin is None and site is None
    if foreign or unknown:
        raise Refusal(403, "origin", "only the lab's own page may ask this", "Open the lab's page")


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return wrapped
