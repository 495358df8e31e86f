//===- CompileTest.cpp - Graphs without attention, to numbers ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompileTest.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace einhead;
using namespace einhead::test;

static const char *const addText = R"(
func.func @add(%a: tensor<?x8xf32> {attn.name = "a", attn.shape = "n, 8"},
               %b: tensor<?x8xf32> {attn.name = "b", attn.shape = "n, 8"})
    -> (tensor<?x8xf32> {attn.name = "y", attn.shape = "n, 8"}) {
  %0 = arith.addf %a, %b : tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
)";

/// Whether @add gives `wanted(i)` for a = i, b = 2 i.
static bool addGives(Loaded &loaded, llvm::function_ref<float(int)> wanted) {
  constexpr int n = 3;
  std::vector<float> a(n * 8), b(n * 8), y(n * 8, -1);
  for (int i = 0; i < n * 8; ++i) {
    a[i] = i;
    b[i] = 2 * i;
  }
  View va(a.data(), {n, 8}), vb(b.data(), {n, 8}), vy(y.data(), {n, 8});
  if (loaded.call("add", {&va, &vb}, {&vy}) != EINHEAD_OK)
    return false;
  return llvm::all_of(llvm::seq(0, n * 8),
                      [&](int i) { return y[i] == wanted(i); });
}

TEST(Elementwise, AddsAndATwinDoesNot) {
  Compiler compiler(addText);
  std::string bytes = compiler.compile(EmitKind::Module);
  ASSERT_FALSE(bytes.empty()) << compiler.error;
  Loaded loaded(bytes);
  EXPECT_TRUE(addGives(loaded, [](int i) { return 3.0f * i; }));
  EXPECT_FALSE(addGives(loaded, [](int i) { return 2.0f * i; }));
}

TEST(Elementwise, RowsMayBePadded) {
  Compiler compiler(addText);
  Loaded loaded(compiler.compile(EmitKind::Module));
  constexpr int n = 3, pad = 11;
  std::vector<float> a(n * pad), b(n * 8, 1), y(n * pad, -1);
  for (int i = 0; i < n * pad; ++i)
    a[i] = i;
  View va(a.data(), {n, 8}, {pad, 1}), vb(b.data(), {n, 8}),
      vy(y.data(), {n, 8}, {pad, 1});
  ASSERT_EQ(loaded.call("add", {&va, &vb}, {&vy}), EINHEAD_OK);
  for (int i = 0; i < n * pad; ++i)
    EXPECT_EQ(y[i], i % pad < 8 ? i + 1 : -1) << i;
}

