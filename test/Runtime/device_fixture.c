/*===- device_fixture.c - Host code around kernels, for the tests -----------===
 *
 * Part of the Einhead project, under the Apache License v2.0 with LLVM
 * Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===------------------------------------------------------------------------===
 *
 * Entry points as compiled code for a GPU has them: index arithmetic and
 * launches.  Nothing here touches a tensor's memory.
 *
 *===------------------------------------------------------------------------===*/
#include "einhead/runtime.h"

EINHEAD_API const int32_t einhead_module_abi = EINHEAD_MODULE_ABI;
EINHEAD_API const einhead_host_t *einhead_module_host = 0;

#define SIZE(t, i) ((t)->sizes_and_strides[i])
#define STRIDE(t, rank, i) ((t)->sizes_and_strides[(rank) + (i)])

static void launch(const char *kernel, int64_t blocks, int64_t threads,
                   int64_t cluster, int64_t shared, void **arguments) {
  const int64_t grid[3] = {blocks, 1, 1}, block[3] = {threads, 1, 1};
  einhead_module_host->launch(kernel, grid, block, cluster, shared, arguments);
}

/* x [b, t, 2], length [b], cache k [b, m, 2] -> total [b], the sum of the valid
 * part of the cache after x was appended. */
EINHEAD_API void entry_append(void **a) {
  einhead_memref_t *x = a[0], *length = a[1], *k = a[2], *total = a[3];
  int64_t steps = SIZE(x, 1), stride = STRIDE(k, 3, 0);
  void *arguments[] = {&x->aligned,     &length->aligned, &k->aligned,
                       &total->aligned, &steps,           &stride};
  launch("append", SIZE(x, 0), 32, 1, 0, arguments);
}

/* bytes, alignment, zeros, blocks, threads, cluster, shared (index scalars) ->
 * report i64 [6]: workspace, two pieces of zeroed memory, whether both are 0
 * before the kernel dirties and cleans them, multiprocessors, such clusters at
 * a time. */
EINHEAD_API void entry_probe(void **a) {
  int64_t bytes = *(int64_t *)a[0], alignment = *(int64_t *)a[1];
  int64_t zeros = *(int64_t *)a[2];
  einhead_memref_t *report = a[7];
  const einhead_host_t *host = einhead_module_host;
  int64_t processors = host->multiprocessors();
  int64_t clusters = host->clusters("probe", *(int64_t *)a[5],
                                    *(int64_t *)a[4], *(int64_t *)a[6]);
  void *first = host->zeroed(zeros), *second = host->zeroed(zeros);
  void *workspace = host->allocate(bytes, alignment);
  void *arguments[] = {&report->aligned, &workspace, &first,
                       &second,          &zeros,     &processors,
                       &clusters};
  launch("probe", *(int64_t *)a[3], *(int64_t *)a[4], *(int64_t *)a[5],
         *(int64_t *)a[6], arguments);
}

/* type, swizzle (index scalars), x f32 [n, p] -> y f32 [1]: a map of x in boxes
 * of 4 by 8. */
EINHEAD_API void entry_map(void **a) {
  einhead_memref_t *x = a[2], *y = a[3];
  _Alignas(64) char map[128];
  int64_t sizes[] = {SIZE(x, 1), SIZE(x, 0)}, box[] = {8, 4};
  int64_t strides[] = {STRIDE(x, 2, 0) * 4};
  einhead_module_host->tensor_map(map, x->aligned, *(int64_t *)a[0], 2, sizes,
                                  strides, box, *(int64_t *)a[1]);
  void *arguments[] = {map, &y->aligned};
  launch("map", 1, 32, 1, 0, arguments);
}

/* length scalar index, length i32 [b], length i64 [b] -> all i64 [b]: the
 * scalar and both tensors, added. */
EINHEAD_API void entry_lengths(void **a) {
  einhead_memref_t *narrow = a[1], *wide = a[2], *all = a[3];
  int64_t one = *(int64_t *)a[0], count = SIZE(all, 0);
  void *arguments[] = {&one, &narrow->aligned, &wide->aligned, &all->aligned,
                       &count};
  launch("lengths", count, 1, 1, 0, arguments);
}

/* x f32 [3], parameter w f32 [3] -> y f32 [3] = x * w. */
EINHEAD_API void entry_norm(void **a) {
  einhead_memref_t *x = a[0], *w = a[1], *y = a[2];
  void *arguments[] = {&x->aligned, &w->aligned, &y->aligned};
  launch("norm", 1, 3, 1, 0, arguments);
}

/* -> y f32 [1], by a kernel that the manifest does not name. */
EINHEAD_API void entry_unknown(void **a) {
  einhead_memref_t *y = a[0];
  void *arguments[] = {&y->aligned};
  launch("nameless", 1, 1, 1, 0, arguments);
}

/* query [b, g, r, k] in bf16, key and value [b, g, m, k] in a type that the
 * kernel knows, lengths i64 [b] -> output f32 [b, g, r, k]. */
static void attention(const char *kernel, void **a) {
  einhead_memref_t *query = a[0], *key = a[1], *value = a[2], *lengths = a[3],
                   *output = a[4];
  int64_t groups = SIZE(query, 1), rows = SIZE(query, 2), keys = SIZE(key, 2),
          depth = SIZE(query, 3);
  void *arguments[] = {&query->aligned,
                       &key->aligned,
                       &value->aligned,
                       &lengths->aligned,
                       &output->aligned,
                       &groups,
                       &rows,
                       &keys,
                       &depth};
  launch(kernel, SIZE(query, 0) * groups * rows, 32, 1, 0, arguments);
}

EINHEAD_API void entry_attention(void **a) { attention("attention", a); }

EINHEAD_API void entry_attention_f8(void **a) { attention("attention_f8", a); }
