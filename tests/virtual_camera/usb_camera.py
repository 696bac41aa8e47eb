#!/usr/bin/env python3
"""A USB camera without a camera: what uvcvideo sees of one, given to the kernel through vhci_hcd (USB/IP's own socket).

usb_camera.py PICTURES CONTROL [SERIAL]
PICTURES is a folder of JPEG files of 1280x720, sent one after the other without their Huffman tables and padded with zeros,
as real cameras do. CONTROL is a folder: `asked_fps` and `is_running` are written into it; while there is a file `hang`
nothing is sent, while there is one `same` always the same picture. SIGTERM unplugs it.
Sources: USB Video Class 1.0a and its MJPEG payload; the kernel's Documentation/usb/usbip_protocol.rst.
"""
import os, queue, signal, socket, struct, sys, threading, time

PICTURES, CONTROL = sys.argv[1:3]
SERIAL = sys.argv[3] if len(sys.argv) > 3 else "0001"
SIZES = [(1280, 720), (640, 480)]
INTERVALS = [333333, 2000000]  # of 100 ns: 30 and 5 a second
PAYLOAD, PORT, HIGH_SPEED, DEVICE = 16384, 0, 3, 0x10002
ATTACH = "/sys/devices/platform/vhci_hcd.0/"
ECONNRESET, EPIPE = 104, 32


def descriptor(kind, body):
    return struct.pack("<BB", len(body) + 2, kind) + body


def configuration():
    terminals = (descriptor(0x24, struct.pack("<BBHBBHHHB3s", 2, 1, 0x201, 0, 0, 0, 0, 0, 3, bytes(3)))
                 + descriptor(0x24, struct.pack("<BBHBBB", 3, 2, 0x101, 0, 1, 0)))
    header = descriptor(0x24, struct.pack("<BHHIBB", 1, 0x100, 13 + len(terminals), 6000000, 1, 1))
    formats = descriptor(0x24, struct.pack("<BBBBBBBBB", 6, 1, len(SIZES), 1, 1, 0, 0, 0, 0))
    for index, (width, height) in enumerate(SIZES, 1):
        size = width * height * 2
        fixed = struct.pack("<BBBHHIIIIB", 7, index, 0, width, height, size * 8, size * 240, size, INTERVALS[0], len(INTERVALS))
        formats += descriptor(0x24, fixed + struct.pack("<%dI" % len(INTERVALS), *INTERVALS))
    formats += descriptor(0x24, bytes([0x0d, 1, 1, 4]))
    inputs = descriptor(0x24, struct.pack("<BBHBBBBBBBB", 1, 1, 14 + len(formats), 0x81, 0, 2, 0, 0, 0, 1, 0))
    body = (descriptor(0x0b, bytes([0, 2, 0x0e, 3, 0, 0]))
            + descriptor(4, bytes([0, 0, 0, 0x0e, 1, 0, 0])) + header + terminals
            + descriptor(4, bytes([1, 0, 1, 0x0e, 2, 0, 0])) + inputs + formats
            + descriptor(5, struct.pack("<BBHB", 0x81, 2, 512, 0)))
    return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 2, 1, 0, 0x80, 250) + body


DESCRIPTORS = {
    1: descriptor(1, struct.pack("<HBBBBHHHBBBB", 0x200, 0xef, 2, 1, 64, 0x1209, 0x0001, 0x100, 1, 2, 3, 1)),
    2: configuration(),
}
STRINGS = ["", "mynah", "Camera of air", SERIAL]


def note(name, value):
    with open(os.path.join(CONTROL, name), "w") as file:
        file.write(str(value))


def flag(name):
    return os.path.exists(os.path.join(CONTROL, name))


