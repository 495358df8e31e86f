/*===- fixture.c - The code inside the modules of the tests -----------------===
 *
 * Part of the Einhead project, under the Apache License v2.0 with LLVM
 * Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===------------------------------------------------------------------------===
 *
 * Entry points as compiled code has them, written by hand.  The macros make
 * variants that the loader must refuse.
 *
 *===------------------------------------------------------------------------===*/
#include "einhead/runtime.h"

#ifndef FIXTURE_ABI
#define FIXTURE_ABI EINHEAD_MODULE_ABI
#endif

EINHEAD_API const int32_t einhead_module_abi = FIXTURE_ABI;
#if defined(FIXTURE_CONST_HOST)
EINHEAD_API const einhead_host_t *const einhead_module_host = 0;
static const einhead_host_t *host(void) {
  return *(const einhead_host_t *const volatile *)&einhead_module_host;
}
#elif defined(FIXTURE_RELRO_HOST)
/* Its address needs a relocation, after which the page becomes read-only. */
EINHEAD_API einhead_host_t fixture_host = {0, 0};
EINHEAD_API const einhead_host_t *const einhead_module_host = &fixture_host;
static const einhead_host_t *host(void) {
  return *(const einhead_host_t *const volatile *)&einhead_module_host;
}
#elif defined(FIXTURE_NO_HOST)
static const einhead_host_t *host(void) { return 0; }
#else
EINHEAD_API const einhead_host_t *einhead_module_host = 0;
static const einhead_host_t *host(void) { return einhead_module_host; }
#endif

#ifdef FIXTURE_IMPORT
char *getenv(const char *name);
EINHEAD_API void entry_import(void **a) { *(char **)a[0] = getenv("HOME"); }
#endif
#ifdef FIXTURE_MATH
float expf(float x);
EINHEAD_API void entry_math(void **a) {
  einhead_memref_t *x = a[0];
  *(float *)x->aligned = expf(*(float *)x->aligned);
}
#endif

#define SIZE(t, i) ((t)->sizes_and_strides[i])
#define STRIDE(t, rank, i) ((t)->sizes_and_strides[(rank) + (i)])
#define DATA(type, t) ((type *)(t)->aligned + (t)->offset)

/* x [n, m] -> y [n, m]: y = x + 1, through whatever strides are passed. */
EINHEAD_API void entry_add_one(void **a) {
  einhead_memref_t *x = a[0], *y = a[1];
  for (int64_t i = 0; i < SIZE(x, 0); ++i)
    for (int64_t j = 0; j < SIZE(x, 1); ++j)
      DATA(float, y)
  [i * STRIDE(y, 2, 0) + j * STRIDE(y, 2, 1)] =
      DATA(float, x)[i * STRIDE(x, 2, 0) + j * STRIDE(x, 2, 1)] + 1.0f;
}

/* x [b, t, 2], length [b], cache k [b, m, 2] -> total [b], the sum of the valid
 * part of the cache after x was appended. */
EINHEAD_API void entry_append(void **a) {
  einhead_memref_t *x = a[0], *length = a[1], *k = a[2], *total = a[3];
  for (int64_t b = 0; b < SIZE(x, 0); ++b) {
    float *row = DATA(float, k) + b * STRIDE(k, 3, 0);
    int64_t at = DATA(int64_t, length)[b], steps = SIZE(x, 1);
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t i = 0; i < 2; ++i)
        row[(at + t) * STRIDE(k, 3, 1) + i] =
            DATA(float, x)[b * STRIDE(x, 3, 0) + t * STRIDE(x, 3, 1) + i];
    float sum = 0.0f;
    for (int64_t m = 0; m < at + steps; ++m)
      for (int64_t i = 0; i < 2; ++i)
        sum += row[m * STRIDE(k, 3, 1) + i];
    DATA(float, total)[b] = sum;
  }
}

/* x [n], scale f32 scalar, shift i32 scalar -> y [n]. */
EINHEAD_API void entry_scale(void **a) {
  einhead_memref_t *x = a[0], *y = a[3];
  float scale = *(float *)a[1];
  int32_t shift = *(int32_t *)a[2];
  for (int64_t i = 0; i < SIZE(x, 0); ++i)
    DATA(float, y)[i] = DATA(float, x)[i] * scale + (float)shift;
}

