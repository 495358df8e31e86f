// What the loops are made of, for each kind of CPU: bf16 with bf16 queries, then
// f16 with f32 queries.  test/E2E runs such code where the machine can.

// RUN: rm -rf %t && mkdir %t
// RUN: %einhead compile %s --cpu=x86-64-v3 --emit=so -o %t/v3.so
// RUN: %einhead compile %s --cpu=x86-64-v4 --emit=so -o %t/v4.so
// RUN: %einhead compile %s --cpu=znver4 --emit=so -o %t/zen4.so
// RUN: %einhead compile %s --cpu=sapphirerapids --emit=so -o %t/xeon.so
// RUN: llvm-objdump -d --no-show-raw-insn %t/v3.so > %t/v3.s
// RUN: llvm-objdump -d --no-show-raw-insn %t/v4.so > %t/v4.s
// RUN: llvm-objdump -d --no-show-raw-insn %t/zen4.so > %t/zen4.s
// RUN: llvm-objdump -d --no-show-raw-insn %t/xeon.so > %t/xeon.s

// Registers of 256 bits, f32 FMAs, f16 by its conversion; nothing newer.
// RUN: FileCheck %s --check-prefix=V3 --implicit-check-not=zmm --implicit-check-not=dpbf16ps < %t/v3.s
// V3: <pairs_parallel_0>:
// V3: vfmadd{{.*}} %ymm
// V3: <halves_parallel_0>:
// V3: vcvtph2ps {{.*}}), %ymm
// V3: vfmadd{{.*}} %ymm

// Registers of 512 bits, no products of pairs.
// RUN: FileCheck %s --check-prefix=V4 --implicit-check-not=dpbf16ps --implicit-check-not=vcvtneps2bf16 < %t/v4.s
// V4: <pairs_parallel_0>:
// V4: vfmadd{{.*}} %zmm
// V4: <halves_parallel_0>:
// V4: vcvtph2ps {{.*}}), %zmm
// V4: vfmadd{{.*}} %zmm

// Pairs of bf16 where they are faster than the FMA; f16 has none.
// RUN: FileCheck %s --check-prefix=ZEN4 --implicit-check-not=tdpbf16ps --implicit-check-not=tile < %t/zen4.s
// ZEN4: <pairs_parallel_0>:
// ZEN4: vdpbf16ps {{.*}} %zmm
// ZEN4: <halves_parallel_0>:
// ZEN4-NOT: vdpbf16ps
// ZEN4: vcvtph2ps {{.*}}), %zmm
// ZEN4-NOT: vdpbf16ps
// ZEN4: vfmadd{{.*}} %zmm
// ZEN4-NOT: vdpbf16ps
// ZEN4: <einhead_entry_pairs>:

// Matrix tiles; tiles.test counts them.
// RUN: FileCheck %s --check-prefix=XEON < %t/xeon.s
// XEON: <pairs_parallel_0>:
// XEON: ldtilecfg
// XEON: tdpbf16ps
// XEON: tdpbf16ps
// XEON: <halves_parallel_0>:
// XEON-NOT: tdpbf16ps
// XEON: vcvtph2ps{{x?}} {{.*}}), %zmm
// XEON-NOT: tdpbf16ps
// XEON: <einhead_entry_pairs>:

// AArch64 has f32 FMAs on registers of 128 bits; those of SVE (z0, p0) are not
// used, whoever has them.
// RUN: %einhead compile %s --cpu=cortex-a53 --emit=so -o %t/a53.so
// RUN: llvm-objdump -d --no-show-raw-insn %t/a53.so | FileCheck %s --check-prefix=NEON
// RUN: %einhead compile %s --cpu=neoverse-v2 --emit=so -o %t/v2.so
// RUN: llvm-objdump -d --no-show-raw-insn %t/v2.so | FileCheck %s --check-prefix=NEON '--implicit-check-not={{[^a-z]z[0-9]+\.}}'
// NEON: <pairs_parallel_0>:
// NEON: fmla{{.*}}v{{[0-9]+}}.4s, v{{[0-9]+}}.4s
// NEON: <halves_parallel_0>:
// NEON: fcvtl{{.*}}v{{[0-9]+}}.4s, v{{[0-9]+}}.4h
// NEON: fmla{{.*}}v{{[0-9]+}}.4s, v{{[0-9]+}}.4s

// A module asks for the tile registers only where its code uses them.
// RUN: %einhead compile %s --cpu=sapphirerapids -o %t/tiles.einhead
// RUN: %einhead inspect %t/tiles.einhead | FileCheck %s --check-prefix=ASKED
// ASKED: sapphirerapids ({{.*}}), needs {{.*}}amx-bf16 amx-tile
// RUN: %einhead compile %s --cpu=sapphirerapids --no-fuse -o %t/none.einhead
// RUN: %einhead inspect %t/none.einhead | FileCheck %s --check-prefix=NOT-ASKED --implicit-check-not=amx
// NOT-ASKED: sapphirerapids ({{.*}}), needs {{.*}}avx512fp16

func.func @pairs(%q: tensor<2x32x128xbf16>, %k: tensor<2x256x128xbf16>, %v: tensor<2x256x128xbf16>) -> tensor<2x32x128xf32> {
  %init = tensor.empty() : tensor<2x32x128xf32>
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<2x32x128xbf16>)
    key(%k : tensor<2x256x128xbf16>) value(%v : tensor<2x256x128xbf16>)
    scale 0.25 outs(%init : tensor<2x32x128xf32>) -> tensor<2x32x128xf32>
  return %y : tensor<2x32x128xf32>
}
func.func @halves(%q: tensor<2x4x128xf32>, %k: tensor<2x256x128xf16>, %v: tensor<2x256x128xf16>) -> tensor<2x4x128xf32> {
  %init = tensor.empty() : tensor<2x4x128xf32>
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<2x4x128xf32>)
    key(%k : tensor<2x256x128xf16>) value(%v : tensor<2x256x128xf16>)
    scale 0.25 outs(%init : tensor<2x4x128xf32>) -> tensor<2x4x128xf32>
  return %y : tensor<2x4x128xf32>
}
