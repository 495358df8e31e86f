//===- TensorTest.cpp - What a caller may and may not pass ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "RuntimeTest.h"

#include <climits>
#include <cstring>
#include <memory>

using namespace einhead::test;

namespace {
class TensorTest : public SessionTest {
protected:
  void SetUp() override {
    SessionTest::SetUp();
    session = create(1, 4);
    ASSERT_TRUE(session);
  }
  einhead_status_t addOne(Tensor &x, Tensor &y) {
    return call(session, "add_one", {&x}, {&y});
  }
  /// Expects that add_one refuses [2, 3] tensors after `change` of the input.
  template <typename Change>
  void refused(einhead_status_t status, const char *text, const char *where,
               Change change) {
    Tensor x(f32, {2, 3}), y(f32, {2, 3});
    EXPECT_OK(addOne(x, y)); // as it is, the call works
    y.data<float>()[0] = 77.0f;
    change(x);
    expectError(addOne(x, y), status, text, where);
    EXPECT_EQ(y.data<float>()[0], 77.0f) << "the code ran";
  }

  Session session;
};
} // namespace

TEST_F(TensorTest, RunsOnDenseTensors) {
  Tensor x(f32, {2, 3}), y(f32, {2, 3});
  for (int i = 0; i < 6; ++i)
    x.data<float>()[i] = static_cast<float>(i);
  ASSERT_OK(addOne(x, y));
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(y.data<float>()[i], static_cast<float>(i) + 1.0f);
  EXPECT_EQ(einhead_last_error()->status, EINHEAD_OK);
}

TEST_F(TensorTest, HonoursOuterStridesAndOffsets) {
  Tensor x(f32, {4, 10}), y(f32, {4, 7});
  for (int i = 0; i < 40; ++i)
    x.data<float>()[i] = static_cast<float>(i);
  x.shape = {3, 2};
  x.dl.shape = x.shape.data();
  x.setStrides({10, 1});
  x.dl.byte_offset = 12;
  y.shape = {3, 2};
  y.dl.shape = y.shape.data();
  y.setStrides({7, 1});
  ASSERT_OK(addOne(x, y));
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 2; ++j)
      EXPECT_EQ(y.data<float>()[i * 7 + j], static_cast<float>(i * 10 + j + 4));
  EXPECT_EQ(y.data<float>()[2], 0.0f) << "between the rows nothing is written";
}

TEST_F(TensorTest, StridesOfSingleElementsDoNotMatter) {
  for (int64_t absurd : {int64_t(0), int64_t(-5), INT64_MAX, INT64_MIN}) {
    Tensor x(f32, {1, 3}), y(f32, {1, 3});
    x.data<float>()[2] = 5.0f;
    x.setStrides({absurd, 1});
    y.setStrides({absurd, 1});
    ASSERT_OK(addOne(x, y));
    EXPECT_EQ(y.data<float>()[2], 6.0f);
    Tensor u(f32, {3, 1}), v(f32, {3, 1});
    u.data<float>()[2] = 5.0f;
    u.setStrides({1, absurd});
    ASSERT_OK(addOne(u, v));
    EXPECT_EQ(v.data<float>()[2], 6.0f);
  }
}

TEST_F(TensorTest, EmptyTensorsNeedNoData) {
  Tensor x(f32, {0, 3}), y(f32, {0, 3});
  x.dl.data = nullptr;
  y.dl.data = nullptr;
  EXPECT_OK(addOne(x, y));
  Tensor both(f32, {0, 3});
  both.setStrides({-1, 0}); // nothing to address
  EXPECT_OK(addOne(both, both));
}

TEST_F(TensorTest, RefusesOtherTypes) {
  auto type = [](uint8_t code, uint8_t bits, uint16_t lanes) {
    return [=](Tensor &t) { t.dl.dtype = {code, bits, lanes}; };
  };
  const char *x = "argument 'x'";
  refused(EINHEAD_INVALID_ARGUMENT, "element type f64, wanted f32", x,
          type(kDLFloat, 64, 1));
  refused(EINHEAD_INVALID_ARGUMENT, "element type bf16, wanted f32", x,
          type(kDLBfloat, 16, 1));
  refused(EINHEAD_INVALID_ARGUMENT, "element type i32, wanted f32", x,
          type(kDLInt, 32, 1));
  refused(EINHEAD_INVALID_ARGUMENT, "element type u8, wanted f32", x,
          type(kDLUInt, 8, 1));
  refused(EINHEAD_INVALID_ARGUMENT, "element type f8e4m3, wanted f32", x,
          type(10, 8, 1));
  refused(EINHEAD_INVALID_ARGUMENT, "DLPack code 12 with 8 bits", x, // e5m2
          type(12, 8, 1));
  refused(EINHEAD_INVALID_ARGUMENT, "element type f32x4, wanted f32", x,
          type(kDLFloat, 32, 4));
  refused(EINHEAD_INVALID_ARGUMENT, "DLPack code 99 with 1 bits", x,
          type(99, 1, 1));
  refused(EINHEAD_UNIMPLEMENTED, "on DLPack device 2, wanted the CPU", x,
          [](Tensor &t) { t.dl.device.device_type = kDLCUDA; });
}

