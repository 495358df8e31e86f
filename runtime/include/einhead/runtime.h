/*===- runtime.h - The C ABI of the Einhead runtime -------------------------===
 *
 * Part of the Einhead project, under the Apache License v2.0 with LLVM
 * Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===------------------------------------------------------------------------===
 *
 * The one header that the compiler and the runtime share.  A module (a file
 * written by `einhead compile`) is opened once and shared; a session holds the
 * state of one decode stream: KV caches, lengths, workspace.  A step is one
 * call.  Tensors go in and out as DLPack tensors and are never copied.
 * Sessions of modules with device code ("device" in the manifest) live on a
 * GPU: docs/Devices.md.
 *
 * Rules for every function:
 *  - It returns a status.  It never aborts, prints, exits or throws.
 *  - Any status but EINHEAD_OK leaves the session as it was (lengths and every
 *    valid cache row), and einhead_last_error() says what was wrong.
 *  - `out_` parameters come last and are set to NULL or zero on failure.
 *  - Objects are made by `_open`/`_create` and freed by `_release`; releasing
 *    NULL does nothing.  A session keeps its module alive.
 *  - A module may be used from many threads; a session from one at a time (a
 *    second caller gets EINHEAD_BUSY).
 *
 *===------------------------------------------------------------------------===*/
#ifndef EINHEAD_RUNTIME_H
#define EINHEAD_RUNTIME_H

#include <dlpack/dlpack.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define EINHEAD_API __attribute__((visibility("default")))
#else
#define EINHEAD_API
#endif

/* ---- Status ------------------------------------------------------------- */

/* Frozen: new codes are added at the end. */
typedef enum einhead_status_t {
  EINHEAD_OK = 0,
  EINHEAD_INVALID_ARGUMENT = 1,      /* a wrong dtype, shape, stride, name */
  EINHEAD_OUT_OF_RANGE = 2,          /* cache full, length beyond capacity */
  EINHEAD_FAILED_PRECONDITION = 3,   /* a missing parameter, a missing symbol */
  EINHEAD_RESOURCE_EXHAUSTED = 4,    /* no memory */
  EINHEAD_UNIMPLEMENTED = 5,         /* a device or type this build lacks */
  EINHEAD_CORRUPT_ARTIFACT = 6,      /* a file that is not what it claims */
  EINHEAD_INCOMPATIBLE_ARTIFACT = 7, /* another version, target or CPU */
  EINHEAD_BUSY = 8,                  /* the session is in use by another call */
  EINHEAD_DEVICE_ERROR = 9,          /* retryable */
  EINHEAD_DEVICE_LOST = 10,          /* sticky */
  EINHEAD_NOT_FOUND = 11,            /* no such file, function, cache */
  EINHEAD_INTERNAL = 12
} einhead_status_t;

/* The last error of this thread.  Valid until the next call on this thread. */
typedef struct einhead_error_t {
  einhead_status_t status;
  char text[512];  /* what was got, what was wanted, a way out */
  char where[128]; /* file section + offset, argument + dimension, or "" */
} einhead_error_t;

EINHEAD_API const einhead_error_t *einhead_last_error(void);
/* "EINHEAD_OK", "EINHEAD_INVALID_ARGUMENT", ...; never NULL. */
EINHEAD_API const char *einhead_status_name(einhead_status_t status);
/* The runtime's version, "0.1.0". */
EINHEAD_API const char *einhead_version(void);

/* ---- Modules ------------------------------------------------------------ */

typedef struct einhead_module_t einhead_module_t;

/* Opens a module file: checks all of it (header, section table, hashes,
 * manifest, target, CPU features), then maps the code.  `parameters_path` is
 * NULL (the files that the manifest names, relative to the module's folder), a
 * safetensors file, or a folder of them.  Parameter files are mapped, not read.
 */
EINHEAD_API einhead_status_t einhead_module_open(const char *path,
                                                 const char *parameters_path,
                                                 einhead_module_t **out_module);
EINHEAD_API void einhead_module_release(einhead_module_t *module);

/* The manifest: JSON text, owned by the module (schema: docs/Module.md). */
EINHEAD_API const char *einhead_module_manifest(const einhead_module_t *module);

/* ---- Sessions ----------------------------------------------------------- */

typedef struct einhead_session_t einhead_session_t;

/* Binds a named dimension of the manifest: {"b", 1}, {"m", 4096}. */
typedef struct einhead_dimension_t {
  const char *name;
  int64_t extent;
} einhead_dimension_t;

/* The host's own threads: runs body(context, i, i + 1) or larger ranges that
 * together cover [0, count) once, returns when all are done. */
