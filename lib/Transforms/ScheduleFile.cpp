//===- ScheduleFile.cpp - Measured schedules in a file ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// JSON is read as YAML, which it is a part of: LLVM's reader knows the place of
// each value, and that of what is wrong.
//
//===----------------------------------------------------------------------===//

#include "einhead/Transforms/ScheduleFile.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/YAMLTraits.h"
#include <cmath>

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
namespace yaml = llvm::yaml;

namespace {
constexpr int64_t formatVersion = 1;

/// The file as its text says it.
struct Contents {
  int64_t version = formatVersion;
  std::vector<StoredSchedule> schedules;
};
} // namespace

LLVM_YAML_IS_SEQUENCE_VECTOR(StoredSchedule)
LLVM_YAML_IS_STRING_MAP(std::string)

namespace llvm::yaml {
template <> struct ScalarTraits<Products> {
  static void output(const Products &products, void *, raw_ostream &os) {
    os << stringifyProducts(products);
  }
  static StringRef input(StringRef text, void *, Products &products) {
    std::optional<Products> known = symbolizeProducts(text);
    if (!known)
      return "products are fma, dot or tiles";
    products = *known;
    return "";
  }
  static QuotingType mustQuote(StringRef) { return QuotingType::Double; }
};

template <> struct MappingTraits<ScheduleSizes> {
  static void mapping(IO &io, ScheduleSizes &sizes) {
    io.mapRequired("chunk", sizes.chunk);
    io.mapRequired("key_tile", sizes.keyTile);
    io.mapRequired("row_tile", sizes.rowTile);
    io.mapRequired("prefetch", sizes.prefetch);
    io.mapRequired("products", sizes.products);
    io.mapRequired("packed", sizes.packed);
  }
};

template <> struct MappingTraits<StoredSchedule> {
  static void mapping(IO &io, StoredSchedule &entry) {
    ScheduleKey &key = entry.key;
    io.mapRequired("cpu", key.cpu);
    io.mapRequired("spec", key.spec);
    io.mapRequired("sizes", key.sizes);
    io.mapRequired("types", key.types);
    io.mapOptional("mask", key.mask);
    io.mapOptional("with", key.with);
    io.mapOptional("shared", key.isShared, true);
    io.mapRequired("schedule", entry.schedule);
    io.mapOptional("median_us", entry.medianMicroseconds);
    io.mapOptional("model_us", entry.modelMicroseconds);
    io.mapOptional("threads", entry.threads);
  }

  /// The context of `io` is MLIR's.
  static std::string validate(IO &io, StoredSchedule &entry) {
    auto *context = static_cast<MLIRContext *>(io.getContext());
    // The machine that reads the file may be another one.
    if (entry.key.cpu == "host" || entry.key.cpu == "native")
      return "cpu is a name, \"" + entry.key.cpu + "\" is none";
    llvm::Expected<TargetInfo> target = TargetInfo::get(entry.key.cpu);
    if (!target)
      return llvm::toString(target.takeError());
    if (std::string why = entry.key.canonicalize(context); !why.empty())
      return why;
    return entry.schedule.whyNot(entry.key, *target);
  }
};

template <> struct MappingTraits<Contents> {
  static void mapping(IO &io, Contents &contents) {
    io.mapRequired("version", contents.version);
    io.mapRequired("schedules", contents.schedules);
  }

  static std::string validate(IO &, Contents &contents) {
    if (contents.version != formatVersion)
      return "version " + std::to_string(contents.version) + ", this reads " +
             std::to_string(formatVersion);
    for (size_t i = 0; i < contents.schedules.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (contents.schedules[i].key == contents.schedules[j].key)
          return "entries " + std::to_string(j + 1) + " and " +
                 std::to_string(i + 1) + " are for the same problem: " +
                 contents.schedules[i].key.str();
    return "";
  }
};
} // namespace llvm::yaml

FailureOr<ScheduleFile> ScheduleFile::parse(llvm::StringRef text,
                                            llvm::StringRef path,
                                            MLIRContext *context) {
  struct Place {
    MLIRContext *context;
    std::string path;
  } place = {context, path.str()};
  // The first error; what follows from it is not said.
  bool isWrong = false;
  struct Sink {
    Place *place;
    bool *isWrong;
  } sink = {&place, &isWrong};
  auto report = [](const llvm::SMDiagnostic &diagnostic, void *data) {
    auto *sink = static_cast<Sink *>(data);
    if (*sink->isWrong || diagnostic.getKind() != llvm::SourceMgr::DK_Error)
      return;
    *sink->isWrong = true;
    unsigned line = std::max(diagnostic.getLineNo(), 1);
    unsigned column = std::max(diagnostic.getColumnNo(), 0) + 1;
    emitError(FileLineColLoc::get(sink->place->context, sink->place->path, line,
                                  column))
        << "schedules: " << diagnostic.getMessage();
  };
  yaml::Input input(llvm::MemoryBufferRef(text, place.path), context, report,
                    &sink);
  Contents contents;
  input >> contents;
  if (!input.error() && !isWrong) {
    ScheduleFile file;
    file.entries = std::move(contents.schedules);
    return file;
  }
  if (!isWrong)
    emitError(FileLineColLoc::get(context, path, 1, 1))
        << "schedules: " << input.error().message();
  return failure();
}

FailureOr<ScheduleFile> ScheduleFile::load(llvm::StringRef path,
                                           MLIRContext *context) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer) {
    emitError(UnknownLoc::get(context)) << "schedules: cannot read '" << path
                                        << "': " << buffer.getError().message();
    return failure();
  }
  return parse((*buffer)->getBuffer(), path, context);
}

