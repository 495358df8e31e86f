"""A library's process, which is asked shape by shape."""

import json
import os
import queue
import subprocess
import threading
import time


class Peer:
    """peer.py with one library.  It stays between shapes, for loading takes
    seconds; after a crash or past the limit a new one is started."""

    def __init__(self, name, command, options, log, limit):
        self.name, self.command, self.options = name, command, options
        self.log, self.limit = log, limit
        self.process = None
        self.version, self.missing = "", ""

    @property
    def is_found(self):
        return not self.missing

    def start(self):
        cores = sorted(os.sched_getaffinity(0))[:self.options["threads"]]
        # One OpenMP thread a core, as vLLM and PyTorch advise.
        environment = dict(os.environ, OMP_NUM_THREADS=str(self.options["threads"]),
                           GOMP_CPU_AFFINITY=" ".join(map(str, cores)))
        self.lines = queue.Queue()
        with open(self.log, "ab") as log:
            try:
                self.process = subprocess.Popen(
                    [*self.command, json.dumps(self.options)], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
            except OSError as error:
                self.missing = str(error)
                return
        threading.Thread(target=self.read, args=(self.process, self.lines), daemon=True).start()
        # The first load of a large library from a disk takes its time.
        first = self.next(time.monotonic() + max(self.limit, 300))
        self.version = first.get("found", "")
        self.missing = first.get("missing", "") if self.version else first.get(
            "missing", first.get("failed", "it says nothing"))

    @staticmethod
    def read(process, lines):
        """Libraries may print too: what is not ours is passed over."""
        for line in process.stdout:
            if line.startswith('{"'):
                try:
                    lines.put(json.loads(line))
                except ValueError:
                    pass
        lines.put({"failed": f"ended with {process.wait()}", "end": True})

    def next(self, deadline):
        try:
            return self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return {"failed": f"more than {self.limit:g} s", "end": True}

    def ask(self, shape):
        """What it says of a shape: a list of records."""
        if not self.is_found:
            return []
        if self.process is None:
            self.start()
            if not self.is_found:  # the library was there before
                failed, self.missing = self.missing, ""
                return [{"failed": failed}]
        records, deadline = [], time.monotonic() + self.limit
        try:
            self.process.stdin.write(shape + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended: read() says so
        while True:
            line = self.next(deadline)
            if line.get("done"):
                return records
            is_end = line.pop("end", False)
            records.append(line)
            if is_end:
                self.stop()
                return records

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
