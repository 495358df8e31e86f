//===- LengthKernels.h - Lengths in device memory ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CUDA_LENGTHKERNELS_H
#define EINHEAD_RUNTIME_CUDA_LENGTHKERNELS_H

namespace einhead::runtime::cuda {

/// Adds keys to all lengths, or sets one: (wide, narrow, keys or length, count
/// or index).  Lengths are kept as i64 and as i32; code takes the width it
/// wants.
constexpr const char *advanceKernelName = "einhead_advance_lengths";
constexpr const char *setKernelName = "einhead_set_length";

/// PTX for any GPU; every driver translates it when it is loaded.
constexpr const char *lengthKernels = R"(
.version 6.0
.target sm_52
.address_size 64
.visible .entry einhead_advance_lengths(
  .param .u64 wide, .param .u64 narrow, .param .u64 keys, .param .u32 count)
{
  .reg .pred %p;
  .reg .b32 %r<6>;
  .reg .b64 %d<9>;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.u32 %r4, %r1, %r2, %r3;
  ld.param.u32 %r0, [count];
  setp.ge.u32 %p, %r4, %r0;
  @%p bra DONE;
  ld.param.u64 %d0, [wide];
  ld.param.u64 %d1, [narrow];
  ld.param.u64 %d2, [keys];
  cvta.to.global.u64 %d3, %d0;
  cvta.to.global.u64 %d4, %d1;
  mul.wide.u32 %d5, %r4, 8;
  add.u64 %d3, %d3, %d5;
  mul.wide.u32 %d6, %r4, 4;
  add.u64 %d4, %d4, %d6;
  ld.global.u64 %d7, [%d3];
  add.u64 %d8, %d7, %d2;
  st.global.u64 [%d3], %d8;
  cvt.u32.u64 %r5, %d8;
  st.global.u32 [%d4], %r5;
DONE:
  ret;
}
.visible .entry einhead_set_length(
  .param .u64 wide, .param .u64 narrow, .param .u64 length, .param .u32 index)
{
  .reg .b32 %r<2>;
  .reg .b64 %d<7>;
  ld.param.u64 %d0, [wide];
  ld.param.u64 %d1, [narrow];
  ld.param.u64 %d2, [length];
  ld.param.u32 %r0, [index];
  cvta.to.global.u64 %d3, %d0;
  cvta.to.global.u64 %d4, %d1;
  mul.wide.u32 %d5, %r0, 8;
  add.u64 %d3, %d3, %d5;
  mul.wide.u32 %d6, %r0, 4;
  add.u64 %d4, %d4, %d6;
  st.global.u64 [%d3], %d2;
  cvt.u32.u64 %r1, %d2;
  st.global.u32 [%d4], %r1;
  ret;
}
)";

} // namespace einhead::runtime::cuda

#endif // EINHEAD_RUNTIME_CUDA_LENGTHKERNELS_H
