//===- Kernels.h - The benchmark's own kernels ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_BENCHMARKS_GPU_KERNELS_H
#define EINHEAD_BENCHMARKS_GPU_KERNELS_H

#include <string>

namespace einhead::bench {

/// PTX for any GPU with half precision.
///  - bench_fill: element i from a hash of seed + i, about normal: a sum of
///  four
///    numbers of six bits, exact in bf16 and f16, times 2^-(kind / 256) (Fill
///    says the kinds).
///  - bench_poison: a bit pattern into every element at or past its sequence's
///    length.
///  - bench_read: reads everything once, 8 x 16 bytes in flight, and writes one
///    word if the sum happens to be one number.
inline std::string kernels() {
  // %d0: the number of this thread among all; %d1: of all threads.
  const std::string thread = R"(
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %ntid.x;
  mov.u32 %r2, %tid.x;
  mov.u32 %r3, %nctaid.x;
  mul.wide.u32 %d0, %r0, %r1;
  cvt.u64.u32 %d1, %r2;
  add.u64 %d0, %d0, %d1;
  mul.wide.u32 %d1, %r3, %r1;
)";
  return R"(
.version 6.0
.target sm_53
.address_size 64

.visible .entry bench_fill(
  .param .u64 to, .param .u64 count, .param .u64 seed, .param .u32 kind)
{
  .reg .pred %p, %q;
  .reg .f16 %h;
  .reg .b16 %s;
  .reg .f32 %f<2>;
  .reg .b32 %r<14>;
  .reg .b64 %d<12>;
)" + thread +
         R"(  ld.param.u64 %d2, [to];
  cvta.to.global.u64 %d2, %d2;
  ld.param.u64 %d3, [count];
  ld.param.u64 %d4, [seed];
  ld.param.u32 %r4, [kind];
  shr.u32 %r10, %r4, 8;
  and.b32 %r4, %r4, 255;
  sub.u32 %r10, 127, %r10;
  shl.b32 %r10, %r10, 23;
  mov.b32 %f1, %r10;
LOOP:
  setp.ge.u64 %p, %d0, %d3;
  @%p bra DONE;
  add.u64 %d5, %d0, %d4;
  mul.lo.u64 %d5, %d5, 0x9E3779B97F4A7C15;
  shr.u64 %d6, %d5, 30;
  xor.b64 %d5, %d5, %d6;
  mul.lo.u64 %d5, %d5, 0xBF58476D1CE4E5B9;
  shr.u64 %d6, %d5, 27;
  xor.b64 %d5, %d5, %d6;
  mul.lo.u64 %d5, %d5, 0x94D049BB133111EB;
  shr.u64 %d5, %d5, 32;
  cvt.u32.u64 %r5, %d5;
  and.b32 %r6, %r5, 63;
  bfe.u32 %r7, %r5, 6, 6;
  add.u32 %r6, %r6, %r7;
  bfe.u32 %r7, %r5, 12, 6;
  add.u32 %r6, %r6, %r7;
  bfe.u32 %r7, %r5, 18, 6;
  add.u32 %r6, %r6, %r7;
  sub.s32 %r6, %r6, 126;
  cvt.rn.f32.s32 %f0, %r6;
  mul.f32 %f0, %f0, 0f3D000000;
  mul.f32 %f0, %f0, %f1;
  setp.eq.u32 %q, %r4, 0;
  @%q bra BF16;
  setp.eq.u32 %q, %r4, 1;
  @%q bra F16;
  setp.eq.u32 %q, %r4, 2;
  @%q bra F32;
  setp.eq.u32 %q, %r4, 3;
  @%q bra E4M3;
  setp.eq.u32 %q, %r4, 4;
  @%q bra I8;
  and.b32 %r7, %r5, 63;
  add.u32 %r7, %r7, 64;
  cvt.rn.f32.u32 %f0, %r7;
  mul.f32 %f0, %f0, 0f39000000;
F32:
  shl.b64 %d6, %d0, 2;
  add.u64 %d6, %d2, %d6;
  st.global.f32 [%d6], %f0;
  bra NEXT;
BF16:
  mov.b32 %r8, %f0;
  shr.u32 %r8, %r8, 16;
  cvt.u16.u32 %s, %r8;
  shl.b64 %d6, %d0, 1;
  add.u64 %d6, %d2, %d6;
  st.global.u16 [%d6], %s;
  bra NEXT;
F16:
  cvt.rn.f16.f32 %h, %f0;
  mov.b16 %s, %h;
  shl.b64 %d6, %d0, 1;
  add.u64 %d6, %d2, %d6;
  st.global.u16 [%d6], %s;
  bra NEXT;
E4M3:
  and.b32 %r8, %r5, 0x87;
  bfe.u32 %r9, %r5, 8, 2;
  add.u32 %r9, %r9, 4;
  shl.b32 %r9, %r9, 3;
  or.b32 %r8, %r8, %r9;
  add.u64 %d6, %d2, %d0;
  st.global.u8 [%d6], %r8;
  bra NEXT;
I8:
  add.u64 %d6, %d2, %d0;
  st.global.u8 [%d6], %r6;
NEXT:
  add.u64 %d0, %d0, %d1;
  bra LOOP;
DONE:
  ret;
}