TEST_F(TensorTest, RefusesOtherShapes) {
  refused(EINHEAD_INVALID_ARGUMENT, "rank 1, wanted 2", "'x'",
          [](Tensor &t) { t.dl.ndim = 1; });
  refused(EINHEAD_INVALID_ARGUMENT, "rank -1, wanted 2", "'x'",
          [](Tensor &t) { t.dl.ndim = -1; });
  refused(EINHEAD_INVALID_ARGUMENT, "no shape", "'x'",
          [](Tensor &t) { t.dl.shape = nullptr; });
  refused(EINHEAD_INVALID_ARGUMENT, "dimension 0 has extent -1", "dimension 0",
          [](Tensor &t) { t.shape[0] = -1; });
  refused(EINHEAD_INVALID_ARGUMENT,
          "dimension 1 has extent 9223372036854775807", "dimension 1",
          [](Tensor &t) { t.shape[1] = INT64_MAX; });
  refused(EINHEAD_INVALID_ARGUMENT, "product of the extents", "'x'",
          [](Tensor &t) { t.shape = {int64_t(1) << 40, int64_t(1) << 40}; });
  // The names are bound by the input, so the output is what is wrong.
  refused(EINHEAD_INVALID_ARGUMENT,
          "'y' dimension 1 has extent 3, wanted 2 (p)",
          "argument 'y', dimension 1", [](Tensor &t) { t.shape[1] = 2; });
}

TEST_F(TensorTest, RefusesOtherStrides) {
  auto strides = [](int64_t outer, int64_t inner) {
    return [=](Tensor &t) { t.setStrides({outer, inner}); };
  };
  refused(EINHEAD_INVALID_ARGUMENT, "stride 2, wanted 1 in the last",
          "argument 'x', dimension 1", strides(6, 2));
  refused(EINHEAD_INVALID_ARGUMENT, "stride 2, wanted 1 in the last",
          "dimension 1", strides(1, 2)); // transposed
  refused(EINHEAD_INVALID_ARGUMENT, "stride 0, wanted 1 in the last",
          "dimension 1", strides(3, 0));
  refused(EINHEAD_INVALID_ARGUMENT, "stride -1, wanted 1 in the last",
          "dimension 1", strides(3, -1));
  refused(EINHEAD_INVALID_ARGUMENT, "stride 2, wanted at least 3",
          "dimension 0", strides(2, 1));
  refused(EINHEAD_INVALID_ARGUMENT, "stride 0, wanted at least 3",
          "dimension 0", strides(0, 1)); // broadcast
  refused(EINHEAD_INVALID_ARGUMENT, "stride -3, wanted at least 3",
          "dimension 0", strides(-3, 1));
  refused(EINHEAD_INVALID_ARGUMENT, "beyond any memory", "dimension 0",
          strides(INT64_MAX, 1));
  refused(EINHEAD_INVALID_ARGUMENT, "beyond any memory", "dimension 0",
          strides(int64_t(1) << 60, 1));
}

TEST_F(TensorTest, RefusesOtherData) {
  refused(EINHEAD_INVALID_ARGUMENT, "no data", "'x'",
          [](Tensor &t) { t.dl.data = nullptr; });
  refused(EINHEAD_INVALID_ARGUMENT, "not aligned to its element's 4 bytes",
          "'x'", [](Tensor &t) { t.dl.byte_offset = 2; });
  refused(EINHEAD_INVALID_ARGUMENT, "byte offset", "'x'",
          [](Tensor &t) { t.dl.byte_offset = ~uint64_t(0) - 3; });
  refused(EINHEAD_INVALID_ARGUMENT, "address space", "'x'", [](Tensor &t) {
    t.dl.data = reinterpret_cast<void *>(~uintptr_t(0) - 15);
  });
}

