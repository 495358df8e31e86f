//===- Gpu.cpp - Memory, graphs and time of a GPU ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Gpu.h"
#include "Kernels.h"

#include <stdexcept>
#include <string>

using namespace einhead::bench;
using namespace einhead;
using cuda::Address, cuda::Handle, cuda::Result;

/// The driver's functions that only a benchmark needs.
struct Gpu::Functions {
#define EINHEAD_BENCH_FUNCTIONS(X)                                             \
  X(createStream, "cuStreamCreate", (Handle * stream, unsigned flags))         \
  X(destroyStream, "cuStreamDestroy_v2", (Handle stream))                      \
  X(beginCapture, "cuStreamBeginCapture_v2", (Handle stream, int mode))        \
  X(endCapture, "cuStreamEndCapture", (Handle stream, Handle * graph))         \
  X(instantiate, "cuGraphInstantiateWithFlags",                                \
    (Handle * executable, Handle graph, unsigned long long flags))             \
  X(launchGraph, "cuGraphLaunch", (Handle executable, Handle stream))          \
  X(destroyExecutable, "cuGraphExecDestroy", (Handle executable))              \
  X(destroyGraph, "cuGraphDestroy", (Handle graph))                            \
  X(createEvent, "cuEventCreate", (Handle * event, unsigned flags))            \
  X(destroyEvent, "cuEventDestroy_v2", (Handle event))                         \
  X(recordEvent, "cuEventRecord", (Handle event, Handle stream))               \
  X(waitForEvent, "cuEventSynchronize", (Handle event))                        \
  X(elapsed, "cuEventElapsedTime",                                             \
    (float *milliseconds, Handle from, Handle to))                             \
  X(copyToHost, "cuMemcpyDtoH_v2", (void *to, Address from, size_t bytes))
#define EINHEAD_BENCH_MEMBER(member, symbol, parameters)                       \
  Result(*member) parameters = nullptr;
  EINHEAD_BENCH_FUNCTIONS(EINHEAD_BENCH_MEMBER)

  explicit Functions(const cuda::Driver &driver) {
#define EINHEAD_BENCH_FIND(member, symbol, parameters)                         \
  *reinterpret_cast<void **>(&member) = driver.find(symbol);                   \
  if (!member)                                                                 \
    throw std::runtime_error("the CUDA driver has no function " symbol);
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

void Gpu::check(Result result, const char *what) {
  if (result == cuda::Success)
    return;
  throw std::runtime_error(std::string(what) + ": " +
                           context->driver().describe(result));
}

Gpu::Gpu(int ordinal) : number(ordinal) {
  bench::check(cuda::Context::open(ordinal, context));
  bench::check(einhead_device_info(ordinal, &known, sizeof(known)));
  current = std::make_unique<cuda::Current>(*context);
  bench::check(current->enter());
  const cuda::Driver &driver = context->driver();
  functions = std::make_unique<Functions>(driver);
  constexpr unsigned nonBlocking = 1;
  check(functions->createStream(&queue, nonBlocking), "cuStreamCreate");
  check(functions->createEvent(&before, 0), "cuEventCreate");
  check(functions->createEvent(&after, 0), "cuEventCreate");
  check(driver.loadModule(&module, kernels, 0, nullptr, nullptr),
        "cuModuleLoadDataEx of the benchmark's kernels");
  check(driver.getFunction(&fillKernel, module, "bench_fill"), "bench_fill");
  check(driver.getFunction(&poisonKernel, module, "bench_poison"),
        "bench_poison");
  check(driver.getFunction(&readKernel, module, "bench_read"), "bench_read");
}

Gpu::~Gpu() {
  if (module)
    context->driver().unloadModule(module);
  if (before)
    functions->destroyEvent(before);
  if (after)
    functions->destroyEvent(after);
  if (queue)
    functions->destroyStream(queue);
}

void Gpu::synchronize() {
  check(context->driver().synchronize(queue), "cuStreamSynchronize");
}

void Gpu::copyToHost(void *to, Address from, size_t bytes) {
  synchronize();
  if (bytes > 0)
    check(functions->copyToHost(to, from, bytes), "cuMemcpyDtoH");
}

void Gpu::copyToDevice(Address to, const void *from, size_t bytes) {
  synchronize();
  if (bytes > 0)
    check(context->driver().copyToDevice(to, from, bytes), "cuMemcpyHtoD");
}

void Gpu::zero(Address to, size_t bytes) {
  check(context->driver().fill(to, 0, bytes, queue), "cuMemsetD8Async");
}

void Gpu::launch(Handle kernel, unsigned blocks, unsigned threads,
                 void **arguments) {
  cuda::LaunchConfig config = {{blocks, 1, 1}, {threads, 1, 1}, 0,
                               queue,          nullptr,         0};
  check(context->driver().launch(&config, kernel, arguments, nullptr),
        "cuLaunchKernelEx");
}

void Gpu::fill(Address to, uint64_t count, uint64_t seed, Fill kind) {
  uint32_t code = static_cast<uint32_t>(kind);
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
  check(functions->recordEvent(before, queue), "cuEventRecord");
  enqueue();
  check(functions->recordEvent(after, queue), "cuEventRecord");
  check(functions->waitForEvent(after), "cuEventSynchronize");
  float milliseconds = 0;
  check(functions->elapsed(&milliseconds, before, after), "cuEventElapsedTime");
  return 1e3 * milliseconds;
}

Memory::Memory(Gpu &gpu, size_t wanted) : gpu(&gpu), bytes(wanted) {
  gpu.check(gpu.context->driver().allocate(&start, wanted > 0 ? wanted : 1),
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
    gpu->context->driver().free(start);
}

Graph::Graph(Gpu &gpu, const std::function<void()> &enqueue) : gpu(gpu) {
  constexpr int threadLocal = 1;
  gpu.check(gpu.functions->beginCapture(gpu.queue, threadLocal),
            "cuStreamBeginCapture");
  try {
    enqueue();
  } catch (...) {
    gpu.functions->endCapture(gpu.queue, &graph);
    throw;
  }
  gpu.check(gpu.functions->endCapture(gpu.queue, &graph), "cuStreamEndCapture");
  gpu.check(gpu.functions->instantiate(&executable, graph, 0),
            "cuGraphInstantiate");
}

Graph::~Graph() {
  if (executable)
    gpu.functions->destroyExecutable(executable);
  if (graph)
    gpu.functions->destroyGraph(graph);
}

void Graph::launch() {
  gpu.check(gpu.functions->launchGraph(executable, gpu.queue), "cuGraphLaunch");
}
