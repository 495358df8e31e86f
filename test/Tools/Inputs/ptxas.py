"""ptxas.py FOLDER RELEASE [FAIL]: puts a ptxas in FOLDER that is of that release of
CUDA, and whose machine code is the text it gets; with FAIL it refuses, in words."""

import os
import sys

folder, release = sys.argv[1:3]
refuse = "true" if sys.argv[3:] else "false"
path = os.path.join(folder, "ptxas")
with open(path, "w") as file:
    file.write("""#!/bin/sh
if [ "$1" = --version ]; then
  echo "Cuda compilation tools, release %s, V%s.1"
  exit 0
fi
if %s; then
  echo "ptxas application fatal: line 7 is not to my taste" >&2
  exit 255
fi
for argument; do
  case "$previous" in -o) cp "$input" "$argument" ;; esac
  case "$argument" in *.ptx) input="$argument" ;; esac
  previous="$argument"
done
""" % (release, release, refuse))
os.chmod(path, 0o755)