TEST_F(TensorTest, RefusesMemoryThatTheCallWrites) {
  Tensor x(f32, {4, 3}), y(f32, {2, 3});
  x.shape = {2, 3};
  x.dl.shape = x.shape.data();
  for (uint64_t offset : {0, 4, 20}) {
    y.dl.data = x.dl.data;
    y.dl.byte_offset = offset;
    expectError(addOne(x, y), EINHEAD_INVALID_ARGUMENT,
                "'x' overlaps that of 'y'", "argument 'x'");
  }
  y.dl.byte_offset = 24; // right behind: no overlap
  EXPECT_OK(addOne(x, y));
  // Two outputs.
  Tensor one(i64, {1}), all(i32, {1});
  EXPECT_OK(call(session, "lengths", {}, {&one, &all}));
  all.dl.data = one.dl.data;
  expectError(call(session, "lengths", {}, {&one, &all}),
              EINHEAD_INVALID_ARGUMENT, "'all' overlaps that of 'one'");
  // Nothing overlaps with nothing.
  Session two = create(2, 4);
  Tensor none(f32, {2, 0, 2}), totals(f32, {2});
  none.dl.data = totals.data<float>() + 1;
  EXPECT_OK(call(two, "append_n", {&none}, {&totals}));
  // A cache.
  DLTensor k;
  ASSERT_OK(einhead_session_cache(session.get(), "k", &k));
  Tensor in(f32, {1, 1, 2}), total(f32, {1});
  in.dl.data = k.data;
  expectError(call(session, "append", {&in}, {&total}),
              EINHEAD_INVALID_ARGUMENT, "'x' overlaps that of 'k'");
  in.dl.data = in.storage.data();
  total.dl.data = k.data;
  total.dl.byte_offset = 28;
  expectError(call(session, "append", {&in}, {&total}),
              EINHEAD_INVALID_ARGUMENT, "'total' overlaps that of 'k'");
}

TEST_F(TensorTest, CountsAndPointersAreChecked) {
  Tensor x(f32, {1, 1}), y(f32, {1, 1});
  einhead_session_t *s = session.get();
  expectError(einhead_session_call(s, "add_one", &x.dl, 0, &y.dl, 1),
              EINHEAD_INVALID_ARGUMENT, "takes 1 inputs, got 0", "input_count");
  expectError(einhead_session_call(s, "add_one", &x.dl, 1, &y.dl, 2),
              EINHEAD_INVALID_ARGUMENT, "has 1 outputs, got 2", "output_count");
  expectError(einhead_session_call(s, "add_one", nullptr, 1, &y.dl, 1),
              EINHEAD_INVALID_ARGUMENT, "inputs is null", "inputs");
  expectError(einhead_session_call(s, "add_one", &x.dl, 1, nullptr, 1),
              EINHEAD_INVALID_ARGUMENT, "outputs is null", "outputs");
  expectError(einhead_session_call(s, nullptr, &x.dl, 1, &y.dl, 1),
              EINHEAD_INVALID_ARGUMENT, "null", "function");
  expectError(einhead_session_call(s, "add_two", &x.dl, 1, &y.dl, 1),
              EINHEAD_NOT_FOUND, "no function 'add_two'");
}

TEST_F(TensorTest, ScalarsAreTensorsOfRankZero) {
  Tensor x(f32, {2}), scale(f32, {}), shift(i32, {}), y(f32, {2});
  x.data<float>()[1] = 3.0f;
  scale.data<float>()[0] = 0.5f;
  shift.data<int32_t>()[0] = -4;
  ASSERT_OK(call(session, "scale", {&x, &scale, &shift}, {&y}));
  EXPECT_EQ(y.data<float>()[0], -4.0f);
  EXPECT_EQ(y.data<float>()[1], -2.5f);
  Tensor one(f32, {1});
  expectError(call(session, "scale", {&x, &one, &shift}, {&y}),
              EINHEAD_INVALID_ARGUMENT, "'scale' has rank 1, wanted 0");
  expectError(call(session, "scale", {&x, &shift, &shift}, {&y}),
              EINHEAD_INVALID_ARGUMENT, "'scale' has element type i32");
}

TEST_F(TensorTest, NamesPlusNumbersAreBoundAndChecked) {
  Tensor x(i64, {3}), y(i64, {4});
  EXPECT_OK(call(session, "grow", {&x}, {&y}));
  EXPECT_EQ(y.data<int64_t>()[3], -1);
  Tensor same(i64, {3});
  expectError(call(session, "grow", {&x}, {&same}), EINHEAD_INVALID_ARGUMENT,
              "extent 3, wanted 4 (q+2)", "argument 'y', dimension 0");
  Tensor none(i64, {0});
  expectError(call(session, "grow", {&none}, {&y}), EINHEAD_INVALID_ARGUMENT,
              "extent 0, wanted at least 1 (q+1)", "argument 'x'");
  // Binding is per call: another extent next time.
  Tensor longer(i64, {7}), result(i64, {8});
  EXPECT_OK(call(session, "grow", {&longer}, {&result}));
}

