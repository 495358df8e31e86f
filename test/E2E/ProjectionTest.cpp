//===- ProjectionTest.cpp - Activations times weights ---------------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Einsums of an activation and a weight against the oracle: odd extents, few
// rows and many, weights whose columns or whose sums are contiguous, and
// layouts that no vector can be read from.  Each result is also given to the
// check with one element off, and has the same bits with one thread.
//
//===----------------------------------------------------------------------===//

#include "../../runtime/reference/Reference.h"
#include "CompileTest.h"
#include "einhead/IR/EinsumSpec.h"
#include <cmath>
#include <map>

using namespace einhead;
using namespace einhead::test;
namespace ref = einhead::reference;

namespace {

struct Case {
  const char *name, *spec, *type, *cpu;
};

/// Sums of d are cut into parts where d leads the weight.
const std::map<char, int64_t> kExtents = {{'d', 523}, {'k', 87}, {'h', 3},
                                          {'n', 261}, {'v', 5},  {'g', 2}};
const int64_t kRows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 64};

const Case kCases[] = {
    {"Columns", "bd, dhk -> bhk", "f32", "host"},
    {"ColumnsPairs", "bd, dhk -> bhk", "bf16", "host"},
    {"ColumnsHalf", "bd, dhk -> bhk", "f16", "host"},
    {"ColumnsNarrow", "bd, dhk -> bhk", "f32", "x86-64-v3"},
    {"ColumnsNarrowWidened", "bd, dhk -> bhk", "bf16", "x86-64-v3"},
    {"Panels", "bd, hdk -> bhk", "f32", "host"},
    {"PanelsPairs", "bd, hdk -> bhk", "bf16", "host"},
    {"Sums", "bd, hkd -> bhk", "f32", "host"},
    {"SumsPairs", "bd, hkd -> bhk", "bf16", "host"},
    {"SumsNarrow", "bd, hkd -> bhk", "f32", "x86-64-v3"},
    {"Output", "bhk, hkd -> bd", "f32", "host"},
    {"OutputPairs", "bhk, hkd -> bd", "bf16", "host"},
    {"OutputSums", "bhk, dhk -> bd", "f32", "host"},
    {"OutputSumsOutside", "bhk, hdk -> bd", "bf16", "host"},
    {"WeightFirst", "dn, bd -> bn", "f32", "host"},
    {"TwoRows", "bvd, dn -> bvn", "bf16", "host"},
    {"Batch", "gbd, gdn -> gbn", "f32", "host"},
    {"TurnedActivation", "db, dn -> bn", "bf16", "host"},
    {"TurnedActivationSums", "db, nd -> bn", "f32", "host"},
    {"TurnedResult", "bd, dn -> nb", "f32", "host"},
};

std::string typeText(llvm::StringRef term, llvm::StringRef element,
                     int64_t rows) {
  std::string text = "tensor<";
  for (char letter : term)
    text += std::to_string(letter == 'b' ? rows : kExtents.at(letter)) + "x";
  return text + element.str() + ">";
}

std::vector<int64_t> shapeOf(llvm::StringRef term, int64_t rows) {
  std::vector<int64_t> shape;
  for (char letter : term)
    shape.push_back(letter == 'b' ? rows : kExtents.at(letter));
  return shape;
}

/// One function for each number of rows; what is narrow becomes so inside.
std::string moduleText(const Case &test, const attn::EinsumSpec &spec) {
  std::string text;
  bool isNarrow = llvm::StringRef(test.type) != "f32";
  for (int64_t rows : kRows) {
    std::string y = typeText(spec.output, "f32", rows), names[2], types[2],
                wide[2], body;
    for (int i : {0, 1}) {
      names[i] = "%a" + std::to_string(i);
      wide[i] = typeText(spec.inputs[i], "f32", rows);
      types[i] = typeText(spec.inputs[i], test.type, rows);
      if (!isNarrow)
        continue;
      body += "  %n" + std::to_string(i) + " = arith.truncf " + names[i] +
              " : " + wide[i] + " to " + types[i] + "\n";
      names[i] = "%n" + std::to_string(i);
    }
    text += "func.func @rows" + std::to_string(rows) + "(%a0: " + wide[0] +
            ", %a1: " + wide[1] + ") -> " + y + " {\n" + body +
            "  %y = attn.einsum \"" + spec.str() + "\"(" + names[0] + ", " +
            names[1] + ") : (" + types[0] + ", " + types[1] + ") -> " + y +
            "\n  return %y : " + y + "\n}\n";
  }
  return text;
}

class Projection : public testing::TestWithParam<Case> {
protected:
  std::vector<float> call(einhead_session_t *session, int64_t rows) {
    std::vector<int64_t> shape = shapeOf(spec.output, rows);
    std::vector<float> result(ref::elementCount(shape), -7);
    View x(operands[0].data(), shapeOf(spec.inputs[0], rows)),
        w(operands[1].data(), shapeOf(spec.inputs[1], rows)),
        y(result.data(), shape);
    DLTensor in[] = {x.dl, w.dl};
    EXPECT_EQ(einhead_session_call(session,
                                   ("rows" + std::to_string(rows)).c_str(), in,
                                   2, &y.dl, 1),
              EINHEAD_OK)
        << einhead_last_error()->text;
    return result;
  }

  attn::EinsumSpec spec = *attn::EinsumSpec::parse(GetParam().spec);
  std::vector<float> operands[2];
};

} // namespace

TEST_P(Projection, IsTheEinsum) {
  CompileOptions options;
  options.cpu = GetParam().cpu;
  Compiler compiler(moduleText(GetParam(), spec));
  std::string bytes = compiler.compile(EmitKind::Module, options);
  ASSERT_EQ(compiler.error + compiler.diagnostics, "");
  Loaded module(bytes);
  ASSERT_NE(module.session, nullptr);
  einhead_session_options_t alone = {};
  alone.threads = 1;
  einhead_session_t *session = nullptr;
  ASSERT_EQ(einhead_session_create(module.module, &alone, &session),
            EINHEAD_OK);
  llvm::StringRef name = GetParam().type;
  ref::Type type = name == "bf16"  ? ref::Type::BF16
                   : name == "f16" ? ref::Type::F16
                                   : ref::Type::F32;
  for (int64_t rows : kRows) {
    SCOPED_TRACE(rows);
    std::vector<ref::Tensor> tensors;
    for (int i : {0, 1}) {
      tensors.push_back(ref::random(shapeOf(spec.inputs[i], rows),
                                    ref::Distribution::Normal, i + 1, type));
      operands[i] = ref::toFloats(tensors[i]);
    }
    ref::Tensor wanted = ref::einsum(spec.str(), tensors);
    std::vector<float> result = call(module.session, rows);
    ref::Report report = ref::compare(result, wanted);
    EXPECT_TRUE(report.pass) << report.message();
    EXPECT_EQ(result, call(session, rows)) << "threads change bits";
    // A last element that is a little off is seen.
    result.back() += 0.5f * std::fabs(operands[1].back()) + 0.05f;
    EXPECT_FALSE(ref::compare(result, wanted).pass);
  }
  einhead_session_release(session);
}

INSTANTIATE_TEST_SUITE_P(, Projection, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case> &info) {
                           return std::string(info.param.name);
                         });
