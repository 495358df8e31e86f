//===- VerbDoctor.cpp - einhead doctor --------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchBuffers.h"
#include "MachineKernels.h"
#include "MachineReport.h"
#include "Tool.h"
#include "einhead/runtime.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"

namespace cl = llvm::cl;

namespace einhead::tool {
namespace {

/// One thing that was looked for.
struct Finding {
  std::string name, value;
  bool isFound = true, isEssential = false;
  std::string disables, remedy; ///< where it is missing
};

class DoctorVerb final : public Verb {
public:
  DoctorVerb() : Verb("doctor", "Say what this machine has and lacks") {}
  llvm::Error run() override;

private:
  llvm::Expected<TargetInfo> target() const;
  llvm::Expected<MachineRates> measureRates();
  llvm::Error print(llvm::StringRef kernel) const;

  cl::opt<bool> measure{
      "measure", cl::desc("Time reads, products and parallel loops (seconds)"),
      cl::sub(command), cl::cat(optionCategory())};
  cl::opt<std::string> cpu{
      "cpu",
      cl::desc("With --measure, whose numbers to compare with (host)"),
      cl::value_desc("name"),
      cl::init("host"),
      cl::sub(command),
      cl::cat(optionCategory())};
  cl::opt<std::string> printKernel{
      "print-kernel",
      cl::desc("Print the MLIR of a timed loop for --cpu and stop: fma, dot, "
               "tiles, fork, chain"),
      cl::value_desc("name"), cl::sub(command), cl::cat(optionCategory())};
  cl::opt<bool> json{"json", cl::desc("Print JSON"), cl::sub(command),
                     cl::cat(optionCategory())};
};

std::string findProgram(llvm::ArrayRef<llvm::StringRef> names) {
  std::string versioned =
      "/usr/lib/llvm-" + std::to_string(LLVM_VERSION_MAJOR) + "/bin";
  for (llvm::StringRef name : names) {
    if (auto path = llvm::sys::findProgramByName(name))
      return *path;
    if (auto path = llvm::sys::findProgramByName(name, {versioned}))
      return *path;
  }
  return "";
}

Finding program(llvm::ArrayRef<llvm::StringRef> names, bool isEssential,
                std::string disables, std::string remedy) {
  std::string path = findProgram(names);
  return {names[0].str(), path, !path.empty(), isEssential, disables, remedy};
}

/// The features of the host that our kernels ask about.
std::string vectorFeatures() {
  std::vector<std::string> present;
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  for (llvm::StringRef name :
       {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512bf16",
        "avx512vnni", "avx512fp16", "amx-tile", "amx-bf16", "amx-int8"})
    if (features.lookup(name))
      present.push_back(name.str());
  return llvm::join(present, " ");
}

std::string megabytes(size_t bytes) {
  return std::to_string(bytes >> 20) + " MB";
}

/// The first GPU, as the driver says.
Finding graphicsCard() {
  einhead_device_info_t info;
  if (einhead_device_info(0, &info, sizeof(info)) != EINHEAD_OK)
    return {"GPU",
            "",
            false,
            false,
            "running modules for CUDA (compiling them needs no GPU)",
            einhead_last_error()->text};
  std::string value;
  llvm::raw_string_ostream os(value);
  os << info.name << ", sm_" << info.compute_major << info.compute_minor << ", "
     << info.multiprocessors << " multiprocessors, "
     << megabytes(static_cast<size_t>(info.memory_bytes))
     << ", driver for CUDA " << info.driver_version / 1000 << "."
     << info.driver_version % 1000 / 10;
  if (info.device_count > 1)
    os << "; " << info.device_count << " GPUs";
  return {"GPU", value, true, false, "", ""};
}

std::vector<Finding> examine() {
  std::vector<Finding> findings;
  auto add = [&](const char *name, std::string value) {
    findings.push_back({name, std::move(value), true, false, "", ""});
  };
  add("runtime", einhead_version());
  add("LLVM", LLVM_VERSION_STRING);
  add("CPU", llvm::sys::getHostCPUName().str());
  std::string features = vectorFeatures();
  findings.push_back({"CPU features", features, !features.empty(), false,
                      "vectors wider than 16 bytes", ""});
  add("OpenMP threads", std::to_string(availableThreads()));
  add("last-level cache", megabytes(lastLevelCache()));
  add("free memory", megabytes(availableMemory()));
  findings.push_back(graphicsCard());
  findings.push_back(program({"ld.lld", "lld", "ld"}, true,
                             "compiling to modules and shared objects",
                             "apt-get install lld-22"));
  findings.push_back(program({"lit", "llvm-lit"}, false, "running the tests",
                             "apt-get install llvm-22-tools"));
  findings.push_back(program({"FileCheck", "FileCheck-22"}, false,
                             "running the tests",
                             "apt-get install llvm-22-tools"));
  findings.push_back(program({"clang-format", "clang-format-22"}, false,
                             "formatting changes to Einhead itself",
                             "apt-get install clang-format-22"));
  return findings;
}

void printJSON(const std::vector<Finding> &findings, llvm::json::OStream &os) {
  os.array([&] {
    for (const Finding &finding : findings)
      os.object([&] {
        os.attribute("name", finding.name);
        os.attribute("found", finding.isFound);
        os.attribute("value", finding.value);
        os.attribute("essential", finding.isEssential);
        if (!finding.isFound) {
          os.attribute("disables", finding.disables);
          os.attribute("remedy", finding.remedy);
        }
      });
  });
}

/// The findings alone, or an object of them and of what was measured.
void printJSON(const std::vector<Finding> &findings, const MachineRates *rates,
               bool isMeasuring) {
  llvm::json::OStream os(llvm::outs(), 1);
  if (!isMeasuring) {
    printJSON(findings, os);
  } else {
    os.object([&] {
      os.attributeBegin("findings");
      printJSON(findings, os);
      os.attributeEnd();
      if (rates)
        os.attributeObject("measured", [&] { printJSON(*rates, os); });
    });
  }
  os.flush();
  llvm::outs() << "\n";
}

void printText(const std::vector<Finding> &findings) {
  for (const Finding &finding : findings) {
    llvm::outs() << llvm::left_justify(finding.name, 18);
    if (finding.isFound)
      llvm::outs() << finding.value << "\n";
    else
      llvm::outs() << "missing; disables " << finding.disables
                   << (finding.remedy.empty() ? "" : ": ") << finding.remedy
                   << "\n";
  }
  llvm::outs().flush();
}

llvm::Expected<TargetInfo> DoctorVerb::target() const {
  auto target = TargetInfo::get(cpu);
  if (!target)
    return failure(Exit::Usage, "--cpu: " + llvm::toString(target.takeError()),
                   "--cpu=host is this machine");
  return target;
}

llvm::Expected<MachineRates> DoctorVerb::measureRates() {
  auto assumed = target();
  if (!assumed)
    return assumed.takeError();
  auto host = TargetInfo::get("host");
  if (!host)
    return host.takeError();
  return measureMachine(*host, *assumed);
}

llvm::Error DoctorVerb::print(llvm::StringRef kernel) const {
  auto info = target();
  if (!info)
    return info.takeError();
  constexpr int64_t tasks = 2;
  auto printed = llvm::StringSwitch<std::optional<MachineKernel>>(kernel)
                     .Case("fma", fmaKernel(*info, tasks))
                     .Case("dot", dotKernel(*info, tasks))
                     .Case("tiles", tileKernel(tasks))
                     .Case("fork", forkKernel(tasks))
                     .Case("chain", chainKernel())
                     .Default(std::nullopt);
  if (!printed)
    return failure(Exit::Usage, "no kernel '" + kernel + "'",
                   "the kernels are fma, dot, tiles, fork, chain");
  llvm::outs() << printed->text;
  return llvm::Error::success();
}

llvm::Error DoctorVerb::run() {
  if (!printKernel.empty())
    return print(printKernel);
  if (cpu.getNumOccurrences() && !measure)
    return failure(Exit::Usage, "--cpu without --measure",
                   "give --measure: there is nothing to compare");
  std::vector<Finding> findings = examine();
  std::string missing, remedy;
  for (const Finding &finding : findings)
    if (!finding.isFound && finding.isEssential) {
      missing += (missing.empty() ? "" : ", ") + finding.name;
      remedy = finding.remedy;
    }
  // What was found stands there while the rest is measured.
  if (!json)
    printText(findings);
  std::optional<MachineRates> rates;
  if (measure && missing.empty()) {
    auto measured = measureRates();
    if (!measured)
      return measured.takeError();
    rates = std::move(*measured);
  }
  if (json)
    printJSON(findings, rates ? &*rates : nullptr, measure);
  else if (rates)
    tool::print(*rates, llvm::outs());
  if (!missing.empty())
    return failure(Exit::Missing, "missing: " + missing, remedy);
  return llvm::Error::success();
}

} // namespace

std::unique_ptr<Verb> createDoctorVerb() {
  return std::make_unique<DoctorVerb>();
}

} // namespace einhead::tool
