"""A line to a server on loopback that can be broken: what a provider's far end may do to it."""

import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Line:
    """Relays HTTP to `upstream`; `answers` says what a fault's answer is: status, content type, body."""

    def __init__(self, upstream, answers, tls=None):
        self.upstream, self.answers, self.fault = upstream, answers, ""
        self.over = threading.Event()
        line = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def _relay(self):
                self.close_connection = True
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fault = line.fault
                if fault == "outage":
                    return
                if fault == "timeout":
                    line.over.wait(20)
                    return
                if fault in line.answers:
                    self._answer(*line.answers[fault])
                    return
                status, kind, found = line.ask(self.command, self.path, dict(self.headers), body)
                self._answer(status, kind, found, half=fault == "cut")

            def _answer(self, status, kind, body, *, half=False):
                try:
                    self.send_response_only(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body) + (8 if half and not body else 0)))
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.wfile.write(body[: len(body) // 2] if half else body)
                except OSError:
                    pass  # whoever asked has given up

            do_GET = do_POST = do_PUT = do_DELETE = do_LIST = _relay

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def ask(self, method, path, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=20)
        try:
            connection.request(method, path, body, {k: v for k, v in headers.items() if k.lower() != "connection"})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", "application/json"), answer.read()
        finally:
            connection.close()

    @contextmanager
    def broken(self, fault):
        self.over.clear()
        self.fault = fault
        try:
            yield
        finally:
            self.fault = ""
            self.over.set()

    def faults(self, names):
        return {name: lambda name=name: self.broken(name) for name in names}

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