// Booleans and i64 go in and come out, as tensors and as numbers.
TEST(Elementwise, BooleansAndIntegers) {
  Compiler compiler(R"(
#at = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @pick(%keep: tensor<?x21xi1> {attn.shape = "n, 21"},
                %first: tensor<?xi64> {attn.shape = "n"}, %flip: i1)
    -> (tensor<?x21xi1> {attn.name = "late", attn.shape = "n, 21"},
        tensor<?x21xi64> {attn.name = "place", attn.shape = "n, 21"}) {
  %zero = arith.constant 0 : index
  %n = tensor.dim %first, %zero : tensor<?xi64>
  %bools = tensor.empty(%n) : tensor<?x21xi1>
  %ints = tensor.empty(%n) : tensor<?x21xi64>
  %late, %place = linalg.generic {indexing_maps = [#at, #row, #at, #at],
      iterator_types = ["parallel", "parallel"]}
      ins(%keep, %first : tensor<?x21xi1>, tensor<?xi64>)
      outs(%bools, %ints : tensor<?x21xi1>, tensor<?x21xi64>) {
  ^bb0(%k: i1, %f: i64, %b: i1, %i: i64):
    %j = linalg.index 1 : index
    %at = arith.index_cast %j : index to i64
    %isLate = arith.cmpi sge, %at, %f : i64
    %both = arith.andi %isLate, %k : i1
    %flipped = arith.xori %both, %flip : i1
    %place = arith.select %both, %at, %f : i64
    linalg.yield %flipped, %place : i1, i64
  } -> (tensor<?x21xi1>, tensor<?x21xi64>)
  return %late, %place : tensor<?x21xi1>, tensor<?x21xi64>
})");
  Loaded loaded(compiler.compile(EmitKind::Module));
  ASSERT_TRUE(loaded.session) << compiler.error;
  constexpr int n = 3, m = 21;
  bool keep[n * m], late[n * m], flip = true;
  int64_t first[n] = {0, 5, int64_t(1) << 40}, place[n * m];
  for (int i = 0; i < n * m; ++i)
    keep[i] = i % 3 != 0;
  View vk(keep, {n, m}), vf(first, {n}), vflip(&flip, {}), vl(late, {n, m}),
      vp(place, {n, m});
  for (int round = 0; round < 2; ++round, flip = !flip) {
    ASSERT_EQ(loaded.call("pick", {&vk, &vf, &vflip}, {&vl, &vp}), EINHEAD_OK);
    for (int i = 0; i < n * m; ++i) {
      bool both = i % m >= first[i / m] && keep[i];
      EXPECT_EQ(late[i], both != flip) << i;
      EXPECT_EQ(place[i], both ? i % m : first[i / m]) << i;
    }
  }
}

TEST(Compile, SameInputSameBytes) {
  Compiler first(addText), second(addText);
  EXPECT_EQ(first.compile(EmitKind::Module), second.compile(EmitKind::Module));
}

TEST(Compile, EachKindIsWhatItSays) {
  CompileOptions options;
  options.cpu = "x86-64-v3";
  EXPECT_NE(Compiler(addText)
                .compile(EmitKind::MLIR, options)
                .find("einhead_entry_add"),
            std::string::npos);
  EXPECT_NE(Compiler(addText)
                .compile(EmitKind::LLVM, options)
                .find("define void @einhead_entry_add"),
            std::string::npos);
  EXPECT_EQ(Compiler(addText).compile(EmitKind::Object, options).substr(1, 3),
            "ELF");
  EXPECT_EQ(
      Compiler(addText).compile(EmitKind::SharedObject, options).substr(1, 3),
      "ELF");
  options.stopAfter = "vector";
  std::string vector = Compiler(addText).compile(EmitKind::MLIR, options);
  EXPECT_NE(vector.find("scf.for"), std::string::npos) << vector;
  EXPECT_EQ(vector.find("llvm.func"), std::string::npos);
}

TEST(Parallel, EachTaskWritesItsRow) {
  Compiler compiler(R"(
func.func @scale(%x: tensor<?x16xf32> {attn.shape = "n, 16"}, %f: f32)
    -> (tensor<?x16xf32> {attn.shape = "n, 16"}) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x16xf32>
  %init = tensor.empty(%n) : tensor<?x16xf32>
  %0 = scf.forall (%i) in (%n) shared_outs(%o = %init) -> tensor<?x16xf32> {
    %row = tensor.extract_slice %x[%i, 0] [1, 16] [1, 1]
      : tensor<?x16xf32> to tensor<1x16xf32>
    %scaled = linalg.generic {
        indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (a, b)>],
        iterator_types = ["parallel", "parallel"]}
        ins(%row : tensor<1x16xf32>) outs(%row : tensor<1x16xf32>) {
      ^bb0(%v: f32, %old: f32):
        %m = arith.mulf %v, %f : f32
        linalg.yield %m : f32
    } -> tensor<1x16xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %scaled into %o[%i, 0] [1, 16] [1, 1]
        : tensor<1x16xf32> into tensor<?x16xf32>
    }
  }
  return %0 : tensor<?x16xf32>
})");
  std::string bytes = compiler.compile(EmitKind::Module);
  ASSERT_FALSE(bytes.empty()) << compiler.error;
  Loaded loaded(bytes);
  for (int n : {0, 1, 37}) {
    std::vector<float> x(n * 16 + 1), y(n * 16 + 1, -1);
    for (int i = 0; i < n * 16; ++i)
      x[i] = i;
    float factor = 0.5f;
    View vx(x.data(), {n, 16}), vf(&factor, {}), vy(y.data(), {n, 16});
    ASSERT_EQ(loaded.call("scale", {&vx, &vf}, {&vy}), EINHEAD_OK);
    for (int i = 0; i < n * 16; ++i)
      EXPECT_EQ(y[i], 0.5f * i) << i;
  }
}

