#!/usr/bin/env python3
"""How often a wake word is found: python3 benches/wake_digits.py [RECORDINGS]

Makes wake words of two digits each, as six people say them (free-spoken-digit-dataset, CC BY-SA 4.0; fetched with git
where RECORDINGS is not given), learns each from four sayings with `mynah wake record`, and counts with `mynah wake
test` in how many of twelve others it is found, in quiet and in white noise, and in how many phrases that are not it. All
goes through the ears as the device sets them by default. Prints the README's figures. Needs python3, git and a release
build in target/release (or MYNAH=…). On demand, not in CI; about ten minutes.
"""

import array
import functools
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import wave

SOURCE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
PEOPLE = ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
PHRASES = [(9, 7), (0, 1), (7, 5)]
OTHERS = [(1, 2), (5, 8), (8, 1), (2, 5), (6, 2)]
LEARNED, TESTED = range(4), range(4, 16)
QUIET_DB = 40
NOISES_DB = [("quiet", QUIET_DB), ("noise at 20 dB", 20), ("noise at 10 dB", 10)]
RATE = 16000
PEAK = 12000

# Windowed sinc, 24 samples to each side: what lies between two samples of a recording at 8 kHz.
BETWEEN = [math.sin(math.pi * t) / (math.pi * t) * (0.5 + 0.5 * math.cos(math.pi * t / 24))
           for t in (k + 0.5 for k in range(-24, 24))]


@functools.cache
def digit(folder, number, person, take):
    """A recording at 16 kHz. Noise that is added must reach above 4 kHz, as a microphone's does."""
    with wave.open(str(folder / f"{number}_{person}_{take}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE // 2, 1, 2), file
        samples = array.array("h", file.readframes(file.getnframes()))
    padded = [0] * 24 + list(samples) + [0] * 24
    frames = []
    for at, sample in enumerate(samples):
        around = padded[at + 1:at + 49]
        frames += [sample, sum(weight * value for weight, value in zip(BETWEEN, around))]
    return frames


def phrase(folder, digits, person, take, snr_db, out):
    """Two digits 50 ms apart, a second of noise before and half a second behind them, as a WAV file."""
    first, second = (digit(folder, number, person, take) for number in digits)
    frames = first + [0] * (RATE // 20) + second
    scale = PEAK / max(1, max(abs(frame) for frame in frames))
    frames = [frame * scale for frame in frames]
    rms = math.sqrt(sum(frame * frame for frame in frames) / len(frames))
    noise = rms * 10 ** (-snr_db / 20)
    dice = random.Random(f"{digits} {person} {take} {snr_db}")
    frames = [0.0] * RATE + frames + [0.0] * (RATE // 2)
    heard = [max(-32768, min(32767, round(frame + dice.gauss(0, noise)))) for frame in frames]
    with wave.open(str(out), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(array.array("h", heard).tobytes())
    return out


def found(mynah, model, files):
    """In how many of the files the word is found."""
    said = subprocess.run([mynah, "wake", "test", "--model", model, *files], capture_output=True, text=True, check=True)
    return len({line.split(": ")[0] for line in said.stdout.splitlines() if ": heard at " in line})


def learn(mynah, folder, digits, person, work):
    """A model of four sayings in quiet; the file is named after phrase and person."""
    model = work / f"{digits[0]}{digits[1]}-{person}.toml"
    sayings = [phrase(folder, digits, person, take, QUIET_DB, work / f"learned-{take}.wav") for take in LEARNED]
    done = subprocess.run([mynah, "wake", "record", "--out", model, "--from", *sayings], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"refused: {digits} of {person}: {done.stderr.strip()}", file=sys.stderr)
        return None
    return model


def count(mynah, folder, model, cases, work):
    """How many of the cases (digits, person, take, snr_db) are taken for the model's word, and how many there are."""
    files = [phrase(folder, *case, work / f"case-{at:03}.wav") for at, case in enumerate(cases)]
    return found(mynah, model, files), len(files)


def halves(digits):
    return [(digits[0], 8), (1, digits[1]), (digits[0], 2), (5, digits[1])]


def measure(mynah, folder, work):
    """Sums of (found, of) by row."""
    rows = {}
    for digits in PHRASES:
        for person in PEOPLE:
            print(f"{digits[0]}-{digits[1]}, {person}", file=sys.stderr)
            model = learn(mynah, folder, digits, person, work)
            if model is None:
                continue
            cases = {name: [(digits, person, take, db) for take in TESTED] for name, db in NOISES_DB}
            strange = {"other phrases": OTHERS, "phrases that share half": halves(digits)}
            for name, phrases in strange.items():
                cases[name] = [(other, person, take, QUIET_DB) for other in phrases for take in TESTED[:4]]
            for name, list_of_cases in cases.items():
                got, of = count(mynah, folder, model, list_of_cases, work)
                rows[name] = (rows.get(name, (0, 0))[0] + got, rows.get(name, (0, 0))[1] + of)
    return rows


def tell(rows):
    print("| | found | of |\n|---|---|---|")
    for name, (got, of) in rows.items():
        print(f"| {name} | {got} | {of} |")


def main():
    mynah = os.environ.get("MYNAH") or str(pathlib.Path(__file__).parent / "../target/release/mynah")
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        if len(sys.argv) > 1:
            folder = pathlib.Path(sys.argv[1])
        else:
            subprocess.run(["git", "clone", "-q", "--depth", "1", SOURCE, work / "digits"], check=True)
            folder = work / "digits" / "recordings"
        tell(measure(mynah, folder, work))


if __name__ == "__main__":
    main()
