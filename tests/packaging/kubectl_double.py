"""As much of an API server as `kubectl apply` asks: discovery, GET, POST, PATCH. It keeps what it gets and who asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESOURCES = {
    "v1": [("serviceaccounts", "ServiceAccount"), ("secrets", "Secret"), ("configmaps", "ConfigMap"),
           ("persistentvolumeclaims", "PersistentVolumeClaim"), ("services", "Service")],
    "apps/v1": [("deployments", "Deployment"), ("statefulsets", "StatefulSet")],
    "rbac.authorization.k8s.io/v1": [("roles", "Role"), ("rolebindings", "RoleBinding"),
                                     ("clusterroles", "ClusterRole"), ("clusterrolebindings", "ClusterRoleBinding")],
}
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discovery(path):
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [(version.split("/")[0], version) for version in RESOURCES if "/" in version]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
            {"name": name, "versions": [{"groupVersion": version, "version": "v1"}],
             "preferredVersion": {"groupVersion": version, "version": "v1"}} for name, version in groups]}
    for version, resources in RESOURCES.items():
        if path == ("/apis/" if "/" in version else "/api/") + version:
            return {"kind": "APIResourceList", "groupVersion": version, "resources": [
                {"name": name, "singularName": kind.lower(), "namespaced": not kind.startswith("Cluster"),
                 "kind": kind, "verbs": VERBS} for name, kind in resources]}
    return None


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/openapi/v2":  # asked by old ones, as protobuf; a schema that knows nothing refuses nothing
            self.answer_raw(200, b"", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
            return
        found = discovery(path) or self.server.objects.get(path)
        self.answer(200 if found else 404, found)

    def do_POST(self):
        path = self.path.split("?")[0]
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path += "/" + sent["metadata"]["name"]
        self.server.writes.append(("POST", path))
        # As the API server does.
        for key, text in sent.pop("stringData", {}).items():
            sent.setdefault("data", {})[key] = text
        self.server.objects[path] = sent
        self.answer(201, sent)

    def do_PATCH(self):
        path = self.path.split("?")[0]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.writes.append(("PATCH", path))
        self.answer(200, self.server.objects[path])

    def answer(self, status, body):
        body = body or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        self.answer_raw(status, json.dumps(body).encode(), "application/json")

    def answer_raw(self, status, raw, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


class KubectlDouble:
    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.objects, self.server.writes = {}, []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def take_writes(self):
        writes, self.server.writes = self.server.writes, []
        return writes
