//===- VerbInspect.cpp - einhead inspect ------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "File.h"
#include "Safetensors.h"
#include "Session.h"
#include "Tool.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

namespace cl = llvm::cl;
namespace endian = llvm::support::endian;

namespace einhead::tool {
namespace {

class InspectVerb final : public Verb {
public:
  InspectVerb() : Verb("inspect", "Print what a module file holds") {}
  llvm::Error run() override;

private:
  void printParameters(const Manifest &manifest) const;

  cl::opt<std::string> file{cl::Positional, cl::desc("MODULE.einhead"),
                            cl::Required, cl::sub(command),
                            cl::cat(optionCategory())};
  cl::opt<bool> manifestOnly{"manifest", cl::desc("Print the manifest's JSON"),
                             cl::sub(command), cl::cat(optionCategory())};
  cl::opt<std::string> parameters{
      "parameters", cl::desc("Safetensors file, or a folder of them"),
      cl::value_desc("path"), cl::sub(command), cl::cat(optionCategory())};
};

constexpr size_t headerSize = 48, entrySize = 48;

struct Section {
  uint32_t type = 0;
  uint64_t offset = 0;
  llvm::StringRef bytes;
  bool isIntact = false;

  llvm::StringRef name() const {
    return type == 1   ? "manifest"
           : type == 2 ? "code, CPU"
           : type == 3 ? "code, CPU, variant"
           : type == 4 ? "code, device"
                       : "unknown";
  }
};

/// Compares with 16 bytes in the canonical, big-endian form.
bool hashIs(llvm::ArrayRef<uint8_t> bytes, const char *canonical) {
  llvm::XXH128_hash_t hash = llvm::xxh3_128bits(bytes);
  return hash.high64 == endian::read64be(canonical) &&
         hash.low64 == endian::read64be(canonical + 8);
}

llvm::ArrayRef<uint8_t> bytesOf(llvm::StringRef text) {
  return llvm::ArrayRef(text.bytes_begin(), text.size());
}

/// Reads the section table (docs/Module.md) as far as it can be read.
llvm::Expected<std::vector<Section>> readSections(llvm::StringRef path,
                                                  llvm::StringRef bytes) {
  auto bad = [&](const llvm::Twine &why) {
    return failure(Exit::Invalid, path + ": " + why,
                   "compile the module again");
  };
  if (!isModuleFile(bytes))
    return bad("not a module file");
  if (bytes.size() < headerSize)
    return bad("shorter than a header");
  uint64_t count = endian::read32le(bytes.data() + 24);
  if (count > 64 || headerSize + count * entrySize > bytes.size())
    return bad("the section table is outside the file");
  std::vector<Section> sections;
  for (uint64_t i = 0; i < count; ++i) {
    const char *entry = bytes.data() + headerSize + i * entrySize;
    Section section;
    section.type = endian::read32le(entry);
    section.offset = endian::read64le(entry + 8);
    uint64_t size = endian::read64le(entry + 16);
    if (section.offset > bytes.size() || size > bytes.size() - section.offset)
      return bad("section " + llvm::Twine(i) + " is outside the file");
    section.bytes = bytes.substr(section.offset, size);
    section.isIntact = hashIs(bytesOf(section.bytes), entry + 24);
    sections.push_back(section);
  }
  return sections;
}

bool isHeaderIntact(llvm::StringRef bytes) {
  uint64_t count = endian::read32le(bytes.data() + 24);
  std::string hashed = bytes.substr(0, 32).str();
  hashed += bytes.substr(headerSize, count * entrySize);
  return hashIs(bytesOf(hashed), bytes.data() + 32);
}

std::string describeArgument(const Argument &argument) {
  std::string text = argument.name + ": " + nameOf(argument.type).str();
  return argument.scalar ? text : text + "[" + argument.shapeText() + "]";
}

std::string describeTarget(const ManifestTarget &target) {
  return target.cpu + " (" + target.triple + "), needs " +
         (target.features.empty() ? "no CPU feature"
                                  : llvm::join(target.features, " "));
}

/// Several in the order in which the runtime tries them.
void printTargets(const Manifest &manifest) {
  llvm::outs() << "compiled by einhead " << manifest.version << " for ";
  if (manifest.variants.empty()) {
    llvm::outs() << describeTarget(manifest.target) << "\n";
    return;
  }
  llvm::outs() << manifest.variants.size() + 1
               << " CPUs; the first that a machine can run is taken\n";
  for (const ManifestTarget &target : llvm::reverse(manifest.variants))
    llvm::outs() << "  " << describeTarget(target) << "\n";
  llvm::outs() << "  " << describeTarget(manifest.target) << "\n";
}

/// Images in the order of their sections, of which the runtime takes the first
/// that the device can run.
void printDevice(const ManifestDevice &device,
                 llvm::ArrayRef<Section> sections) {
  if (device.kind.empty())
    return;
  llvm::outs() << "kernels for " << device.kind << ", " << device.chip << "\n";
  auto section = sections.begin();
  for (const ManifestDevice::Image &image : device.images) {
    section = std::find_if(section, sections.end(),
                           [](const Section &s) { return s.type == 4; });
    llvm::outs() << "  image " << llvm::left_justify(image.format, 6)
                 << image.chip;
    if (section != sections.end())
      llvm::outs() << ", " << (section++)->bytes.size() << " bytes";
    llvm::outs() << "\n";
  }
  for (const std::string &kernel : device.kernels)
    llvm::outs() << "  kernel " << kernel << "\n";
}

void printFunctions(const Manifest &manifest) {
  llvm::raw_ostream &os = llvm::outs();
  for (const Function &function : manifest.functions) {
    os << "function @" << function.name;
    if (function.advance)
      os << ", appends " << function.advance;
    os << "\n";
    size_t parameterCount = 0;
    for (const Argument &argument : function.arguments) {
      parameterCount += argument.kind == "parameter";
      if (argument.kind == "parameter")
        continue;
      os << "  " << llvm::left_justify(argument.kind, 7)
         << describeArgument(argument);
      if (argument.append >= 0)
        os << ", grows along " << argument.shape[argument.append].str();
      os << "\n";
    }
    if (parameterCount)
      os << "  " << parameterCount << " parameters\n";
    for (const TrafficTerm &term : function.traffic)
      os << "  reads of K and V: " << term.bytes
         << (term.dimensions.empty() ? "" : " * ")
         << llvm::join(term.dimensions, " * ") << " bytes\n";
  }
}

void InspectVerb::printParameters(const Manifest &manifest) const {
  Safetensors files;
  std::vector<std::string> paths = {parameters};
  if (parameters.empty()) {
    paths.clear();
    for (const std::string &name : manifest.parameters) {
      llvm::SmallString<128> path(llvm::sys::path::parent_path(file));
      llvm::sys::path::append(path, name);
      paths.push_back(path.str().str());
    }
  }
  for (const std::string &path : paths) {
    llvm::Error error = files.add(path);
    bool failed = static_cast<bool>(error);
    llvm::outs() << "parameters " << path << (failed ? "  missing" : "  found")
                 << "\n";
    llvm::consumeError(std::move(error));
  }
  for (const Function &function : manifest.functions)
    for (const Argument &argument : function.arguments)
      if (argument.kind == "parameter" && !files.contains(argument.name))
        llvm::outs() << "  missing " << describeArgument(argument) << "\n";
}

llvm::Error InspectVerb::run() {
  auto buffer = readFile(file);
  if (!buffer)
    return buffer.takeError();
  llvm::StringRef bytes = (*buffer)->getBuffer();
  auto sections = readSections(file, bytes);
  if (!sections)
    return sections.takeError();
  bool intact = isHeaderIntact(bytes);
  llvm::StringRef manifestText;
  for (const Section &section : *sections) {
    intact &= section.isIntact;
    if (section.type == 1)
      manifestText = section.bytes;
  }
  if (manifestOnly) {
    llvm::outs() << manifestText << "\n";
  } else {
    llvm::outs() << file << ": format " << endian::read32le(bytes.data() + 8)
                 << "." << endian::read32le(bytes.data() + 12) << ", "
                 << bytes.size() << " bytes, header "
                 << (isHeaderIntact(bytes) ? "intact" : "DAMAGED") << "\n";
    for (const Section &section : *sections)
      llvm::outs() << "section " << section.type << " (" << section.name()
                   << "): " << section.bytes.size() << " bytes at "
                   << section.offset << ", "
                   << (section.isIntact ? "intact" : "DAMAGED") << "\n";
  }
  if (!intact)
    return failure(Exit::Invalid, file + ": its hashes do not fit its bytes",
                   "copy the file again or compile the module again");
  if (manifestOnly)
    return llvm::Error::success();
  auto manifest = Manifest::parse(manifestText);
  if (!manifest)
    return manifest.takeError();
  printTargets(*manifest);
  printDevice(manifest->device, *sections);
  printFunctions(*manifest);
  printParameters(*manifest);
  return llvm::Error::success();
}

} // namespace

std::unique_ptr<Verb> createInspectVerb() {
  return std::make_unique<InspectVerb>();
}

} // namespace einhead::tool
