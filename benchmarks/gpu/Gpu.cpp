//===- Gpu.cpp - Memory, graphs and time of a GPU ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Gpu.h"
#include "Kernels.h"

#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

using namespace einhead::bench;
using namespace einhead;
using namespace einhead::runtime::cuda;

/// Functions of the driver that the runtime does not need.
#define EINHEAD_BENCH_FUNCTIONS(X)                                             \
  X(createStream, "cuStreamCreate", (Handle * stream, unsigned flags), true)   \
  X(destroyStream, "cuStreamDestroy_v2", (Handle stream), true)                \
  X(beginCapture, "cuStreamBeginCapture_v2", (Handle stream, int mode), true)  \
  X(endCapture, "cuStreamEndCapture", (Handle stream, Handle * graph), true)   \
  X(instantiate, "cuGraphInstantiateWithFlags",                                \
    (Handle * executable, Handle graph, unsigned long long flags), true)       \
  X(launchGraph, "cuGraphLaunch", (Handle executable, Handle stream), true)    \
  X(destroyExecutable, "cuGraphExecDestroy", (Handle executable), true)        \
  X(destroyGraph, "cuGraphDestroy", (Handle graph), true)                      \
  X(createEvent, "cuEventCreate", (Handle * event, unsigned flags), true)      \
  X(destroyEvent, "cuEventDestroy_v2", (Handle event), true)                   \
  X(recordEvent, "cuEventRecord", (Handle event, Handle stream), true)         \
  X(waitForEvent, "cuEventSynchronize", (Handle event), true)                  \
  X(elapsed, "cuEventElapsedTime",                                             \
    (float *milliseconds, Handle from, Handle to), true)                       \
  X(copyToHost, "cuMemcpyDtoH_v2", (void *to, Address from, size_t bytes), true)

struct Gpu::Functions {
#define EINHEAD_BENCH_MEMBER(member, symbol, parameters, isRequired)           \
  Result(*member) parameters = nullptr;
  EINHEAD_CUDA_FUNCTIONS(EINHEAD_BENCH_MEMBER)
  EINHEAD_BENCH_FUNCTIONS(EINHEAD_BENCH_MEMBER)

