"""convert_heads_watch.py EINHEAD MODEL FOLDER: progress on a terminal, and a
conversion that a signal ends: by that signal, with nothing left behind."""

import json
import os
import pty
import signal
import struct
import subprocess
import sys
import time

einhead, model, folder = sys.argv[1:]
command = [einhead, "convert-heads", "--kv-heads=1"]

terminal, other_end = pty.openpty()
subprocess.run([*command, model, os.path.join(folder, "shown")], stderr=other_end, check=True,
               stdout=subprocess.DEVNULL)
shown = os.read(terminal, 1 << 16)
assert b"\reinhead: 100 % of 6 MiB" in shown, shown
quiet = subprocess.run([*command, model, os.path.join(folder, "quiet")], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
assert quiet.stderr == b"", quiet.stderr

# A model with a large tensor that takes no room on the disk.
large = os.path.join(folder, "large")
os.mkdir(large)
size = 1 << 30
tensors = {"model.embed_tokens.weight": [size // 2]}
for kind in "kv":
    tensors[f"model.layers.0.self_attn.{kind}_proj.weight"] = [4, 2]
header, end = {}, 0
for name, shape in tensors.items():
    count = shape[0] * shape[-1] if len(shape) > 1 else shape[0]
    header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + 2 * count]}
    end += 2 * count
text = json.dumps(header).encode()
path = os.path.join(large, "model.safetensors")
with open(path, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
os.truncate(path, 8 + len(text) + end)
with open(os.path.join(large, "config.json"), "w", encoding="utf-8") as file:
    json.dump({"hidden_size": 2, "num_attention_heads": 2, "head_dim": 2,
               "num_hidden_layers": 1}, file)

before = sorted(os.listdir(folder))
process = subprocess.Popen([*command, large, os.path.join(folder, "small")],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
while sorted(os.listdir(folder)) == before and process.poll() is None:
    time.sleep(0.001)
assert process.poll() is None, "it ended before the signal"
process.send_signal(signal.SIGINT)
status = process.wait(60)
assert status == -signal.SIGINT, status
assert sorted(os.listdir(folder)) == before, os.listdir(folder)
