#!/usr/bin/env python3
"""Records frames between clients and a server as inputs for the fuzz targets.

    record.py LISTEN-PORT SERVER-PORT FOLDER

Stands between the two until it is interrupted, and writes what passes into
the folders `handshake`, `request` and `reply` of FOLDER: one file per frame,
without its length. Of frames that look alike it keeps the first few.

The corpus was made with the raw driver of `interop/drivers`, profile `full`,
and the Java server:

    raw.py 127.0.0.1:LISTEN-PORT full
"""

import asyncio
import hashlib
import sys
from collections import Counter
from pathlib import Path

# Larger frames teach the fuzzer nothing that small ones do not.
FRAME_BYTES_MAX = 600
ALIKE_MAX = 3


class Recorder:
    """Writes frames, few of each kind."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.seen = Counter()

    def keep(self, target, kind, frame):
        key = (target, kind)
        if len(frame) > FRAME_BYTES_MAX or self.seen[key] == ALIKE_MAX:
            return
        path = self.folder / target / hashlib.sha1(frame).hexdigest()[:16]
        if not path.exists():
            self.seen[key] += 1
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(frame)


class Stream:
    """Cuts one direction of a connection into frames and tells their kinds."""

    def __init__(self, recorder, target):
        self.recorder = recorder
        self.target = target
        self.pending = b""
        self.is_first = True

    def feed(self, data):
        self.pending += data
        while len(self.pending) >= 4:
            length = int.from_bytes(self.pending[:4], "big", signed=True)
            if not 0 <= length <= 0xFFFFF:
                # No frame, or one that the server will refuse.
                self.pending = b""
                return
            if len(self.pending) < 4 + length:
                return
            frame = self.pending[4 : 4 + length]
            self.pending = self.pending[4 + length :]
            self.frame(frame)

    def frame(self, frame):
        if self.is_first:
            self.is_first = False
            self.recorder.keep("handshake", (self.target, len(frame)), frame)
        elif self.target == "request":
            self.recorder.keep("request", (frame[4:8], len(frame) // 16), frame)
        else:
            # Nobody here knows which request it answers: length and error tell.
            is_event = frame[:4] == b"\xff\xff\xff\xff"
            self.recorder.keep("reply", (is_event, frame[12:16], len(frame) // 24), frame)


async def copy(reader, writer, stream):
    try:
        while data := await reader.read(65536):
            stream.feed(data)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        # Either end may break the connection: that is part of what is driven.
        pass
    finally:
        writer.close()


async def main(listen, server, folder):
    recorder = Recorder(folder)

    async def serve(reader, writer):
        to_server = await asyncio.open_connection("127.0.0.1", server)
        await asyncio.gather(
            copy(reader, to_server[1], Stream(recorder, "request")),
            copy(to_server[0], writer, Stream(recorder, "reply")),
        )

    listening = await asyncio.start_server(serve, "127.0.0.1", listen)
    async with listening:
        await listening.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
    except KeyboardInterrupt:
        pass
