"""carelink behind a web application: a plain WSGI callable, no framework. FastAPI and Django call the same methods.

Run it: `python examples/web_handler.py` answers three requests. A web server would be given `Application(link)`.
"""

import io
import json
import tempfile
from datetime import date

import carelink
from carelink import CareLink, CarelinkError, Request
from carelink.ports.channel import ChannelEvent
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent


class Application:
    """One for each process. Threads may share it; processes may share its home."""

    def __init__(self, link: CareLink) -> None:
        self.link = link

    def __call__(self, environ, start):
        try:
            data = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            status, answer = "200 OK", {"/requests": self.send, "/replies": self.reply}[environ["PATH_INFO"]](**data)
        except CarelinkError as error:  # it says what was wrong, and holds no personal data
            status, answer = "422 Unprocessable Content", {"error": error.code, "message": error.message}
        except (ValueError, TypeError, KeyError):
            status, answer = "400 Bad Request", {"error": "not what was expected"}
        start(status, [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def send(self, identifier: str, **form):
        outcome = self.link.send(Request(patient=self.link.find(identifier), **form))
        return {"effect": outcome.effect.value, "reasons": [str(verdict.reason) for verdict in outcome.reasons]}

    def reply(self, channel: str, sender: str, text: str):
        event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(sender), text=Personal(text))
        return {"actions": list(self.link.inbound(channel, [event])[0].actions)}


def main() -> None:
    ask = {"identifier": "1", "purpose": "care.appointment", "channel": "email", "template": "recheck"}
    with tempfile.TemporaryDirectory() as place, carelink.init(f"{place}/clinic", zone="Asia/Shanghai") as link:
        patient = link.register(identifier="1", email="p1@example.invalid", birth_date=date(1968, 4, 2))
        link.grant(patient, purposes=["care"], channels=["email"], evidence="form 1")
        link.template("recheck", "Your recheck is due.", purposes=["care.appointment"], channels=["email"])
        link.approve("recheck", actor="Dr Chen")
        stop = {"channel": "email", "sender": "p1@example.invalid", "text": "STOP"}
        for path, data in (("/requests", {**ask, "key": "a"}), ("/requests", {"key": 3}), ("/replies", stop)):
            body = json.dumps(data).encode()
            environ = {"PATH_INFO": path, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
            print(path, *Application(link)(environ, lambda status, _: print(status)))


if __name__ == "__main__":
    main()