TEST(Cache, IsUpdatedInPlace) {
  Compiler compiler(R"(
func.func @put(%row: tensor<4xf32>, %at: index,
               %k: tensor<?x4xf32> {attn.cache, attn.name = "k", attn.shape = "m, 4"})
    -> (tensor<f32> {attn.name = "sum"}, tensor<?x4xf32> {attn.cache = "k"}) {
  %0 = tensor.insert_slice %row into %k[%at, 0] [1, 4] [1, 1]
    : tensor<4xf32> into tensor<?x4xf32>
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<f32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<f32>) -> tensor<f32>
  %sum = linalg.generic {
      indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> ()>],
      iterator_types = ["reduction", "reduction"]}
      ins(%0 : tensor<?x4xf32>) outs(%init : tensor<f32>) {
    ^bb0(%v: f32, %old: f32):
      %s = arith.addf %old, %v : f32
      linalg.yield %s : f32
  } -> tensor<f32>
  return %sum, %0 : tensor<f32>, tensor<?x4xf32>
})");
  std::string bytes = compiler.compile(EmitKind::Module);
  ASSERT_FALSE(bytes.empty()) << compiler.error;
  Loaded loaded(bytes, {{"m", 5}});
  float wanted = 0;
  for (int64_t i = 0; i < 5; ++i) {
    float row[4] = {float(i), 1, 2, 3}, sum = -1;
    wanted += i + 6;
    View vrow(row, {4}), vat(&i, {}), vsum(&sum, {});
    ASSERT_EQ(loaded.call("put", {&vrow, &vat}, {&vsum}), EINHEAD_OK);
    EXPECT_EQ(sum, wanted);
  }
  DLTensor cache;
  ASSERT_EQ(einhead_session_cache(loaded.session, "k", &cache), EINHEAD_OK);
  EXPECT_EQ(static_cast<float *>(cache.data)[3 * 4], 3);
}

TEST(Cache, ThatIsRecomputedIsRefused) {
  Compiler compiler(R"(
func.func @put(%k: tensor<4xf32> {attn.cache, attn.name = "k"})
    -> (tensor<4xf32> {attn.name = "old"}, tensor<4xf32> {attn.cache = "k"}) {
  %c = arith.constant dense<1.0> : tensor<4xf32>
  %0 = tensor.empty() : tensor<4xf32>
  %1 = linalg.add ins(%k, %c : tensor<4xf32>, tensor<4xf32>) outs(%0 : tensor<4xf32>) -> tensor<4xf32>
  return %k, %1 : tensor<4xf32>, tensor<4xf32>
})");
  EXPECT_EQ(compiler.compile(EmitKind::Module), "");
  EXPECT_NE(compiler.error.find("cache \"k\" is not updated in place"),
            std::string::npos)
      << compiler.error;
  EXPECT_EQ(compiler.error.find("test.mlir:"), 0u) << compiler.error;
  EXPECT_EQ(compiler.code, std::errc::not_supported);
}