typedef void (*einhead_parallel_for_t)(void *user, int64_t count,
                                       void (*body)(void *context,
                                                    int64_t begin, int64_t end),
                                       void *context);

typedef struct einhead_session_options_t {
  /* Extents of the named dimensions of the caches (batch, capacity). */
  const einhead_dimension_t *dimensions;
  size_t dimension_count;
  /* OpenMP threads; 0 = all cores.  Ignored where `parallel_for` is set. */
  int32_t threads;
  einhead_parallel_for_t parallel_for;
  void *parallel_for_user;
  /* Only for modules with device code.  Sessions of other modules never read
   * what follows, so callers compiled without it stay valid. */
  int32_t device; /* ordinal of the GPU, as CUDA counts them */
  void *stream;   /* CUstream of that GPU's primary context, not owned;
                     NULL = the legacy default stream */
  /* The most bytes of device memory that the session takes beside its caches;
   * 0 = 1 GiB. */
  int64_t workspace_limit;
} einhead_session_options_t;

/* Allocates the caches (zero-filled, 64-byte aligned; on a GPU 256-byte).
 * `options` may be NULL for a module whose functions keep no state.  The first
 * session of a module on a GPU loads the module's device code and copies its
 * parameters there; waits for the stream. */
EINHEAD_API einhead_status_t einhead_session_create(
    einhead_module_t *module, const einhead_session_options_t *options,
    einhead_session_t **out_session);
EINHEAD_API void einhead_session_release(einhead_session_t *session);

/* Calls a function of the module.  `inputs` are the arguments of kind "input"
 * in order, `outputs` those of kind "output"; scalars are rank-0 tensors.
 * Caches, lengths and parameters are the session's.  Every tensor's device,
 * dtype, rank, extents and strides are checked against the manifest before any
 * code runs (strides NULL = row-major; others must be row-major too, with any
 * outer stride, inner stride 1).  Inputs must not overlap outputs.  A function
 * that appends advances all lengths by its "advance" on success.
 * Errors: NOT_FOUND (function), INVALID_ARGUMENT (tensor), OUT_OF_RANGE (a
 * cache is full), FAILED_PRECONDITION (a missing parameter),
 * RESOURCE_EXHAUSTED, BUSY.
 *
 * On a GPU the call enqueues its work on the session's stream and returns;
 * nothing waits.  Tensors are kDLCUDA of the session's GPU (or kDLCUDAManaged,
 * kDLCUDAHost), start at a multiple of 16 bytes (strides that are not dense are
 * one, too) and live until the work is done; scalars are on the CPU.  While
 * the stream is being captured, the work becomes part of the graph, no length
 * grows, and a call needs an earlier one with tensors of this shape
 * (FAILED_PRECONDITION).  DEVICE_LOST from now on where a kernel failed. */
EINHEAD_API einhead_status_t einhead_session_call(
    einhead_session_t *session, const char *function, const DLTensor *inputs,
    size_t input_count, const DLTensor *outputs, size_t output_count);

/* Says that a graph with one captured call of `function` is about to be
 * launched `times` times on the session's stream: OUT_OF_RANGE where the caches
 * have no room for that; otherwise the lengths that the runtime reports and
 * checks grow (those in device memory do when the graph runs).  For a graph
 * with several calls, once for each. */
EINHEAD_API einhead_status_t einhead_session_will_replay(
    einhead_session_t *session, const char *function, int64_t times);
/* Another stream for what follows.  The caller orders the two: work of the old
 * one must be done, or waited for by the new one, before the next call. */
EINHEAD_API einhead_status_t
einhead_session_set_stream(einhead_session_t *session, void *stream);
/* Waits for the session's stream and reports what went wrong on it.  OK at once
 * for a session on the CPU, whose calls return when they are done. */
EINHEAD_API einhead_status_t
einhead_session_synchronize(einhead_session_t *session);

/* The number of valid keys of sequence `b` of the batch (on a GPU, behind all
 * calls so far). */
EINHEAD_API einhead_status_t einhead_session_length(einhead_session_t *session,
                                                    int64_t b,
                                                    int64_t *out_length);
/* Sets it: 0 restarts, less than now truncates (speculation), more is allowed
 * up to the capacity for a caller that filled the cache view itself. */
EINHEAD_API einhead_status_t einhead_session_set_length(
    einhead_session_t *session, int64_t b, int64_t length);
/* A view of a cache: shape and strides as in the manifest; owned by the
 * session, valid until its release. */
EINHEAD_API einhead_status_t einhead_session_cache(einhead_session_t *session,
                                                   const char *name,
                                                   DLTensor *out_view);

/* ---- Devices ------------------------------------------------------------ */

