"""A Hub on loopback: what huggingface_hub's client asks for when models are pushed and fetched."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = ".safetensors"
"""What goes to the large file storage, here as on the Hub."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    authorization: str | None
    range: str | None
    storage: bool
    """It went to the large file storage, which is another host."""


@dataclass
class Fault:
    """What goes wrong with requests whose 'METHOD path' the pattern finds."""

    pattern: str
    status: int = 0
    """Answer with this status; 0: cut the answer off after ``after`` bytes of its body."""
    after: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 10**9


class Hub:
    """Repositories, large files, faults, and a log of requests."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, str]] = {}
        """Commit by branch, by repository."""
        self.commits: dict[str, dict[str, bytes]] = {}
        """Content by path, by commit."""
        self.storage: dict[str, bytes] = {}
        """Large files by SHA-256."""
        self.visibility: dict[str, str] = {}
        self.messages: list[str] = []
        self.token: str | None = None
        """Who does not show it may do nothing."""
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.endpoint = self.storage_endpoint = ""

    def seen(self, pattern: str) -> list[Request]:
        return [r for r in self.requests if re.search(pattern, f"{r.method} {r.path}")]

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        return self.commits[self.repositories[name][branch]]

    def commit(
        self, name: str, branch: str, changes: dict[str, bytes], gone: Sequence[str] = ()
    ) -> str:
        branches = self.repositories[name]
        files = self.commits.get(branches.get(branch, ""), {}) | changes
        files = {path: data for path, data in files.items() if path not in gone}
        content = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
        commit = hashlib.sha1(json.dumps([branch, content, len(self.commits)]).encode()).hexdigest()
        branches[branch], self.commits[commit] = commit, files
        return commit

    def find(self, name: str, revision: str) -> str | None:
        branches = self.repositories.get(name, {})
        return revision if revision in self.commits else branches.get(revision)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def describe(path: str, data: bytes) -> dict[str, object]:
    """An entry of the tree, as the Hub's API has it."""
    entry = {"type": "file", "path": path, "size": len(data), "oid": git_sha1(data)}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 130}
    return entry


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together
    disable_nagle_algorithm = True
    hub: Hub
    storage = False

    def log_message(self, *arguments: object) -> None:
        pass

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(self.path)
        request = Request(
            self.command,
            path,
            self.headers.get("Authorization"),
            self.headers.get("Range"),
            self.storage,
        )
        self.hub.requests.append(request)
        self.cut: int | None = None
        for fault in self.hub.faults:
            if fault.times and re.search(fault.pattern, f"{self.command} {path}"):
                fault.times -= 1
                if fault.status:
                    self.answer(fault.status, {"error": "as the test wants it"}, fault.headers)
                    return
                self.cut = fault.after
        if self.storage:
            self._storage(path, body)
        elif self.hub.token and request.authorization != f"Bearer {self.hub.token}":
            self.answer(401, {"error": "Invalid username or password."})
        else:
            self._api(path, body)

    do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815

    def answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {
            "Content-Length": str(len(data)),
            "Connection": "close",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.cut is not None:
            self.wfile.write(data[: self.cut])
            self.close_connection = True
            return
        self.wfile.write(data)

    def _storage(self, path: str, body: bytes) -> None:
        oid = path.rpartition("/")[2]
        if self.command == "PUT":
            self.hub.storage[oid] = body
            self.answer(200, {})
            return
        data = self.hub.storage[oid]
        if match := re.match(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            start = int(match[1])
            shown = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            self.answer(206, data[start:], shown)
        else:
            self.answer(200, data)

    def _api(self, path: str, body: bytes) -> None:
        url = urlsplit(path)
        for method, pattern, act in ROUTES:
            if method == self.command and (match := re.fullmatch(pattern, url.path)):
                act(self, *match.groups(), body=body)
                return
        self.answer(404, {"error": "the test's Hub knows no such address"})

    def _repository(self, name: str, revision: str = "main") -> str | None:
        """The commit; None: an answer has been given."""
        if name not in self.hub.repositories:
            self.answer(404, {"error": "no repository"}, {"X-Error-Code": "RepoNotFound"})
            return None
        commit = self.hub.find(name, revision)
        if commit is None:
            self.answer(404, {"error": "no revision"}, {"X-Error-Code": "RevisionNotFound"})
        return commit

    def _create(self, *, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            self.answer(409, {"error": "exists", "url": f"{self.hub.endpoint}/{name}"})
            return
        self.hub.repositories[name] = {}
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.visibility[name] = "private" if private else "public"
        self.hub.commit(name, "main", {})
        self.answer(200, {"url": f"{self.hub.endpoint}/{name}"})

    def _branch(self, name: str, branch: str, *, body: bytes) -> None:
        if (commit := self._repository(name)) is None:
            return
        exists = branch in self.hub.repositories[name]
        self.hub.repositories[name].setdefault(branch, commit)
        self.answer(409 if exists else 200, {})

    def _validate(self, *, body: bytes) -> None:
        self.answer(200, {"errors": [], "warnings": []})

    def _preupload(self, name: str, revision: str, *, body: bytes) -> None:
        if self._repository(name, revision) is None:
            return
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        self.answer(200, {"files": files})

    def _batch(self, name: str, *, body: bytes) -> None:
        objects = []
        for wanted in json.loads(body)["objects"]:
            href = f"{self.hub.storage_endpoint}/{wanted['oid']}"
            actions = {} if wanted["oid"] in self.hub.storage else {"upload": {"href": href}}
            objects.append(wanted | ({"actions": actions} if actions else {}))
        self.answer(200, {"transfer": "basic", "objects": objects})

    def _commit(self, name: str, revision: str, *, body: bytes) -> None:
        changes, gone = {}, []
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.hub.messages.append(value["summary"])
            elif line["key"] == "file":
                changes[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                gone.append(value["path"])
            else:
                changes[value["path"]] = self.hub.storage[value["oid"]]
        commit = self.hub.commit(name, revision, changes, gone)
        address = f"{self.hub.endpoint}/{name}/commit/{commit}"
        self.answer(200, {"commitUrl": address, "commitOid": commit, "hookOutput": ""})

    def _info(self, name: str, revision: str | None = None, *, body: bytes) -> None:
        if (commit := self._repository(name, revision or "main")) is not None:
            siblings = [{"rfilename": path} for path in self.hub.commits[commit]]
            self.answer(200, {"id": name, "sha": commit, "siblings": siblings, "tags": []})

    def _tree(self, name: str, revision: str, *, body: bytes) -> None:
        if (commit := self._repository(name, revision)) is not None:
            files = self.hub.commits[commit]
            self.answer(200, [describe(path, data) for path, data in files.items()])

    def _paths(self, name: str, revision: str, *, body: bytes) -> None:
        if (commit := self._repository(name, revision)) is not None:
            files, wanted = self.hub.commits[commit], parse_qs(body.decode())["paths"]
            self.answer(200, [describe(path, files[path]) for path in wanted if path in files])

    def _resolve(self, name: str, revision: str, path: str, *, body: bytes) -> None:
        if (commit := self._repository(name, revision)) is None:
            return
        data = self.hub.commits[commit].get(path)
        headers = {"X-Repo-Commit": commit}
        if data is None:
            self.answer(404, {}, headers | {"X-Error-Code": "EntryNotFound"})
        elif path.endswith(LARGE):
            location = f"{self.hub.storage_endpoint}/{sha256(data)}"
            linked = {"X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": str(len(data))}
            self.answer(302, {}, headers | linked | {"Location": location})
        else:
            self.answer(200, data, headers | {"ETag": f'"{git_sha1(data)}"'})


REPOSITORY = r"([\w.-]+/[\w.-]+)"
ROUTES = (
    ("POST", "/api/repos/create", Handler._create),
    ("POST", "/api/validate-yaml", Handler._validate),
    ("POST", f"/api/models/{REPOSITORY}/branch/(.+)", Handler._branch),
    ("POST", f"/api/models/{REPOSITORY}/preupload/(.+)", Handler._preupload),
    ("POST", f"/api/models/{REPOSITORY}/commit/(.+)", Handler._commit),
    ("POST", f"/api/models/{REPOSITORY}/paths-info/(.+)", Handler._paths),
    ("POST", rf"/{REPOSITORY}\.git/info/lfs/objects/batch", Handler._batch),
    ("GET", f"/api/models/{REPOSITORY}", Handler._info),
    ("GET", f"/api/models/{REPOSITORY}/revision/(.+)", Handler._info),
    ("GET", f"/api/models/{REPOSITORY}/tree/(.+)", Handler._tree),
    ("HEAD", f"/{REPOSITORY}/resolve/([^/]+)/(.+)", Handler._resolve),
    ("GET", f"/{REPOSITORY}/resolve/([^/]+)/(.+)", Handler._resolve),
)


@contextmanager
def serve() -> Iterator[Hub]:
    """A Hub and its storage, each on a port of its own."""
    hub, servers = Hub(), []
    for storage in (False, True):
        handler = type("BoundHandler", (Handler,), {"hub": hub, "storage": storage})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
    addresses = [f"http://127.0.0.1:{server.server_address[1]}" for server in servers]
    hub.endpoint, hub.storage_endpoint = addresses
    yield hub
    for server in servers:
        server.shutdown()
        server.server_close()
