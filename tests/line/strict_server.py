"""A stranger's strict stand-in server: refuses in its report what the official Python SDK's types refuse.

    python3 tests/line/strict_server.py --cache DIR --address 127.0.0.1:9444 [--cert cert.pem --key key.pem] --turns 2

Every client message is read with the SDK's own types: no unknown fields, no unknown words in enumerations, and
with `--camel-only` none but canonical names (the SDK itself mixes both spellings); and held against the order of windows. The conversation is the smallest there is:
`setupComplete`; when a window ends a call of the first declared function, and after its answer, or at once where no
function is declared, one second of a tone, `generationComplete`, `turnComplete`. Nothing is closed for a mistake:
the report tells all of them. After `--turns` complete turns, or at SIGTERM, it prints the report, one JSON object
`{"messages": …, "refused": […], "turns": …}`, and ends 0, or 1 where anything was refused or nothing was said.

The only address line on standard output before the report is `listening on …`; port 0 takes a free one.
"""

import argparse
import asyncio
import base64
import json
import math
import signal
import ssl
import struct
import sys
import warnings

import sdk_venv

RATE = 24_000
PIECE_FRAMES = 960  # 40 ms
SHOWN_MAX = 300
REFUSED_MAX = 100
# Of the SDK's types, but the service's other product: the SDK itself does not send them with an API key.
VERTEX_ONLY = [("setup", "explicitVadSignal"), ("setup", "sessionResumption", "transparent")]


def message_type():
    """The SDK's type of a client message, with the one field of `setup` that its converter adds by hand."""
    from typing import Optional

    from google.genai import types

    class Setup(types.LiveClientSetup):
        realtime_input_config: Optional[types.RealtimeInputConfig] = None

    class Message(types.LiveClientMessage):
        setup: Optional[Setup] = None

    return Message