  Functions() {
    const char *named = secure_getenv("EINHEAD_CUDA_LIBRARY");
    void *library =
        dlopen(named && *named ? named : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
      throw std::runtime_error(std::string("no CUDA driver: ") + dlerror());
#define EINHEAD_BENCH_FIND(member, symbol, parameters, isRequired)             \
  *reinterpret_cast<void **>(&member) = dlsym(library, symbol);                \
  if (!member && isRequired)                                                   \
    throw std::runtime_error("the CUDA driver has no function " symbol);
    EINHEAD_CUDA_FUNCTIONS(EINHEAD_BENCH_FIND)
    EINHEAD_BENCH_FUNCTIONS(EINHEAD_BENCH_FIND)
  }
};

void einhead::bench::check(einhead_status_t status) {
  if (status == EINHEAD_OK)
    return;
  const einhead_error_t *error = einhead_last_error();
  throw std::runtime_error(std::string(einhead_status_name(status)) + " (" +
                           error->where + "): " + error->text);
}

void Gpu::check(Result result, const char *what) const {
  if (result == cuda::Success)
    return;
  const char *name = nullptr, *text = nullptr;
  driver->errorName(result, &name);
  driver->errorText(result, &text);
  throw std::runtime_error(std::string(what) + ": " +
                           (name ? name : std::to_string(result)) + " (" +
                           (text ? text : "unknown") + ")");
}

Gpu::Gpu(int ordinal) : number(ordinal) {
  bench::check(einhead_device_info(ordinal, &known, sizeof(known)));
  driver = std::make_unique<Functions>();
  check(driver->init(0), "cuInit");
  check(driver->deviceGet(&device, ordinal), "cuDeviceGet");
  check(driver->retainContext(&context, device), "cuDevicePrimaryCtxRetain");
  check(driver->pushContext(context), "cuCtxPushCurrent");
  constexpr unsigned nonBlocking = 1;
  check(driver->createStream(&queue, nonBlocking), "cuStreamCreate");
  check(driver->createEvent(&before, 0), "cuEventCreate");
  check(driver->createEvent(&after, 0), "cuEventCreate");
  check(driver->loadModule(&module, kernels().c_str(), 0, nullptr, nullptr),
        "cuModuleLoadDataEx of the benchmark's kernels");
  check(driver->getFunction(&fillKernel, module, "bench_fill"), "bench_fill");
  check(driver->getFunction(&poisonKernel, module, "bench_poison"),
        "bench_poison");
  check(driver->getFunction(&readKernel, module, "bench_read"), "bench_read");
}

Gpu::~Gpu() {
  driver->unloadModule(module);
  driver->destroyEvent(before);
  driver->destroyEvent(after);
  driver->destroyStream(queue);
  Handle popped = nullptr;
  driver->popContext(&popped);
  driver->releaseContext(device);
}

void Gpu::synchronize() {
  check(driver->synchronize(queue), "cuStreamSynchronize");
}

void Gpu::copyToHost(void *to, Address from, size_t bytes) {
  synchronize();
  if (bytes > 0)
    check(driver->copyToHost(to, from, bytes), "cuMemcpyDtoH");
}

void Gpu::copyToDevice(Address to, const void *from, size_t bytes) {
  synchronize();
  if (bytes > 0)
    check(driver->copyToDevice(to, from, bytes), "cuMemcpyHtoD");
}

void Gpu::zero(Address to, size_t bytes) {
  check(driver->fill(to, 0, bytes, queue), "cuMemsetD8Async");
}

void Gpu::launch(Handle kernel, unsigned blocks, unsigned threads,
                 void **arguments) {
  cuda::LaunchConfig config = {{blocks, 1, 1}, {threads, 1, 1}, 0,
                               queue,          nullptr,         0};
  check(driver->launch(&config, kernel, arguments, nullptr),
        "cuLaunchKernelEx");
}

void Gpu::fill(Address to, uint64_t count, uint64_t seed, Fill kind,
               unsigned shift) {
  uint32_t code = static_cast<uint32_t>(kind) | shift << 8;
  void *arguments[] = {&to, &count, &seed, &code};
  launch(fillKernel, known.multiprocessors * 8, 256, arguments);
}

void Gpu::poison(Address to, uint64_t count, unsigned elementBytes,
                 uint32_t pattern, const Padding &padding) {
  Padding p = padding;
  void *arguments[] = {&to,          &count,       &elementBytes,
                       &pattern,     &p.lengths,   &p.sequenceStride,
                       &p.sequences, &p.keyStride, &p.keys};
  launch(poisonKernel, known.multiprocessors * 8, 256, arguments);
}

void Gpu::read(Address from, uint64_t bytes, Address out) {
  uint64_t count = bytes / 16;
  void *arguments[] = {&from, &count, &out};
  launch(readKernel, known.multiprocessors * 8, 512, arguments);
}

double Gpu::time(const std::function<void()> &enqueue) {
  check(driver->recordEvent(before, queue), "cuEventRecord");
  enqueue();
  check(driver->recordEvent(after, queue), "cuEventRecord");
  check(driver->waitForEvent(after), "cuEventSynchronize");
  float milliseconds = 0;
  check(driver->elapsed(&milliseconds, before, after), "cuEventElapsedTime");
  return 1e3 * milliseconds;
}

Memory::Memory(Gpu &gpu, size_t wanted) : gpu(&gpu), bytes(wanted) {
  gpu.check(gpu.driver->allocate(&start, wanted > 0 ? wanted : 1),
            ("cuMemAlloc of " + std::to_string(wanted) + " bytes").c_str());
}

Memory &Memory::operator=(Memory &&other) noexcept {
  std::swap(gpu, other.gpu);
  std::swap(start, other.start);
  std::swap(bytes, other.bytes);
  return *this;
}

Memory::~Memory() {
  if (start)
    gpu->driver->free(start);
}

Graph::Graph(Gpu &gpu, const std::function<void()> &enqueue) : gpu(gpu) {
  constexpr int threadLocal = 1;
  gpu.check(gpu.driver->beginCapture(gpu.queue, threadLocal),
            "cuStreamBeginCapture");
  try {
    enqueue();
  } catch (...) {
    gpu.driver->endCapture(gpu.queue, &graph);
    throw;
  }
  gpu.check(gpu.driver->endCapture(gpu.queue, &graph), "cuStreamEndCapture");
  gpu.check(gpu.driver->instantiate(&executable, graph, 0),
            "cuGraphInstantiate");
}

Graph::~Graph() {
  if (executable)
    gpu.driver->destroyExecutable(executable);
  if (graph)
    gpu.driver->destroyGraph(graph);
}

void Graph::launch() {
  gpu.check(gpu.driver->launchGraph(executable, gpu.queue), "cuGraphLaunch");
}
