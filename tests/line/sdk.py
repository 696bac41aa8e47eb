"""A stranger's client: holds a conversation with `mynah emulator` through the official Python SDK.

    mynah emulator --listen 127.0.0.1:9443 --tls-cert cert.pem --tls-key key.pem --script tests/line/sdk.txt
    python3 tests/line/sdk.py --cache DIR --address 127.0.0.1:9443 --cert cert.pem --speech speech.wav

Prints one line for each fact it found true and ends 0; ends 1 at the first that is not. The SDK insists on
wss:// wherever a key is used, so the emulator has to be started with a certificate for the address. The speech
is a WAV file, mono, 16 bit, 16 kHz. The script `sdk.txt` says what the emulator does; it is played once, so
the emulator is started afresh for each run.
"""

import argparse
import asyncio
import ssl
import struct
import sys
import wave

import sdk_venv

MODEL = "gemini-3.8-live"
RATE = 16_000
CHUNK_MS = 40
CHUNK_BYTES = RATE * 2 * CHUNK_MS // 1000
PATIENCE_S = 120


class Untrue(Exception):
    """A fact that does not hold."""


def fact(true, text):
    """Prints a fact that holds; ends the conversation at one that does not."""
    if not true:
        raise Untrue(text)
    print("ok   " + text, flush=True)


def read_speech(path):
    with wave.open(path) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
            sys.exit(f"{path}: a WAV file, mono, 16 bit, {RATE} Hz is wanted")
        return file.readframes(file.getnframes())


