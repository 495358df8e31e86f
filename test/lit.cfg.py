"""The lit suites: every .mlir and .test file below test/, and below examples/.

Tools stand on PATH (einhead-opt, einhead, FileCheck, not, split-file, the
stock mlir-opt).  %examples is examples/, %plugin what mlir-opt loads,
%broken-plugin a pass that breaks numbers, %fake_cuda a CUDA driver without a
GPU, %utils is utils/, %python the interpreter, %path the value of PATH.
Features for REQUIRES: the flags of this CPU (`avx512f`, `amx_tile`), each tool
built, `ptxas`, `fake-cuda`.
"""

import os
import shutil

import lit.formats

suite = config.einhead_suite  # "test" or "examples"
config.name = "Einhead" if suite == "test" else "Einhead-" + suite
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "Package", "Docs"]
config.test_source_root = os.path.join(config.einhead_source_dir, suite)
config.test_exec_root = os.path.join(config.einhead_build_dir, suite)

config.environment["PATH"] = os.path.pathsep.join(
    [config.einhead_tools_dir, config.llvm_tools_dir, os.environ.get("PATH", "")]
)
# A variable holds for its CHECK-LABEL section only, unless its name starts with $.
config.environment["FILECHECK_OPTS"] = "-enable-var-scope"

fake_cuda = os.path.join(config.einhead_build_dir, "lib", "libEinheadFakeBench.so")
config.substitutions += [
    ("%einhead-opt", os.path.join(config.einhead_tools_dir, "einhead-opt")),
    ("%broken-plugin", os.path.join(config.einhead_build_dir, "lib", "libEinheadBrokenPlugin.so")),
    ("%utils", os.path.join(config.einhead_source_dir, "utils")),
    ("%plugin", os.path.join(config.einhead_build_dir, "lib", "libEinheadPlugin.so")),
    ("%fake_cuda", fake_cuda),
    (r"%einhead\b", os.path.join(config.einhead_tools_dir, "einhead")),
    ("%examples", os.path.join(config.einhead_source_dir, "examples")),
    ("%python", config.python),
    ("%path", config.environment["PATH"]),
]


def cpu_flags():
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            for line in cpuinfo:
                if line.startswith("flags"):
                    return line.split(":", 1)[1].split()
    except OSError:
        pass
    return []


config.available_features.update(cpu_flags())
if os.path.exists(fake_cuda):
    config.available_features.add("fake-cuda")
for tool in ("einhead", "einhead-opt", "einhead-reduce", "einhead-lsp-server", "einhead-gpu-bench"):
    if os.path.exists(os.path.join(config.einhead_tools_dir, tool)):
        config.available_features.add(tool)
cuda = os.environ.get("CUDA_HOME", os.environ.get("CUDA_PATH", "/usr/local/cuda"))
if shutil.which("ptxas") or shutil.which("ptxas", path=os.path.join(cuda, "bin")):
    config.available_features.add("ptxas")
