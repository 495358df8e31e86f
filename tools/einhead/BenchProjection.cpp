//===- BenchProjection.cpp - Projections to measure -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchProjection.h"
#include "BenchBuffers.h"
#include "BenchFlags.h"
#include "File.h"
#include "Reference.h"
#include "Session.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <cstring>
#include <stdexcept>

using einhead::attn::EinsumSpec;
using einhead::attn::indexOf;

namespace einhead::tool {

//===----------------------------------------------------------------------===//
// The problem
//===----------------------------------------------------------------------===//

static llvm::Expected<EinsumSpec> parseSpec(llvm::StringRef text) {
  mlir::MLIRContext context;
  std::string message;
  mlir::ScopedDiagnosticHandler capture(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          message = diagnostic.str();
                                          return mlir::success();
                                        });
  auto spec = EinsumSpec::parse(
      text, [&] { return mlir::emitError(mlir::UnknownLoc::get(&context)); });
  if (mlir::succeeded(spec) && spec->inputs.size() != 2)
    message = "needs two operands";
  if (mlir::succeeded(spec) && message.empty())
    for (char letter : spec->output)
      if (indexOf(spec->inputs[0] + spec->inputs[1], letter) < 0)
        message = std::string("letter '") + letter +
                  "' of the result stands in no operand";
  if (mlir::failed(spec) || !message.empty())
    return failure(Exit::Usage, "--spec='" + text + "': " + message,
                   "write activation, weight -> result, for example "
                   "--spec='bd, dhk -> bhk; bd, dgk -> bgk', or query, key, "
                   "value -> output");
  return *spec;
}

static llvm::Error bindLetters(ProjectionProblem &problem,
                               llvm::ArrayRef<std::string> entries) {
  auto sizes = parseSizes(entries);
  if (!sizes)
    return sizes.takeError();
  std::string letters;
  for (const EinsumSpec &spec : problem.specs)
    letters += attn::lettersWithout(spec.letters(), letters);
  std::vector<std::string> missing;
  for (char letter : letters) {
    auto size = sizes->find(std::string(1, letter));
    if (size == sizes->end())
      missing.push_back(std::string(1, letter) + "=N");
    else if (size->second < 1)
      return failure(Exit::Usage,
                     "--size: letter '" + llvm::Twine(letter) + "' is " +
                         llvm::Twine(size->second),
                     "extents are at least 1");
    else
      problem.extent[letter] = size->second;
  }
  if (!missing.empty())
    return failure(Exit::Usage, "letters of --spec without an extent",
                   "give --size=" + llvm::join(missing, ","));
  for (const auto &[name, given] : *sizes)
    if (name.size() != 1 || indexOf(letters, name[0]) < 0)
      return failure(Exit::Usage, "--size: no letter '" + name + "' in --spec",
                     "the letters are " + letters);
  return llvm::Error::success();
}

llvm::Expected<ProjectionProblem>
ProjectionProblem::create(llvm::StringRef text,
                          llvm::ArrayRef<std::string> sizes,
                          llvm::StringRef typeName) {
  ProjectionProblem problem;
  llvm::SmallVector<llvm::StringRef> parts;
  text.split(parts, ';');
  for (llvm::StringRef part : parts) {
    auto spec = parseSpec(part);
    if (!spec)
      return spec.takeError();
    problem.specs.push_back(*spec);
    if (spec->inputs[0] != problem.specs.front().inputs[0])
      return failure(Exit::Usage,
                     "--spec: the first operands '" +
                         problem.specs.front().inputs[0] + "' and '" +
                         spec->inputs[0] + "' are not one activation",
                     "name the letters of the first operand alike");
  }
  if (llvm::Error error = bindLetters(problem, sizes))
    return error;
  std::optional<DataType> type = parseDataType(typeName);
  if (!type || !isFloat(*type))
    return failure(Exit::Usage, "no type '" + typeName + "'",
                   "the types are f32, f16, bf16 and f64");
  problem.type = *type;
  return problem;
}

std::vector<int64_t> ProjectionProblem::shape(llvm::StringRef term) const {
  std::vector<int64_t> shape;
  for (char letter : term)
    shape.push_back(extent.at(letter));
  return shape;
}

int64_t ProjectionProblem::count(llvm::StringRef term) const {
  int64_t count = 1;
  for (char letter : term)
    count *= extent.at(letter);
  return count;
}

int64_t ProjectionProblem::weightBytes() const {
  int64_t bytes = 0;
  for (const EinsumSpec &spec : specs)
    bytes += count(spec.inputs[1]) * sizeOf(type);
  return bytes;
}

int64_t ProjectionProblem::operations() const {
  int64_t operations = 0;
  for (const EinsumSpec &spec : specs)
    operations += 2 * count(spec.letters());
  return operations;
}

