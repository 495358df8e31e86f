//===- MachineReport.cpp - Measured rates as text and JSON ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MachineReport.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

namespace einhead::tool {

static void printRow(const MachineRate &rate, llvm::raw_ostream &os) {
  os << "  " << llvm::left_justify(rate.name, 20);
  if (!rate.missing.empty())
    os << rate.missing;
  else if (rate.all == 0)
    os << llvm::format("%10.1f          -", rate.one);
  else
    os << llvm::format("%10.1f %10.1f", rate.one, rate.all);
}

void print(const MachineRates &rates, llvm::raw_ostream &os) {
  std::string all = std::to_string(rates.threads) +
                    (rates.threads == 1 ? " thread" : " threads");
  auto heading = [&](llvm::StringRef text) {
    os << llvm::left_justify(text, 22) << "  1 thread "
       << llvm::right_justify(all, 10);
  };
  heading("read GB/s");
  os << "\n";
  for (const MachineRate &rate : rates.reads) {
    printRow(rate, os);
    os << "\n";
  }
  heading("products GFLOP/s");
  os << "  per cycle  assumed (" << rates.cpu << ")\n";
  for (const MachineRate &rate : rates.products) {
    printRow(rate, os);
    if (rate.missing.empty())
      os << llvm::format(" %10.1f %8.0f", rate.perCycle, rate.assumed);
    else if (rate.assumed > 0)
      os << llvm::format("; assumed %.0f", rate.assumed);
    os << "\n";
  }
  os << llvm::left_justify("clock", 22)
     << llvm::format("%10.2f GHz (1 thread)\n", rates.gigahertz)
     << llvm::left_justify("fork and join", 22)
     << llvm::format("%10.2f us\n", rates.forkMicroseconds);
  std::vector<std::string> differences = orderDifferences(rates);
  os << llvm::left_justify("order of products", 22)
     << productOrder(rates, /*assumed=*/false);
  if (differences.empty()) {
    os << ", as assumed\n";
    return;
  }
  os << ", assumed " << productOrder(rates, /*assumed=*/true) << "\n"
     << "  differs: " << llvm::join(differences, ", ")
     << " here; --attn-schedule chooses products by the assumed order, and\n"
     << "  'einhead tune' finds what is faster\n";
}

static void printJSON(const MachineRate &rate, bool isProduct,
                      llvm::json::OStream &os) {
  os.object([&] {
    os.attribute("name", rate.name);
    if (!rate.missing.empty())
      os.attribute("missing", rate.missing);
    os.attribute("one", rate.one);
    os.attribute("all", rate.all);
    if (!isProduct)
      return;
    os.attribute("per_cycle", rate.perCycle);
    os.attribute("assumed", rate.assumed);
  });
}

void printJSON(const MachineRates &rates, llvm::json::OStream &os) {
  os.attribute("threads", rates.threads);
  os.attribute("ghz", rates.gigahertz);
  os.attribute("fork_us", rates.forkMicroseconds);
  os.attribute("assumed_cpu", rates.cpu);
  os.attributeArray("read_gb_s", [&] {
    for (const MachineRate &rate : rates.reads)
      printJSON(rate, /*isProduct=*/false, os);
  });
  os.attributeArray("products_gflop_s", [&] {
    for (const MachineRate &rate : rates.products)
      printJSON(rate, /*isProduct=*/true, os);
  });
  os.attribute("order", productOrder(rates, /*assumed=*/false));
  os.attribute("assumed_order", productOrder(rates, /*assumed=*/true));
  os.attributeArray("differs", [&] {
    for (const std::string &difference : orderDifferences(rates))
      os.value(difference);
  });
}

} // namespace einhead::tool
