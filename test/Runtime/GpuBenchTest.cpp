//===- GpuBenchTest.cpp - benchmarks/gpu, on a fake GPU ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "DeviceTest.h"

#include <cstdlib>
#include <sys/wait.h>

using namespace einhead::test;

namespace {
/// With keys and values of that type.
std::string attention(const std::string &type, const std::string &symbol) {
  return R"({"name": "attention", "symbol": ")" + symbol + R"(", "arguments": [
  {"name": "query", "kind": "input", "type": "bf16", "shape": [3, 2, 5, 16]},
  {"name": "key", "kind": "input", "type": ")" +
         type + R"(",
   "shape": [3, 2, "m", 16]},
  {"name": "value", "kind": "input", "type": ")" +
         type + R"(",
   "shape": [3, 2, "m", 16]},
  {"name": "lengths", "kind": "input", "type": "i64", "shape": [3]},
  {"name": "output", "kind": "output", "type": "f32", "shape": [3, 2, 5, 16]}]})";
}

/// The program on the fake driver, in a process of its own.
class GpuBenchTest : public RuntimeTest {
protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    for (const auto &[type, kernel] :
         {std::pair<std::string, std::string>{"bf16", "attention"},
          {"f8e4m3", "attention_f8"}}) {
      std::string manifest = manifestOf(attention(type, "entry_" + kernel));
      manifest =
          R"({"device": {"kind": "cuda", "chip": "sm_90", "kernels": [")" +
          kernel + R"("],
          "images": [{"format": "ptx", "chip": "sm_90"}]}, )" +
          manifest.substr(1);
      write(kernel + ".einhead",
            writeContainer({{1, 1, manifest},
                            {2, 1, fixtureCode("device_fixture")},
                            {4, 1, ".version 8.0\n.entry " + kernel + "()"}}));
    }
    write("list.json",
          R"([{"name": "ragged", "module": "attention.einhead",
               "spec": "bgrk, bgmk, bgmv -> bgrv", "sizes": {"m": 70},
               "lengths": [70, 1, 33]},
              {"name": "whole", "module": "attention.einhead",
               "spec": "bgrk, bgmk, bgmv -> bgrv", "sizes": {"m": 9}},
              {"name": "fp8", "module": "attention_f8.einhead",
               "spec": "bgrk, bgmk, bgmv -> bgrv", "sizes": {"m": 70},
               "lengths": [70, 1, 33]}])");
  }

  /// The exit status; what it prints is in `output`.
  int run(const std::string &flags, const std::string &environment = "") {
    const std::string command =
        environment +
        " FAKE_CUDA_TOTAL=4194304 EINHEAD_CUDA_LIBRARY='" EINHEAD_FAKE_BENCH
        "' '" +
        EINHEAD_GPU_BENCH "' --list='" + path("list.json") + "' --json='" +
        path("out.json") + "' --reruns=3 --replays=3 " + flags + " >'" +
        path("out") + "' 2>&1";
    int status = std::system(command.c_str());
    output = readText(path("out"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string output;
};
} // namespace

TEST_F(GpuBenchTest, MeasuresWhatIsRight) {
  ASSERT_EQ(run(""), 0) << output;
  EXPECT_NE(output.find("Fake GPU, sm_90"), std::string::npos) << output;
  for (const char *name : {"ragged ", "whole ", "fp8 "})
    EXPECT_NE(output.find(name), std::string::npos) << output;
  const std::string json = readText(path("out.json"));
  // Keys and values of 104 of 210 keys: 2 heads of 16 numbers of 2 bytes.
  EXPECT_NE(json.find("\"bytes\": 13312"), std::string::npos) << json;
  EXPECT_NE(json.find("\"bytes\": 6656"), std::string::npos) << json;
  EXPECT_EQ(run("--only=whole"), 0);
  EXPECT_EQ(output.find("ragged "), std::string::npos) << output;
}

TEST_F(GpuBenchTest, RefusesWhatIsWrong) {
  const std::pair<const char *, const char *> faults[] = {
      {"stale", "wrong result"},
      {"padding", "wrong result"},
      {"drift", "gives other bits"}};
  for (const auto &[fault, text] : faults)
    for (const char *only : {"--only=ragged", "--only=fp8"}) {
      EXPECT_EQ(run(only, std::string("FAKE_ATTENTION=") + fault), 1)
          << fault << ": " << output;
      EXPECT_NE(output.find(text), std::string::npos)
          << fault << ": " << output;
    }
  EXPECT_EQ(run("--spoil"), 1) << output;
  EXPECT_NE(output.find("wrong result"), std::string::npos) << output;
}

TEST_F(GpuBenchTest, SaysWhatIsMissing) {
  EXPECT_EQ(run("--nonsense"), 2);
  EXPECT_NE(output.find("what is '--nonsense'?"), std::string::npos);
  EXPECT_EQ(run("", "FAKE_CUDA_GPUS=0"), 2);
  EXPECT_NE(output.find("finds no GPU"), std::string::npos) << output;
  EXPECT_EQ(run("", "FAKE_CUDA_COMPUTE=8.0"), 1);
  EXPECT_NE(output.find("compute capability 8.0"), std::string::npos) << output;
}