std::string ProjectionProblem::spec() const {
  std::string text;
  for (const EinsumSpec &spec : specs)
    text += (text.empty() ? "" : "; ") + spec.str();
  return text;
}

std::string ProjectionProblem::sizes() const {
  std::string text;
  for (const auto &[letter, size] : extent)
    text += (text.empty() ? "" : ",") + std::string(1, letter) + "=" +
            std::to_string(size);
  return text;
}

std::string ProjectionProblem::graph() const {
  auto typeText = [&](llvm::StringRef term, DataType element) {
    std::string text = "tensor<";
    for (int64_t dimension : shape(term))
      text += std::to_string(dimension) + "x";
    return text + nameOf(element).str() + ">";
  };
  std::string x = typeText(specs.front().inputs[0], type), arguments, results,
              body, values, types;
  for (auto [i, spec] : llvm::enumerate(specs)) {
    std::string n = std::to_string(i), w = typeText(spec.inputs[1], type);
    std::string y = typeText(spec.output, resultType());
    std::string comma = i ? ", " : "";
    arguments +=
        ",\n    %w" + n + ": " + w + " {attn.name = \"weight" + n + "\"}";
    results += comma + y + " {attn.name = \"result" + n + "\"}";
    body += "  %y" + n + " = attn.einsum \"" + spec.str() + "\"(%x, %w" + n +
            ") : (" + x + ", " + w + ") -> " + y + "\n";
    values += comma + "%y" + n;
    types += comma + y;
  }
  return "func.func @project(%x: " + x + " {attn.name = \"activation\"}" +
         arguments + ")\n    -> (" + results + ") {\n" + body + "  return " +
         values + " : " + types + "\n}\n";
}

//===----------------------------------------------------------------------===//
// Is the result right
//===----------------------------------------------------------------------===//

namespace {
/// The coordinates of each of the result's letters that are checked: all, or
/// for a large problem some of them; the sums always in full.
class ProjectionSample {
public:
  ProjectionSample(const ProjectionProblem &problem, const EinsumSpec &spec) {
    constexpr double budget = 6e7; // products in fp64, one by one
    double cost = static_cast<double>(problem.count(spec.letters()));
    std::map<char, int64_t> counts;
    for (char letter : spec.letters())
      counts[letter] = extent[letter] = problem.extent.at(letter);
    while (cost > budget) {
      char largest = 0;
      for (char letter : spec.output)
        if (!largest || counts[letter] > counts[largest])
          largest = letter;
      if (!largest || counts[largest] == 1)
        break;
      cost = cost / counts[largest] * (counts[largest] / 2);
      counts[largest] /= 2;
    }
    // Even steps from the first to the last: the remainders are among them.
    for (auto [letter, n] : counts)
      for (int64_t i = 0; i < n; ++i)
        at[letter].push_back(n == 1 ? extent[letter] / 2
                                    : i * (extent[letter] - 1) / (n - 1));
  }

  /// The sampled elements of a tensor over `term`, and their offsets in it.
  reference::Tensor gather(llvm::StringRef term, DataType type,
                           const char *data, int64_t *first = nullptr) const {
    std::vector<int64_t> shape;
    int64_t total = 1;
    for (char letter : term) {
      shape.push_back(at.at(letter).size());
      total *= shape.back();
    }
    std::vector<double> values;
    for (int64_t i = 0; i < total; ++i) {
      int64_t rest = i, inner = 1, offset = 0;
      for (size_t d = term.size(); d-- > 0; rest /= shape[d]) {
        offset += at.at(term[d])[rest % shape[d]] * inner;
        inner *= extent.at(term[d]);
      }
      if (i == 0 && first)
        *first = offset;
      values.push_back(loadElement(type, data + offset * sizeOf(type)));
    }
    return reference::Tensor(shape, std::move(values));
  }

private:
  std::map<char, std::vector<int64_t>> at;
  std::map<char, int64_t> extent;
};
} // namespace