def tone():
    """One second: `[24000 frames, 1 channel] S16_LE @ 24 kHz`."""
    samples = (round(8000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(RATE))
    return struct.pack(f"<{RATE}h", *samples)


def arguments_for(function):
    """Arguments that a declared function accepts."""

    def value(schema):
        kind = (schema.get("type") or "STRING").upper()
        if kind == "BOOLEAN":
            return True
        if kind in ("INTEGER", "NUMBER"):
            return schema.get("minimum", schema.get("maximum", 1))
        if kind == "ARRAY":
            return [value(schema.get("items") or {})]
        if kind == "OBJECT":
            return {name: value(inner) for name, inner in (schema.get("properties") or {}).items()}
        return (schema.get("enum") or ["x"])[0]

    return value(function.get("parameters") or {"type": "OBJECT"})


class Report:
    def __init__(self, turns_wanted):
        self.messages = 0
        self.turns = 0
        self.refused = []
        self.turns_wanted = turns_wanted
        self.done = asyncio.Event()

    def refuse(self, why, raw):
        if len(self.refused) < REFUSED_MAX:
            self.refused.append({"why": why, "message": raw[:SHOWN_MAX]})

    def turn(self):
        self.turns += 1
        if self.turns_wanted and self.turns >= self.turns_wanted:
            self.done.set()


class Conversation:
    """One connection."""

    def __init__(self, socket, report, kind, camel_only):
        self.socket = socket
        self.camel_only = camel_only
        self.report = report
        self.kind = kind
        self.functions = None
        self.window = None
        self.calls = {}
        self.calls_made = 0
        self.reply = None

    async def send(self, event):
        await self.socket.send(json.dumps(event).encode())

    def check(self, raw):
        """The message as JSON, refused or not; none where it is no JSON object."""
        if isinstance(raw, bytes):
            raw = raw.decode("utf-8", "replace")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # the SDK's types only warn of an unknown word
                checked = self.kind.model_validate_json(raw, by_alias=True, by_name=not self.camel_only)
                message = checked.model_dump(mode="json", by_alias=True, exclude_none=True)
        except Exception as error:
            self.report.refuse(str(error), raw)
            try:
                message = json.loads(raw)
            except ValueError:
                return None
        if not isinstance(message, dict):
            return None
        if len(message) != 1:
            self.report.refuse(f"a message has one kind, not {sorted(message)}", raw)
        for path in VERTEX_ONLY:
            at = message
            for name in path:
                at = at.get(name) if isinstance(at, dict) else None
            if at is not None:
                self.report.refuse(f"{'.'.join(path)} is for Vertex only", raw)
        return message

    async def take(self, raw):
        self.report.messages += 1
        message = self.check(raw)
        if message is None:
            return

        def refuse(why):
            self.report.refuse(why, raw if isinstance(raw, str) else raw.decode("utf-8", "replace"))

        if "setup" in message:
            await self.take_setup(message["setup"], refuse)
        elif self.functions is None:
            refuse("the first message is setup")
        elif "realtimeInput" in message:
            self.take_input(message["realtimeInput"], refuse)
        elif "toolResponse" in message:
            self.take_answers(message["toolResponse"], refuse)

    async def take_setup(self, setup, refuse):
        if self.functions is not None:
            return refuse("setup comes once")
        if not str(setup.get("model", "")).startswith("models/"):
            refuse("setup.model begins with models/")
        tools = setup.get("tools") or []
        self.functions = [function for tool in tools for function in tool.get("functionDeclarations") or []]
        await self.send({"setupComplete": {}})

    def take_input(self, given, refuse):
        if len(given) != 1:
            refuse(f"realtimeInput has one payload, not {sorted(given)}")
        if "activityStart" in given:
            if self.window is not None:
                refuse("a window is open already")
            self.window = 0
            if self.reply and not self.reply.done():
                self.reply.cancel()
        if "audio" in given:
            data = base64.urlsafe_b64decode(given["audio"].get("data") or "")
            if given["audio"].get("mimeType") != "audio/pcm;rate=16000":
                refuse("audio is audio/pcm;rate=16000")
            if not data or len(data) % 2:
                refuse(f"{len(data)} bytes of audio")
            if self.window is None:
                refuse("audio outside a window")
            else:
                self.window += len(data)
        if "activityEnd" in given:
            if not self.window:
                refuse("the window is empty" if self.window == 0 else "no window is open")
            self.window = None
            self.reply = asyncio.create_task(self.answer())

    def take_answers(self, given, refuse):
        for response in given.get("functionResponses") or []:
            call = self.calls.pop(response.get("id"), None)
            if call is None:
                refuse(f"there is no open call {response.get('id')}")
                continue
            if response.get("name") != call["name"]:
                refuse(f"the call was to {call['name']}, not to {response.get('name')}")
            if not isinstance(response.get("response"), dict):
                refuse("a response is an object")
            call["answered"].set()

    async def answer(self):
        """One reply. Cancelled where the client opens a window meanwhile."""
        call = None
        try:
            await self.send({"serverContent": {"inputTranscription": {"text": "Something was said."}}})
            if self.functions:
                self.calls_made += 1
                function = self.functions[0]
                call = {"name": function["name"], "answered": asyncio.Event()}
                self.calls[f"call-{self.calls_made}"] = call
                wanted = {"id": f"call-{self.calls_made}", "name": function["name"], "args": arguments_for(function)}
                await self.send({"toolCall": {"functionCalls": [wanted]}})
                await call["answered"].wait()
            pcm = tone()
            for start in range(0, len(pcm), PIECE_FRAMES * 2):
                data = base64.b64encode(pcm[start : start + PIECE_FRAMES * 2]).decode()
                part = {"inlineData": {"mimeType": f"audio/pcm;rate={RATE}", "data": data}}
                await self.send({"serverContent": {"modelTurn": {"role": "model", "parts": [part]}}})
                await asyncio.sleep(0.004)
            await self.send({"serverContent": {"outputTranscription": {"text": "A tone."}}})
            await self.send({"serverContent": {"generationComplete": True}})
            await asyncio.sleep(1)
            await self.send({"serverContent": {"turnComplete": True}})
            self.report.turn()
        except asyncio.CancelledError:
            if call and not call["answered"].is_set():
                await self.send({"toolCallCancellation": {"ids": [f"call-{self.calls_made}"]}})
            await self.send({"serverContent": {"interrupted": True}})
            await self.send({"serverContent": {"turnComplete": True}})
            self.report.turn()


async def serve(arguments):
    from websockets.asyncio.server import serve as listen
    from websockets.exceptions import ConnectionClosed

    report = Report(arguments.turns)
    kind = message_type()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, report.done.set)

    async def attend(socket):
        if not socket.request.headers.get("x-goog-api-key"):
            report.refuse("the key comes in the header x-goog-api-key", socket.request.path.split("?")[0])
        if not socket.request.path.split("?")[0].endswith(".GenerativeService.BidiGenerateContent"):
            report.refuse("the path is another", socket.request.path.split("?")[0])
        conversation = Conversation(socket, report, kind, arguments.camel_only)
        try:
            async for raw in socket:
                await conversation.take(raw)
        except ConnectionClosed:
            pass
        finally:
            if conversation.window is not None:
                report.refuse("the connection ended with an open window", "")
            if conversation.reply:
                conversation.reply.cancel()
                await asyncio.gather(conversation.reply, return_exceptions=True)

    trust = None
    if arguments.cert:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(arguments.cert, arguments.key)
    host, _, port = arguments.address.rpartition(":")
    async with listen(attend, host, int(port), ssl=trust, max_size=8 << 20) as server:
        bound = server.sockets[0].getsockname()
        print(f"listening on {'wss' if trust else 'ws'}://{bound[0]}:{bound[1]}", flush=True)
        await report.done.wait()
    print(json.dumps({"messages": report.messages, "refused": report.refused, "turns": report.turns}))
    return 1 if report.refused or report.messages == 0 else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", required=True, help="folder for the SDK's virtual environment")
    parser.add_argument("--address", required=True, help="where to listen, HOST:PORT")
    parser.add_argument("--cert", help="certificate for TLS (PEM); without it ws://")
    parser.add_argument("--key", help="its private key (PEM)")
    parser.add_argument("--camel-only", action="store_true", help="refuse snake_case, which the types allow")
    parser.add_argument("--turns", type=int, default=0, help="end after so many turns; 0: at SIGTERM")
    arguments = parser.parse_args()
    sdk_venv.enter(arguments.cache)
    sys.exit(asyncio.run(serve(arguments)))


if __name__ == "__main__":
    main()
