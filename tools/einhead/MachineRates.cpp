//===- MachineRates.cpp - How fast this machine reads and multiplies ------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MachineRates.h"
#include "BenchBuffers.h"
#include "MachineCaches.h"
#include "MachineKernels.h"
#include "Session.h"
#include "Source.h"
#include "Tool.h"
#include <algorithm>
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace einhead::tool {
namespace {

/// Seconds of calls of a kernel, one by one.
class KernelTimes {
public:
  static llvm::Expected<KernelTimes> measure(const MachineKernel &kernel,
                                             int64_t tasks, int threads);
  double least() const {
    return *std::min_element(seconds.begin(), seconds.end());
  }

private:
  std::vector<double> seconds;
};

llvm::Expected<KernelTimes> KernelTimes::measure(const MachineKernel &kernel,
                                                 int64_t tasks, int threads) {
  auto source = Source::parse(kernel.text, "doctor");
  if (!source)
    return source.takeError();
  CompileOptions options;
  options.fuse = false; // there is nothing to recognise
  auto bytes = (*source)->compile(EmitKind::Module, options);
  if (!bytes)
    return bytes.takeError();
  auto file = TemporaryFile::create(*bytes);
  if (!file)
    return file.takeError();
  auto module = Module::open(file->name());
  if (!module)
    return module.takeError();
  auto session = Session::create(*module, {}, threads);
  if (!session)
    return session.takeError();
  HostTensor input(DataType::F32, {tasks, kernel.width});
  for (int64_t i = 0; i < input.elementCount(); ++i)
    input.set(i, 1e-3); // no sum overflows or becomes denormal
  HostTensor output(DataType::F32, {tasks, kernel.width});

  constexpr double warmUp = 0.05, duration = 0.15;
  constexpr size_t fewest = 5;
  KernelTimes times;
  for (double start = now(), begin = start;
       times.seconds.size() < fewest || begin - start < warmUp + duration;
       begin = now()) {
    if (llvm::Error error =
            session->call("measure", input.view(), output.view()))
      return error;
    if (begin - start >= warmUp)
      times.seconds.push_back(now() - begin);
  }
  return times;
}

/// Linux hands out the tile registers only to processes that ask for them.
bool grantsTiles() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr int requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
#else
  return false;
#endif
}

/// The least time counts: what else runs on the machine only adds to it.
llvm::Error
measureProducts(llvm::function_ref<MachineKernel(int64_t tasks)> create,
                int threads, MachineRate &rate) {
  auto giga = [&](int count) -> llvm::Expected<double> {
    MachineKernel kernel = create(count);
    auto times = KernelTimes::measure(kernel, count, count);
    if (!times)
      return times.takeError();
    return kernel.work * count / times->least() * 1e-9;
  };
  for (auto [result, count] :
       {std::pair(&rate.one, 1), std::pair(&rate.all, threads)}) {
    auto measured = giga(count);
    if (!measured)
      return measured.takeError();
    *result = *measured;
  }
  return llvm::Error::success();
}

llvm::Error measureAllProducts(const TargetInfo &target, MachineRates &rates) {
  struct Unit {
    const char *feature;
    std::function<MachineKernel(int64_t)> create;
  };
  const Unit units[] = {
      {"fma", [&](int64_t tasks) { return fmaKernel(target, tasks); }},
      {"avx512bf16", [&](int64_t tasks) { return dotKernel(target, tasks); }},
      {"amx-bf16", [](int64_t tasks) { return tileKernel(tasks); }}};
  for (auto [rate, unit] : llvm::zip_equal(rates.products, units)) {
    if (!target.hasFeature(unit.feature)) {
      rate.missing = std::string("the CPU has no ") + unit.feature;
      continue;
    }
    if (llvm::StringRef(unit.feature) == "amx-bf16" && !grantsTiles()) {
      rate.missing = "the system does not grant the tile registers";
      continue;
    }
    if (llvm::Error error = measureProducts(unit.create, rates.threads, rate))
      return error;
    if (rates.gigahertz > 0)
      rate.perCycle = rate.one / rates.gigahertz;
  }
  return llvm::Error::success();
}

/// Reads by several loops of ReadFloor; the fastest read counts.
double readGigabytes(llvm::ArrayRef<std::vector<ByteRange>> sets, int threads) {
  constexpr double tuneSeconds = 0.1, seconds = 0.15;
  ReadFloor floor(threads);
  floor.tune(sets, tuneSeconds);
  size_t set = 0;
  for (double start = now(); now() - start < seconds;)
    floor.sample(sets[set++ % sets.size()]);
  double bytes = 0;
  for (const ByteRange &range : sets.front())
    bytes += static_cast<double>(range.second);
  return bytes / floor.leastMicroseconds() * 1e-3;
}

/// Each thread reads its own `bytes` again and again.
double readOwn(const HugeBuffer &arena, size_t bytes, int threads) {
  constexpr size_t perSample = size_t(16) << 20;
  std::vector<ByteRange> ranges;
  for (int thread = 0; thread < threads; ++thread)
    for (size_t i = 0; i < std::max<size_t>(1, perSample / bytes); ++i)
      ranges.emplace_back(arena.data() + thread * bytes, bytes);
  return readGigabytes({ranges}, threads);
}

/// Reads of more bytes than the next smaller caches hold, from half a cache.
MachineRate measureCache(const char *name, int level, const HugeBuffer &arena,
                         size_t arenaBytes, size_t threads) {
  MachineRate rate{name};
  CacheLevel cache = cacheLevel(level), below = cacheLevel(level - 1);
  size_t sharers = std::min(cache.sharers, threads);
  size_t half = cache.bytes / 2, part = half / sharers;
  if (cache.bytes == 0 || half < 2 * below.bytes || half > arenaBytes) {
    rate.missing = cache.bytes ? "not much larger than the caches below it"
                               : "the system does not say how large it is";
    return rate;
  }
  rate.one = readOwn(arena, half, 1);
  // Parts of all threads that fit the caches below would show those.
  if (part >= 2 * below.bytes && part * threads <= arenaBytes)
    rate.all = readOwn(arena, part, static_cast<int>(threads));
  return rate;
}

MachineRate measureMemory(const HugeBuffer &arena, size_t bytes, int threads) {
  constexpr size_t piece = size_t(64) << 20;
  std::vector<std::vector<ByteRange>> pieces;
  for (size_t at = 0; at + piece <= bytes; at += piece)
    pieces.push_back({{arena.data() + at, piece}});
  MachineRate memory{"memory"};
  if (bytes < 2 * lastLevelCache() || pieces.empty()) {
    memory.missing = "less free memory than twice the last-level cache";
    return memory;
  }
  memory.one = readGigabytes(pieces, 1);
  memory.all = readGigabytes(pieces, threads);
  return memory;
}

void measureReads(MachineRates &rates) {
  size_t wanted = std::max(2 * lastLevelCache(), size_t(512) << 20);
  size_t bytes = std::min(wanted, availableMemory() / 2);
  HugeBuffer arena(bytes);
  // A page that was never written is not memory yet.
  std::fill(arena.data(), arena.data() + bytes, 1);
  rates.reads.push_back(measureMemory(arena, bytes, rates.threads));
  for (auto [name, level] : {std::pair("L3 cache", 3), {"L2 cache", 2}})
    rates.reads.push_back(
        measureCache(name, level, arena, bytes, rates.threads));
}

} // namespace