llvm::Error ProjectionBench::check(const char *x, const char *weights,
                                   std::vector<HostTensor> &results,
                                   Measurement &result) {
  reference::EinsumOptions options;
  options.output = problem.type == DataType::F64 ? reference::Type::F64
                                                 : reference::Type::F32;
  for (auto [spec, y] : llvm::zip(problem.specs, results)) {
    ProjectionSample sample(problem, spec);
    try {
      reference::Tensor expected = reference::einsum(
          spec.str(),
          {sample.gather(spec.inputs[0], problem.type, x),
           sample.gather(spec.inputs[1], problem.type, weights)},
          options);
      int64_t first = 0;
      (void)sample.gather(spec.output, y.type, y.data(), &first);
      if (flags.perturb != 0)
        y.set(first, y.at(first) + flags.perturb);
      reference::Tensor got = sample.gather(spec.output, y.type, y.data());
      reference::Report report = reference::compare(got.value, expected);
      result.worstRatio = std::max(result.worstRatio, report.worstRatio);
      if (!report.pass)
        return failure(Exit::Wrong, "wrong result of \"" + spec.str() +
                                        "\": " + report.message());
    } catch (const std::exception &e) {
      return failure(Exit::Internal, llvm::Twine("reference: ") + e.what());
    }
    weights +=
        llvm::alignTo(problem.count(spec.inputs[1]) * sizeOf(problem.type), 64);
  }
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// The measurement
//===----------------------------------------------------------------------===//

llvm::Error ProjectionBench::measure(llvm::StringRef bytes,
                                     Measurement &result) {
  size_t stride = 0;
  std::vector<std::vector<int64_t>> shapes;
  std::vector<size_t> places;
  std::vector<HostTensor> results;
  for (const EinsumSpec &spec : problem.specs) {
    shapes.push_back(problem.shape(spec.inputs[1]));
    places.push_back(stride);
    stride +=
        llvm::alignTo(problem.count(spec.inputs[1]) * sizeOf(problem.type), 64);
    results.emplace_back(problem.resultType(), problem.shape(spec.output));
  }
  int sets = flags.cold ? coldSets(stride) : 1;
  HugeBuffer arena(stride * sets);
  fillFromTable(problem.type, arena.data(), stride * sets);
  HostTensor x(problem.type, problem.shape(problem.specs.front().inputs[0]));
  fillRandom(x, 3);

  auto file = TemporaryFile::create(bytes);
  if (!file)
    return file.takeError();
  auto module = Module::open(file->name());
  if (!module)
    return module.takeError();
  auto session = Session::create(*module, {}, flags.threads);
  if (!session)
    return session.takeError();
  result.cpu = module->manifest().target.cpu;
  std::vector<DLTensor> outputs;
  for (HostTensor &y : results)
    outputs.push_back(y.view());
  auto evaluate = [&](int set) {
    std::vector<DLTensor> inputs = {x.view()};
    for (auto [shape, place] : llvm::zip(shapes, places))
      inputs.push_back(
          viewOf(arena.data() + set * stride + place, problem.type, shape));
    return session->call("project", inputs, outputs);
  };
  if (llvm::Error error = evaluate(0))
    return error;
  std::vector<std::vector<char>> first;
  for (HostTensor &y : results)
    first.emplace_back(y.data(), y.data() + y.byteCount());
  if (llvm::Error error = check(x.data(), arena.data(), results, result))
    return error;

  std::vector<std::vector<ByteRange>> ranges;
  for (int set = 0; set < sets; ++set)
    ranges.push_back({{arena.data() + set * stride, stride}});
  if (llvm::Error error = timeCalls(ranges, evaluate, flags.threadCount(),
                                    flags.seconds, result))
    return error;
  if (llvm::Error error = evaluate(0))
    return error;
  for (auto [y, checked] : llvm::zip(results, first))
    if (std::memcmp(checked.data(), y.data(), checked.size()) != 0)
      return failure(Exit::Wrong, "two evaluations of one input differ");
  return llvm::Error::success();
}

void ProjectionBench::print(const Measurement &result) const {
  size_t spec = std::max<size_t>(problem.spec().size(), 4) + 2;
  size_t sizes = std::max<size_t>(problem.sizes().size(), 5);
  llvm::outs() << llvm::left_justify("spec", spec)
               << llvm::left_justify("sizes", sizes)
               << "  type  compile ms  median us   floor us   ratio  MB read"
               << "  error/bound\n"
               << llvm::left_justify(problem.spec(), spec)
               << llvm::left_justify(problem.sizes(), sizes) << "  "
               << llvm::left_justify(nameOf(problem.type), 4)
               << llvm::format("  %10.0f %10.1f %10.1f %7.2f %8.1f  %11.3f\n",
                               result.compileMilliseconds,
                               result.medianMicroseconds,
                               result.floorMicroseconds, result.ratio(),
                               problem.weightBytes() / 1e6, result.worstRatio);
}

void ProjectionBench::printJSON(const Measurement &result, bool fuse) const {
  llvm::json::OStream os(llvm::outs());
  os.object([&] {
    os.attribute("spec", problem.spec());
    os.attribute("sizes", problem.sizes());
    os.attribute("type", nameOf(problem.type));
    os.attribute("fuse", fuse);
    os.attribute("cold", flags.cold.getValue());
    os.attribute("threads", flags.threadCount());
    result.writeTimes(os);
    os.attribute("weight_bytes", problem.weightBytes());
    os.attribute("operations", problem.operations());
    os.attribute("buffer_sets", result.sets);
    os.attribute("samples", result.samples);
  });
  llvm::outs() << "\n";
}

} // namespace einhead::tool