/* keep bool [n, m], x f32 [n, m] -> y [n, m]: x where kept, else 0. */
EINHEAD_API void entry_keep(void **a) {
  einhead_memref_t *keep = a[0], *x = a[1], *y = a[2];
  for (int64_t i = 0; i < SIZE(x, 0); ++i)
    for (int64_t j = 0; j < SIZE(x, 1); ++j) {
      uint8_t kept = DATA(uint8_t, keep)[i * STRIDE(keep, 2, 0) + j];
      DATA(float, y)
      [i * STRIDE(y, 2, 0) + j] =
          kept ? DATA(float, x)[i * STRIDE(x, 2, 0) + j] : 0.0f;
    }
}

/* bytes index scalar, count index scalar, alignment index scalar, cache k,
 * length [b] -> report i64 [2].  Writes beyond the valid rows of the cache,
 * then allocates; reports how many pointers were misaligned and whether any
 * two of them overlapped. */
EINHEAD_API void entry_hungry(void **a) {
  int64_t bytes = *(int64_t *)a[0], count = *(int64_t *)a[1];
  int64_t alignment = *(int64_t *)a[2];
  einhead_memref_t *k = a[3], *length = a[4], *report = a[5];
  DATA(float, k)[DATA(int64_t, length)[0] * STRIDE(k, 3, 1)] = -1.0f;
  int64_t misaligned = 0, overlaps = 0;
  char *last = 0;
  for (int64_t i = 0; i < count; ++i) {
    char *memory = host()->allocate(bytes, alignment);
    misaligned += ((uintptr_t)memory & 63) != 0 ||
                  ((uintptr_t)memory & (uintptr_t)(alignment - 1)) != 0;
    overlaps += last && memory < last + bytes && last < memory + bytes;
    if (bytes > 0)
      memory[0] = memory[bytes - 1] = (char)i;
    last = memory;
  }
  DATA(int64_t, report)[0] = misaligned;
  DATA(int64_t, report)[1] = overlaps;
}

/* Each index of seen [n] is raised once for each time it is covered; nested
 * [n] by a parallel_for inside the body. */
struct Context {
  int32_t *seen, *nested;
};
static void count_inner(void *context, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i)
    ++*(int32_t *)context;
}
static void count_outer(void *context, int64_t begin, int64_t end) {
  struct Context *c = context;
  for (int64_t i = begin; i < end; ++i) {
    ++c->seen[i];
    host()->parallel_for(3, count_inner, &c->nested[i]);
  }
}
EINHEAD_API void entry_parallel(void **a) {
  einhead_memref_t *seen = a[0], *nested = a[1];
  struct Context c = {DATA(int32_t, seen), DATA(int32_t, nested)};
  host()->parallel_for(SIZE(seen, 0), count_outer, &c);
  host()->parallel_for(-1, count_outer, &c);
}

/* x f32 [3], parameter w f32 [3], parameter s i8 [1] -> y f32 [3] = x * w + s,
 * or -1 where w is not aligned. */
EINHEAD_API void entry_norm(void **a) {
  einhead_memref_t *x = a[0], *w = a[1], *s = a[2], *y = a[3];
  for (int64_t i = 0; i < 3; ++i)
    DATA(float, y)
  [i] = (uintptr_t)w->aligned % sizeof(float) != 0
            ? -1.0f
            : DATA(float, x)[i] * DATA(float, w)[i] + (float)DATA(int8_t, s)[0];
}

/* length scalar index, length [b] i32, cache k -> one i64 [1], all i32 [b]. */
EINHEAD_API void entry_lengths(void **a) {
  einhead_memref_t *lengths = a[1], *one = a[3], *all = a[4];
  DATA(int64_t, one)[0] = *(int64_t *)a[0];
  for (int64_t i = 0; i < SIZE(lengths, 0); ++i)
    DATA(int32_t, all)[i] = DATA(int32_t, lengths)[i];
}

#ifndef FIXTURE_FILLER
#define FIXTURE_FILLER -1
#endif
/* x [m+1] i64 -> y [m+2] i64: a name that only the input says. */
EINHEAD_API void entry_grow(void **a) {
  einhead_memref_t *x = a[0], *y = a[1];
  for (int64_t i = 0; i < SIZE(y, 0); ++i)
    DATA(int64_t, y)[i] = i < SIZE(x, 0) ? DATA(int64_t, x)[i] : FIXTURE_FILLER;
}