TEST_F(TensorTest, OutputsNeedBoundNames) {
  Tensor seen(i32, {4}), nested(i32, {4});
  expectError(call(session, "parallel", {}, {&seen, &nested}),
              EINHEAD_INVALID_ARGUMENT, "'count', which no input says",
              "argument 'seen'");
}

TEST_F(TensorTest, BooleansAreBytesOfZeroAndOne) {
  Tensor keep(boolean, {2, 3}), x(f32, {2, 3}), y(f32, {2, 3});
  for (int i = 0; i < 6; ++i)
    x.data<float>()[i] = static_cast<float>(i + 1);
  keep.data<uint8_t>()[1] = keep.data<uint8_t>()[5] = 1;
  ASSERT_OK(call(session, "keep", {&keep, &x}, {&y}));
  const float wanted[] = {0, 2, 0, 0, 0, 6};
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(y.data<float>()[i], wanted[i]);

  y.data<float>()[0] = 77.0f;
  keep.data<uint8_t>()[4] = 2;
  expectError(call(session, "keep", {&keep, &x}, {&y}),
              EINHEAD_INVALID_ARGUMENT,
              "'keep' has a byte 2, wanted 0 or 1 in a bool", "'keep'");
  EXPECT_EQ(y.data<float>()[0], 77.0f) << "the code ran";
  // What lies between the rows is not looked at.
  Tensor wide(boolean, {2, 5});
  wide.data<uint8_t>()[4] = 9;
  wide.shape = {2, 3};
  wide.dl.shape = wide.shape.data();
  wide.setStrides({5, 1});
  EXPECT_OK(call(session, "keep", {&wide, &x}, {&y}));

  Tensor bytes({kDLUInt, 8, 1}, {2, 3});
  expectError(call(session, "keep", {&bytes, &x}, {&y}),
              EINHEAD_INVALID_ARGUMENT, "element type u8, wanted bool",
              "'keep'");
  Tensor empty(boolean, {2, 0}), none(f32, {2, 0}), nothing(f32, {2, 0});
  EXPECT_OK(call(session, "keep", {&empty, &none}, {&nothing}));
  Tensor swapped(boolean, {2, 3});
  expectError(call(session, "keep", {&x, &x}, {&y}), EINHEAD_INVALID_ARGUMENT,
              "element type f32, wanted bool", "'keep'");
  expectError(addOne(swapped, y), EINHEAD_INVALID_ARGUMENT,
              "element type bool, wanted f32", "'x'");
}

// The fixture's booleans as f8E4M3FN: bytes, each of which is a number.
TEST_F(TensorTest, Float8IsABytePerElement) {
  std::string functions = fixtureFunctions;
  const std::string type = "\"bool\"", other = "\"f8e4m3\"";
  functions.replace(functions.find(type), type.size(), other);
  // Its cache, too.
  const std::string cache = R"("kind": "cache", "type": "f32")";
  for (size_t at = 0; (at = functions.find(cache, at)) != std::string::npos;)
    functions.replace(at, cache.size(), R"("kind": "cache", "type": "f8e4m3")");
  Module module = open(moduleFile(functions));
  ASSERT_TRUE(module);
  const einhead_dimension_t dimensions[] = {{"b", 2}, {"m", 5}};
  einhead_session_options_t options = {};
  options.dimensions = dimensions;
  options.dimension_count = 2;
  einhead_session_t *made = nullptr;
  ASSERT_OK(einhead_session_create(module.get(), &options, &made));
  Session session(made);

  Tensor keep(f8e4m3, {1, 3}), x(f32, {1, 3}), y(f32, {1, 3});
  for (int i = 0; i < 3; ++i)
    x.data<float>()[i] = static_cast<float>(i + 1);
  keep.data<uint8_t>()[1] = 0x7f; // not refused as a boolean's 2 is
  ASSERT_OK(call(session, "keep", {&keep, &x}, {&y}));
  const float wanted[] = {0, 2, 0};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(y.data<float>()[i], wanted[i]);
  Tensor bytes({kDLUInt, 8, 1}, {1, 3});
  expectError(call(session, "keep", {&bytes, &x}, {&y}),
              EINHEAD_INVALID_ARGUMENT, "element type u8, wanted f8e4m3",
              "'keep'");

  DLTensor k;
  ASSERT_OK(einhead_session_cache(session.get(), "k", &k));
  EXPECT_EQ(k.dtype.code, f8e4m3.code);
  EXPECT_EQ(k.dtype.bits, 8);
  EXPECT_EQ(k.strides[0], 10);
}