.visible .entry bench_poison(
  .param .u64 to, .param .u64 count, .param .u32 bytes, .param .u32 pattern,
  .param .u64 lengths, .param .u64 sequenceStride, .param .u64 sequences,
  .param .u64 keyStride, .param .u64 keys)
{
  .reg .pred %p;
  .reg .b16 %s;
  .reg .b32 %r<8>;
  .reg .b64 %d<20>;
)" + thread +
         R"(  ld.param.u64 %d2, [to];
  cvta.to.global.u64 %d2, %d2;
  ld.param.u64 %d3, [count];
  ld.param.u32 %r4, [bytes];
  ld.param.u32 %r5, [pattern];
  cvt.u16.u32 %s, %r5;
  ld.param.u64 %d4, [lengths];
  cvta.to.global.u64 %d4, %d4;
  ld.param.u64 %d5, [sequenceStride];
  ld.param.u64 %d6, [sequences];
  ld.param.u64 %d7, [keyStride];
  ld.param.u64 %d8, [keys];
LOOP:
  setp.ge.u64 %p, %d0, %d3;
  @%p bra DONE;
  div.u64 %d9, %d0, %d5;
  rem.u64 %d9, %d9, %d6;
  div.u64 %d10, %d0, %d7;
  rem.u64 %d10, %d10, %d8;
  shl.b64 %d11, %d9, 3;
  add.u64 %d11, %d4, %d11;
  ld.global.u64 %d12, [%d11];
  setp.lt.s64 %p, %d10, %d12;
  @%p bra NEXT;
  cvt.u64.u32 %d13, %r4;
  mul.lo.u64 %d13, %d13, %d0;
  add.u64 %d13, %d2, %d13;
  setp.eq.u32 %p, %r4, 1;
  @%p st.global.u8 [%d13], %r5;
  setp.eq.u32 %p, %r4, 2;
  @%p st.global.u16 [%d13], %s;
  setp.eq.u32 %p, %r4, 4;
  @%p st.global.u32 [%d13], %r5;
NEXT:
  add.u64 %d0, %d0, %d1;
  bra LOOP;
DONE:
  ret;
}

.visible .entry bench_read(
  .param .u64 from, .param .u64 count, .param .u64 out)
{
  .reg .pred %p;
  .reg .b32 %r<8>;
  .reg .b32 %v<32>;
  .reg .b64 %d<16>;
)" + thread +
         R"(  ld.param.u64 %d2, [from];
  cvta.to.global.u64 %d2, %d2;
  ld.param.u64 %d3, [count];
  mul.lo.u64 %d4, %d1, 7;
  shl.b64 %d5, %d1, 3;
  shl.b64 %d6, %d1, 4;
  mov.u32 %r4, 0;
LOOP:
  add.u64 %d7, %d0, %d4;
  setp.ge.u64 %p, %d7, %d3;
  @%p bra DONE;
  shl.b64 %d8, %d0, 4;
  add.u64 %d8, %d2, %d8;
  add.u64 %d9, %d8, %d6;
  add.u64 %d10, %d9, %d6;
  add.u64 %d11, %d10, %d6;
  add.u64 %d12, %d11, %d6;
  add.u64 %d13, %d12, %d6;
  add.u64 %d14, %d13, %d6;
  add.u64 %d15, %d14, %d6;
  ld.global.cs.v4.u32 {%v0, %v1, %v2, %v3}, [%d8];
  ld.global.cs.v4.u32 {%v4, %v5, %v6, %v7}, [%d9];
  ld.global.cs.v4.u32 {%v8, %v9, %v10, %v11}, [%d10];
  ld.global.cs.v4.u32 {%v12, %v13, %v14, %v15}, [%d11];
  ld.global.cs.v4.u32 {%v16, %v17, %v18, %v19}, [%d12];
  ld.global.cs.v4.u32 {%v20, %v21, %v22, %v23}, [%d13];
  ld.global.cs.v4.u32 {%v24, %v25, %v26, %v27}, [%d14];
  ld.global.cs.v4.u32 {%v28, %v29, %v30, %v31}, [%d15];
  xor.b32 %r4, %r4, %v0;
  xor.b32 %r4, %r4, %v1;
  xor.b32 %r4, %r4, %v2;
  xor.b32 %r4, %r4, %v3;
  xor.b32 %r4, %r4, %v4;
  xor.b32 %r4, %r4, %v5;
  xor.b32 %r4, %r4, %v6;
  xor.b32 %r4, %r4, %v7;
  xor.b32 %r4, %r4, %v8;
  xor.b32 %r4, %r4, %v9;
  xor.b32 %r4, %r4, %v10;
  xor.b32 %r4, %r4, %v11;
  xor.b32 %r4, %r4, %v12;
  xor.b32 %r4, %r4, %v13;
  xor.b32 %r4, %r4, %v14;
  xor.b32 %r4, %r4, %v15;
  xor.b32 %r4, %r4, %v16;
  xor.b32 %r4, %r4, %v17;
  xor.b32 %r4, %r4, %v18;
  xor.b32 %r4, %r4, %v19;
  xor.b32 %r4, %r4, %v20;
  xor.b32 %r4, %r4, %v21;
  xor.b32 %r4, %r4, %v22;
  xor.b32 %r4, %r4, %v23;
  xor.b32 %r4, %r4, %v24;
  xor.b32 %r4, %r4, %v25;
  xor.b32 %r4, %r4, %v26;
  xor.b32 %r4, %r4, %v27;
  xor.b32 %r4, %r4, %v28;
  xor.b32 %r4, %r4, %v29;
  xor.b32 %r4, %r4, %v30;
  xor.b32 %r4, %r4, %v31;
  add.u64 %d0, %d0, %d5;
  bra LOOP;
DONE:
  setp.ne.u32 %p, %r4, 0x12345678;
  @%p ret;
  ld.param.u64 %d0, [out];
  cvta.to.global.u64 %d0, %d0;
  st.global.u32 [%d0], %r4;
  ret;
}
)";
}

} // namespace einhead::bench

#endif // EINHEAD_BENCHMARKS_GPU_KERNELS_H