def loudness(pcm):
    """Root mean square of `[frames, 1 channel] S16_LE`."""
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm[: len(pcm) // 2 * 2])
    return (sum(s * s for s in samples) / max(1, len(samples))) ** 0.5


async def say(session, types, pcm, pace_s):
    for start in range(0, len(pcm), CHUNK_BYTES):
        blob = types.Blob(data=pcm[start : start + CHUNK_BYTES], mime_type=f"audio/pcm;rate={RATE}")
        await session.send_realtime_input(audio=blob)
        await asyncio.sleep(pace_s)


class Turn:
    """What came until the turn was complete."""

    def __init__(self):
        self.audio = bytearray()
        self.said = ""
        self.heard = ""
        self.calls = []
        self.interrupted = False
        self.generated = False
        self.complete = False
        self.usage = None

    def take(self, message):
        for call in (message.tool_call.function_calls if message.tool_call else None) or []:
            self.calls.append(call)
        self.usage = message.usage_metadata or self.usage
        content = message.server_content
        if not content:
            return
        for part in (content.model_turn.parts if content.model_turn else None) or []:
            if part.inline_data:
                if part.inline_data.mime_type != "audio/pcm;rate=24000":
                    fact(False, f"audio is audio/pcm;rate=24000, not {part.inline_data.mime_type}")
                self.audio += part.inline_data.data
        if content.output_transcription:
            self.said += content.output_transcription.text or ""
        if content.input_transcription:
            self.heard += content.input_transcription.text or ""
        self.interrupted |= bool(content.interrupted)
        self.generated |= bool(content.generation_complete)
        self.complete |= bool(content.turn_complete)

    @property
    def seconds(self):
        return len(self.audio) / 48_000


async def listen(session, on_message=None):
    turn = Turn()
    async for message in session.receive():
        turn.take(message)
        if on_message:
            await on_message(turn, message)
    return turn


async def by_hand(client, types, speech):
    """Windows of activity, a tool call, an interruption, an echo and a typed turn."""
    lamp = types.FunctionDeclaration(
        name="set_lamp",
        description="Switches the lamp. Call it only when the user asks for it.",
        behavior=types.Behavior.BLOCKING,
        parameters=types.Schema(
            type=types.Type.OBJECT,
            properties={"on": types.Schema(type=types.Type.BOOLEAN), "seconds": types.Schema(type=types.Type.INTEGER)},
            required=["on"],
        ),
    )
    config = types.LiveConnectConfig(
        response_modalities=[types.Modality.AUDIO],
        speech_config=types.SpeechConfig(
            voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore"))
        ),
        system_instruction="You are a lamp that talks.",
        tools=[types.Tool(function_declarations=[lamp])],
        realtime_input_config=types.RealtimeInputConfig(
            automatic_activity_detection=types.AutomaticActivityDetection(disabled=True)
        ),
        input_audio_transcription=types.AudioTranscriptionConfig(),
        output_audio_transcription=types.AudioTranscriptionConfig(),
        session_resumption=types.SessionResumptionConfig(),
        context_window_compression=types.ContextWindowCompressionConfig(
            trigger_tokens=25_000, sliding_window=types.SlidingWindow(target_tokens=8_000)
        ),
    )
    async with client.aio.live.connect(model=MODEL, config=config) as session:
        fact(session.setup_complete is not None, "a session with voice, tool, windows and transcriptions is set up")

        async def window(pace_s=0.0):
            await session.send_realtime_input(activity_start=types.ActivityStart())
            await say(session, types, speech, pace_s)
            await session.send_realtime_input(activity_end=types.ActivityEnd())

        async def answer(turn, message):
            for call in (message.tool_call.function_calls if message.tool_call else None) or []:
                fact(not turn.audio, "the model waits with its words for the tool")
                response = types.FunctionResponse(id=call.id, name=call.name, response={"output": {"on": True}})
                await session.send_tool_response(function_responses=[response])

        await window()
        turn = await listen(session, answer)
        fact(turn.heard == "Switch the lamp on, please.", f"the user's words are transcribed: {turn.heard!r}")
        fact([call.name for call in turn.calls] == ["set_lamp"], "the tool is called once")
        fact(turn.calls[0].args == {"on": True, "seconds": 5}, f"with its arguments: {turn.calls[0].args}")
        fact(abs(turn.seconds - 2.0) < 0.001, f"then {turn.seconds:.3f} s of speech come")
        fact(turn.said == "The lamp is on now.", f"the model's words are transcribed: {turn.said!r}")
        fact(turn.generated and turn.complete and not turn.interrupted, "the turn is generated, then complete")
        fact(turn.usage is not None and turn.usage.total_token_count > 0, "with the tokens it cost")

        async def cut(turn, message):
            if turn.seconds > 1 and not getattr(session, "cut_once", False):
                session.cut_once = True
                await session.send_realtime_input(activity_start=types.ActivityStart())

        await window()
        turn = await listen(session, cut)
        fact(turn.interrupted and turn.complete, "speaking again interrupts the reply and completes the turn")
        fact(not turn.generated, "which was never generated to its end")
        fact(1 < turn.seconds < 10, f"after {turn.seconds:.1f} s of 10 s")
        fact(turn.said.startswith("Once upon") and "stop" not in turn.said, "with the words that far")

        await say(session, types, speech, 0)
        await session.send_realtime_input(activity_end=types.ActivityEnd())
        turn = await listen(session)
        spoken = len(speech) / 2 / RATE
        fact(abs(turn.seconds - spoken) < 0.01, f"the echo is as long as the speech: {turn.seconds:.3f} s")
        ratio = loudness(bytes(turn.audio)) / loudness(speech)
        fact(0.9 < ratio < 1.1, f"and as loud, through pieces that end within a sample: {ratio:.3f}")

        await session.send_client_content(
            turns=types.Content(role="user", parts=[types.Part(text="Are you there?")]), turn_complete=True
        )
        turn = await listen(session)
        fact(abs(turn.seconds - 1.0) < 0.001, "a typed turn is answered, in events of several parts")
        fact(turn.said == "You typed this.", f"with its words: {turn.said!r}")


async def by_itself(client, types, speech):
    """Automatic detection, as the SDK has it by default."""
    async with client.aio.live.connect(model=MODEL, config={"response_modalities": ["AUDIO"]}) as session:
        fact(True, "a session with nothing set is set up")
        await say(session, types, speech + bytes(RATE * 2 * 3 // 2), 0.002)
        turn = await listen(session)
        fact(turn.complete and turn.seconds > 1, f"speech and then silence is answered with {turn.seconds:.1f} s")
        fact(loudness(bytes(turn.audio)) > 300, "which can be heard")


async def refused(client, types, errors, model, config, code, text):
    try:
        async with client.aio.live.connect(model=model, config=config) as session:
            await session.send_client_content(turns=types.Content(role="user", parts=[types.Part(text="Hi.")]))
            await listen(session)
    except errors.APIError as error:
        fact(error.code == code and text in str(error), f"{text!r} is told with code {code}")
    else:
        fact(False, f"{text!r} is told with code {code}: the session was let in")


async def talk(arguments):
    from google import genai
    from google.genai import errors, types

    speech = read_speech(arguments.speech)
    trust = ssl.create_default_context(cafile=arguments.cert)

    def client(key):
        options = types.HttpOptions(base_url=f"https://{arguments.address}", async_client_args={"ssl": trust})
        return genai.Client(api_key=key, http_options=options)

    await by_hand(client("any-key"), types, speech)
    await by_itself(client("any-key"), types, speech)
    audio = {"response_modalities": ["AUDIO"]}
    for key, model, config, code, text in [
        ("any-key", "gemini-2.0-flash-exp", audio, 1008, "is not found for API version"),
        ("bad-key", MODEL, audio, 1007, "API key not valid"),
        ("any-key", MODEL, {"response_modalities": ["TEXT"]}, 1007, "response modalities (TEXT)"),
    ]:
        await refused(client(key), types, errors, model, config, code, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", required=True, help="folder for the SDK's virtual environment")
    parser.add_argument("--address", required=True, help="where the emulator listens, HOST:PORT")
    parser.add_argument("--cert", required=True, help="certificate to trust (PEM)")
    parser.add_argument("--speech", required=True, help="WAV file, mono, 16 bit, 16 kHz")
    arguments = parser.parse_args()
    sdk_venv.enter(arguments.cache)
    try:
        asyncio.run(asyncio.wait_for(talk(arguments), timeout=PATIENCE_S))
    except Untrue as untrue:
        sys.exit(f"FAIL {untrue}")
    except TimeoutError:
        sys.exit(f"FAIL the conversation ends within {PATIENCE_S} s")
    print("the SDK holds a conversation with the emulator")


if __name__ == "__main__":
    main()