/* New members are added at the end. */
typedef struct einhead_device_info_t {
  char name[256];
  int32_t device_count;   /* GPUs that this process sees */
  int32_t driver_version; /* of CUDA, 1000 * major + 10 * minor */
  int32_t compute_major, compute_minor;
  int32_t multiprocessors;
  int64_t memory_bytes;
  int64_t l2_bytes;
} einhead_device_info_t;

/* Writes the first `info_size` bytes of what is known of a GPU.  UNIMPLEMENTED
 * without a driver, FAILED_PRECONDITION where it finds no GPU, NOT_FOUND
 * without one of this ordinal. */
EINHEAD_API einhead_status_t einhead_device_info(
    int32_t device, einhead_device_info_t *out_info, size_t info_size);

/* ---- What compiled code sees -------------------------------------------- *
 * Code in a module calls nothing but this table and the C library's memory and
 * math functions (EINHEAD_MODULE_IMPORTS).  The loader stores the table's
 * address in the module's variable `einhead_module_host` and checks that
 * `einhead_module_abi` equals EINHEAD_MODULE_ABI. */

#define EINHEAD_MODULE_ABI 1
#define EINHEAD_MODULE_IMPORTS                                                 \
  "memcpy", "memmove", "memset", "sin", "cos", "tan", "exp", "exp2", "log",    \
      "log2", "pow", "tanh", "erf", "sqrt", "fma", "sinf", "cosf", "expf",     \
      "exp2f", "logf", "log2f", "powf", "tanhf", "erff", "fmaf", "floorf",     \
      "roundevenf", "roundeven", "floor", "sincos", "sincosf", "tanf",         \
      "sqrtf", "fmod", "fmodf", "ceil", "ceilf", "trunc", "truncf", "rint",    \
      "rintf", "expm1", "expm1f", "log1p", "log1pf"

typedef struct einhead_host_t {
  /* Covers [0, count) with calls of body(context, begin, end), on the threads
   * of the session that is being called. */
  void (*parallel_for)(int64_t count,
                       void (*body)(void *context, int64_t begin, int64_t end),
                       void *context);
  /* Workspace of the session that is being called, alive until the call
   * returns; never NULL (where memory runs out the call ends with
   * RESOURCE_EXHAUSTED and control does not come back).  Called on the calling
   * thread only, never inside a parallel body. */
  void *(*allocate)(int64_t bytes, int64_t alignment);

  /* Of modules with device code only.  There `allocate` hands out device
   * memory, 256-byte aligned at least.  Where one of these fails, the call ends
   * and control does not come back.  A session on the CPU has none of them. */

  /* Enqueues a kernel of the device code; `cluster` blocks along x form a
   * cluster (1 = none; 0 = none, and all blocks run at once or the launch
   * fails), `shared_bytes` are dynamic, `arguments` point to the kernel's
   * parameters, which are copied.  A grid with a 0 launches nothing. */
  void (*launch)(const char *kernel, const int64_t grid[3],
                 const int64_t block[3], int64_t cluster, int64_t shared_bytes,
                 void **arguments);
  /* Writes a tensor map (128 bytes of host memory at a multiple of 64) of the
   * device memory at `base`.  `type`: 0 bytes (u8, e4m3), 1 f16, 2 bf16, 3 f32.
   * `sizes` and `box` in elements, innermost first; `byte_strides` of the
   * dimensions from 1 on; `swizzle_bytes` is 0, 32, 64 or 128.  The L2 cache is
   * filled 128 bytes at a time; what lies outside is read as 0. */
  void (*tensor_map)(void *map, void *base, int64_t type, int64_t rank,
                     const int64_t *sizes, const int64_t *byte_strides,
                     const int64_t *box, int64_t swizzle_bytes);
  /* Device memory of the session that is 0 at first and that each kernel leaves
   * as 0: the same memory for the same requests of each call. */
  void *(*zeroed)(int64_t bytes);
  /* Of the session's GPU. */
  int64_t (*multiprocessors)(void);
  /* How many clusters of so many blocks of the kernel run at the same time; of
   * one block or none, more than any grid has. */
  int64_t (*clusters)(const char *kernel, int64_t cluster, int64_t threads,
                      int64_t shared_bytes);
} einhead_host_t;

/* A tensor as compiled code takes it: this struct, then `rank` sizes, then
 * `rank` strides (in elements). */
typedef struct einhead_memref_t {
  void *allocated;
  void *aligned;
  int64_t offset;
  int64_t sizes_and_strides[];
} einhead_memref_t;

/* An entry point: arguments in the manifest's order, each a pointer to an
 * einhead_memref_t, or to the value of a scalar. */
typedef void (*einhead_entry_t)(void **arguments);

#ifdef __cplusplus
}
#endif

#endif /* EINHEAD_RUNTIME_H */