const StoredSchedule *ScheduleFile::find(const ScheduleKey &key) const {
  for (const StoredSchedule &entry : entries)
    if (entry.key == key)
      return &entry;
  return nullptr;
}

void ScheduleFile::store(StoredSchedule entry) {
  for (StoredSchedule &old : entries)
    if (old.key == entry.key) {
      old = std::move(entry);
      return;
    }
  entries.push_back(std::move(entry));
}

static void writeKey(llvm::json::OStream &os, const ScheduleKey &key) {
  auto list = [&](llvm::StringRef name,
                  const std::vector<std::string> &values) {
    if (!values.empty())
      os.attribute(name, llvm::json::Array(values));
  };
  os.attribute("cpu", key.cpu);
  os.attribute("spec", key.spec);
  os.attributeObject("sizes", [&] {
    for (const auto &[letter, extent] : key.sizes) {
      int64_t number;
      if (llvm::StringRef(extent).getAsInteger(10, number))
        os.attribute(letter, extent);
      else
        os.attribute(letter, number);
    }
  });
  list("types", key.types);
  list("mask", key.mask);
  list("with", key.with);
  if (!key.isShared)
    os.attribute("shared", false);
}

/// To nanoseconds: more digits are noise.
static double rounded(double microseconds) {
  return std::round(microseconds * 1e3) / 1e3;
}

std::string ScheduleFile::json() const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream os(stream, /*IndentSize=*/2);
  os.object([&] {
    os.attribute("version", formatVersion);
    os.attributeArray("schedules", [&] {
      for (const StoredSchedule &entry : entries)
        os.object([&] {
          writeKey(os, entry.key);
          os.attributeObject("schedule", [&] {
            os.attribute("chunk", entry.schedule.chunk);
            os.attribute("key_tile", entry.schedule.keyTile);
            os.attribute("row_tile", entry.schedule.rowTile);
            os.attribute("prefetch", entry.schedule.prefetch);
            os.attribute("products",
                         stringifyProducts(entry.schedule.products));
            os.attribute("packed", entry.schedule.packed);
          });
          if (entry.medianMicroseconds)
            os.attribute("median_us", rounded(*entry.medianMicroseconds));
          if (entry.modelMicroseconds)
            os.attribute("model_us", rounded(*entry.modelMicroseconds));
          if (entry.threads)
            os.attribute("threads", *entry.threads);
        });
    });
  });
  return text + "\n";
}