TEST(Workspace, ComesFromTheHost) {
  Compiler compiler(R"(
func.func @twice(%x: tensor<?x32xf32> {attn.shape = "n, 32"},
                 %w: tensor<32x32xf32>)
    -> (tensor<?x32xf32> {attn.shape = "n, 32"}) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x32xf32>
  %e = tensor.empty(%n) : tensor<?x32xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<?x32xf32>) -> tensor<?x32xf32>
  %h = linalg.matmul ins(%x, %w : tensor<?x32xf32>, tensor<32x32xf32>)
    outs(%z : tensor<?x32xf32>) -> tensor<?x32xf32>
  %y = linalg.matmul ins(%h, %w : tensor<?x32xf32>, tensor<32x32xf32>)
    outs(%z : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
})");
  std::string bytes = compiler.compile(EmitKind::Module);
  ASSERT_FALSE(bytes.empty()) << compiler.error;
  Loaded loaded(bytes);
  constexpr int n = 5;
  std::vector<float> x(n * 32), w(32 * 32, 0), y(n * 32, -1);
  for (int i = 0; i < n * 32; ++i)
    x[i] = i;
  for (int i = 0; i < 32; ++i)
    w[i * 32 + (i + 1) % 32] = 2; // shifts by one column and doubles
  View vx(x.data(), {n, 32}), vw(w.data(), {32, 32}), vy(y.data(), {n, 32});
  ASSERT_EQ(loaded.call("twice", {&vx, &vw}, {&vy}), EINHEAD_OK);
  for (int r = 0; r < n; ++r)
    for (int c = 0; c < 32; ++c)
      EXPECT_EQ(y[r * 32 + (c + 2) % 32], 4 * x[r * 32 + c]);
}

TEST(Errors, SayWhere) {
  Compiler unnamed("func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {\n"
                   "  return %x : tensor<?xf32>\n}\n");
  EXPECT_EQ(unnamed.compile(EmitKind::Module), "");
  EXPECT_NE(unnamed.error.find("test.mlir:1:1: "), std::string::npos)
      << unnamed.error;
  EXPECT_NE(unnamed.error.find("argument #0 has a dynamic extent (dimension 0) "
                               "without a name; give attn.shape"),
            std::string::npos)
      << unnamed.error;
  EXPECT_EQ(unnamed.code, std::errc::invalid_argument);

  Compiler cpu(addText);
  CompileOptions options;
  options.cpu = "z80";
  EXPECT_EQ(cpu.compile(EmitKind::Module, options), "");
  EXPECT_NE(cpu.error.find("unknown CPU \"z80\""), std::string::npos);
  EXPECT_EQ(cpu.code, std::errc::invalid_argument);
}

// The code of the last CPU that this machine has is what runs; a file has room
// for so many.
TEST(Compile, SeveralCPUs) {
  auto sum = [](int i) { return 3.0f * i; };
  CompileOptions options;
  for (const char *cpus : {"x86-64,host", "host,x86-64", "host,neoverse-v2",
                           "x86-64,bdver4", "bdver4,x86-64"}) {
    options.cpu = cpus;
    Compiler compiler(addText);
    Loaded module(compiler.compile(EmitKind::Module, options));
    ASSERT_TRUE(module.module) << cpus << ": " << compiler.error;
    EXPECT_TRUE(addGives(module, sum)) << cpus;
    EXPECT_FALSE(addGives(module, [](int i) { return 3.0f * i + 1; }));
  }
  Compiler several(addText);
  options.cpu = "x86-64,host";
  EXPECT_EQ(several.compile(EmitKind::Object, options), "");
  EXPECT_NE(several.error.find("needs a module file"), std::string::npos);

  llvm::SmallVector<llvm::StringRef> names;
  llvm::X86::fillValidCPUArchList(names, /*Only64Bit=*/true);
  ASSERT_GT(names.size(), 64u);
  names.resize(64);
  options.cpu = llvm::join(names, ",");
  EXPECT_EQ(several.compile(EmitKind::Module, options), "");
  EXPECT_NE(several.error.find("code for 64 CPUs: a module file has room for"),
            std::string::npos)
      << several.error;
  EXPECT_EQ(several.code, std::errc::invalid_argument);
}