llvm::Expected<MachineRates> measureMachine(const TargetInfo &target,
                                            const TargetInfo &assumed) {
  MachineRates rates;
  rates.cpu = assumed.cpu;
  rates.threads = availableThreads();
  auto chain = KernelTimes::measure(chainKernel(), 1, 1);
  if (!chain)
    return chain.takeError();
  rates.gigahertz = chainKernel().work * chainCycles / chain->least() * 1e-9;
  for (auto [name, rate] :
       {std::pair("fma", assumed.fmaRate), std::pair("dot", assumed.dotRate),
        std::pair("tiles", assumed.tileRate)}) {
    MachineRate product{name};
    product.assumed = rate;
    rates.products.push_back(product);
  }
  if (llvm::Error error = measureAllProducts(target, rates))
    return error;
  MachineKernel fork = forkKernel(std::max(rates.threads, 2));
  auto times =
      KernelTimes::measure(fork, std::max(rates.threads, 2), rates.threads);
  if (!times)
    return times.takeError();
  rates.forkMicroseconds = times->least() / fork.work * 1e6;
  measureReads(rates);
  return rates;
}

std::vector<std::string> orderDifferences(const MachineRates &rates) {
  constexpr double margin = 1.05;
  std::vector<std::string> found;
  for (const MachineRate &fast : rates.products)
    for (const MachineRate &slow : rates.products)
      if (fast.one > margin * slow.one && fast.assumed <= slow.assumed &&
          &fast != &slow)
        found.push_back(fast.name + " is faster than " + slow.name);
  return found;
}

std::string productOrder(const MachineRates &rates, bool assumed) {
  auto number = [&](const MachineRate &rate) {
    return assumed ? rate.assumed : rate.one;
  };
  std::vector<const MachineRate *> order;
  for (const MachineRate &rate : rates.products)
    if (number(rate) > 0)
      order.push_back(&rate);
  std::stable_sort(order.begin(), order.end(),
                   [&](const MachineRate *x, const MachineRate *y) {
                     return number(*x) > number(*y);
                   });
  std::string text;
  for (size_t i = 0; i < order.size(); ++i)
    text += (i == 0                                      ? ""
             : number(*order[i - 1]) > number(*order[i]) ? " > "
                                                         : " = ") +
            order[i]->name;
  return text;
}

} // namespace einhead::tool