class Camera:
    def __init__(self, sock):
        # Held while a transfer is answered or taken back: the kernel must not hear of it twice.
        self.sock, self.lock = sock, threading.RLock()
        self.waiting, self.urbs = queue.Queue(), {}
        self.probe = [1, 1, INTERVALS[0]]
        files = sorted(os.path.join(PICTURES, name) for name in os.listdir(PICTURES))
        self.pictures = [self.shorn(open(name, "rb").read()) for name in files]

    def shorn(self, jpeg):
        at = jpeg.find(b"\xff\xc4\x01\xa2")
        return (jpeg[:at] + jpeg[at + 2 + 0x1a2:] if at > 0 else jpeg) + bytes(700)

    def answer(self, seq, status, data=b"", length=None):
        length = len(data) if length is None else length
        with self.lock:
            self.sock.sendall(struct.pack(">IIIIIiIIII8x", 3, seq, 0, 0, 0, status, length, 0, 0, 0) + data)

    def settings(self):
        format, frame, interval = self.probe
        width, height = SIZES[frame - 1]
        return struct.pack("<HBBIHHHHHII", 1, format, frame, interval, 0, 0, 0, 0, 0, width * height * 2, PAYLOAD)

    def control(self, setup, data):
        """What a control request is answered: bytes, or None where it is refused."""
        kind, request, value, index, length = struct.unpack("<BBHHH", setup)
        if kind == 0x80 and request == 6:
            which, number = value >> 8, value & 0xff
            if which == 3 and number < len(STRINGS):
                text = STRINGS[number].encode("utf-16le")
                return descriptor(3, text if number else b"\x09\x04")[:length]
            return DESCRIPTORS[which][:length] if which in DESCRIPTORS else None
        if kind in (0x80, 0x81, 0x82) and request == 0:
            return bytes(2)[:length]
        if kind & 0x60 == 0:
            return b""
        if kind == 0xa1 and index & 0xff == 1:
            answers = {0x85: struct.pack("<H", 26), 0x86: b"\x03"}
            return answers.get(request, self.settings())[:length]
        if kind == 0x21 and index & 0xff == 1 and request == 1:
            _, format, frame, interval = struct.unpack("<HBBI", data[:8])
            self.probe = [1, min(max(frame, 1), len(SIZES)), min(INTERVALS, key=lambda known: abs(known - interval))]
            if value >> 8 == 2:
                note("asked_fps", round(1e7 / self.probe[2]))
            return b""
        return bytes(1)[:length] if kind == 0xa1 else None

    def read(self, count):
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                sys.exit(0)
            data += part
        return data

    def serve(self):
        while True:
            head = self.read(48)
            command, seq, _, is_in, endpoint = struct.unpack(">IIIII", head[:20])
            if command == 2:
                meant = struct.unpack(">I", head[20:24])[0]
                with self.lock:
                    was_there = self.urbs.pop(meant, None) is not None
                    self.sock.sendall(struct.pack(">IIIIIi24x", 4, seq, 0, 0, 0, -ECONNRESET if was_there else 0))
                continue
            length = struct.unpack(">I", head[24:28])[0]
            data = b"" if is_in else self.read(length)
            if endpoint == 0:
                reply = self.control(head[40:48], data)
                if reply is None:
                    self.answer(seq, -EPIPE)
                else:
                    self.answer(seq, 0, reply if is_in else b"", len(reply) if is_in else length)
            else:
                self.urbs[seq] = length
                self.waiting.put(seq)

    def send(self, picture, number):
        """One picture in as many transfers as it takes; false where nobody wants it."""
        at = 0
        while at < len(picture):
            try:
                seq = self.waiting.get(timeout=0.3)
            except queue.Empty:
                return False
            with self.lock:
                length = self.urbs.pop(seq, None)
                if length is None:
                    continue  # taken back
                part = picture[at:at + min(length, PAYLOAD) - 2]
                at += len(part)
                ends = 2 if at >= len(picture) else 0
                self.answer(seq, 0, bytes([2, 0x80 | ends | number % 2]) + part)
        return True

    def film(self):
        number, due = 0, time.monotonic()
        while True:
            note("is_running", int(bool(self.urbs)))
            if flag("hang"):
                time.sleep(0.05)
                continue
            due = max(due + self.probe[2] / 1e7, time.monotonic())
            time.sleep(max(0, due - time.monotonic()))
            picture = self.pictures[0 if flag("same") else number % len(self.pictures)]
            number += self.send(picture, number)


ours, kernels = socket.socketpair()
camera = Camera(ours)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the socket closes: the kernel sees a cable pulled
threading.Thread(target=camera.film, daemon=True).start()
with open(ATTACH + "attach", "w") as attach:
    attach.write("%d %d %d %d" % (PORT, kernels.fileno(), DEVICE, HIGH_SPEED))
kernels.close()
camera.serve()
