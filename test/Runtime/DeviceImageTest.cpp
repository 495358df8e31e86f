//===- DeviceImageTest.cpp - Which device code a GPU gets ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "DeviceTest.h"
#include "core/Container.h"
#include "cuda/Images.h"

using namespace einhead;
using namespace einhead::test;

TEST_F(DeviceTest, TheBestImageIsTaken) {
  struct Case {
    const char *compute;
    std::vector<std::pair<const char *, const char *>> images;
    std::vector<size_t> order;
  };
  const Case cases[] = {
      {"9.0", {{"ptx", "sm_90a"}, {"cubin", "sm_90a"}}, {1, 0}},
      {"9.0", {{"cubin", "sm_90"}, {"cubin", "sm_90a"}}, {1, 0}},
      {"9.0", {{"cubin", "sm_80"}, {"ptx", "sm_80"}}, {1}},
      {"9.0",
       {{"ptx", "sm_75"}, {"ptx", "sm_80"}, {"ptx", "sm_90"}},
       {2, 1, 0}},
      {"8.6",
       {{"cubin", "sm_80"}, {"cubin", "sm_86"}, {"cubin", "sm_89"}},
       {1, 0}},
      {"8.9", {{"cubin", "sm_90"}, {"ptx", "sm_90"}}, {}},
      {"10.0", {{"cubin", "sm_90a"}, {"ptx", "sm_90a"}}, {}},
      {"10.0", {{"cubin", "sm_90"}, {"ptx", "sm_90"}}, {1}},
      {"10.3",
       {{"cubin", "sm_100f"}, {"ptx", "sm_100f"}, {"ptx", "sm_100"}},
       {0, 1, 2}},
      {"12.0",
       {{"cubin", "sm_100f"}, {"ptx", "sm_100f"}, {"ptx", "sm_100"}},
       {2}},
      {"10.3", {{"cubin", "sm_100a"}, {"ptx", "sm_100a"}}, {}},
      // What another runtime may know is passed over.
      {"9.0", {{"ltoir", "sm_90"}, {"cubin", "gfx942"}, {"ptx", "sm_90"}}, {2}},
      {"9.0", {{"ptx", "sm_9"}, {"ptx", "sm_"}, {"ptx", "sm_90x"}}, {}},
  };
  for (const Case &c : cases) {
    std::vector<runtime::DeviceImage> images;
    for (const auto &[format, chip] : c.images)
      images.push_back({format, chip, ""});
    const std::string compute = c.compute;
    size_t dot = compute.find('.');
    EXPECT_EQ(runtime::cuda::fittingImages(
                  images, {std::stoi(compute.substr(0, dot)),
                           std::stoi(compute.substr(dot + 1))}),
              c.order)
        << compute << ", " << c.images[0].second;
  }
}

TEST_F(DeviceTest, LoadsOneImageOncePerModule) {
  auto &images = fake::record().images;
  Session first = create(1, 8), second = create(1, 8);
  ASSERT_EQ(images.size(), 2u); // the runtime's own kernels, and the module's
  EXPECT_NE(images[0].find("einhead_advance_lengths"), std::string::npos);
  EXPECT_NE(images[1].find("the cubin"), std::string::npos);
}

TEST_F(DeviceTest, AnImageThatTheDriverRefusesIsPassedOver) {
  module = open(deviceModule({{"cubin", "sm_90a", cubin("for another chip")},
                              {"ptx", "sm_90", ptx("the PTX")}}));
  create(1, 8);
  EXPECT_NE(fake::record().images.back().find("the PTX"), std::string::npos);
  module = open(deviceModule({{"cubin", "sm_90a", cubin("for another chip")},
                              {"ptx", "sm_90", ptx("broken")}}));
  Session session;
  expectError(tryCreate(1, 8, session), EINHEAD_INCOMPATIBLE_ARTIFACT,
              "the driver does not take the ptx for sm_90: CUDA_ERROR_218 (a "
              "fake error): line 7: broken",
              "device image 1");
  module = open(deviceModule({{"cubin", "sm_90a", cubin()}}));
  set("FAKE_CUDA_COMPUTE", "8.0");
  expectError(
      tryCreate(1, 8, session), EINHEAD_INCOMPATIBLE_ARTIFACT,
      "compute capability 8.0, the module has cubin for sm_90a; compile "
      "it with --chip=sm_80",
      "device");
}

TEST_F(DeviceTest, KernelsThatTheImageLacksAreNamed) {
  module =
      open(deviceModule({{"ptx", "sm_90", ".version 8\n.entry append()"}}));
  Session session;
  expectError(tryCreate(1, 8, session), EINHEAD_CORRUPT_ARTIFACT,
              "no kernel 'probe', which the manifest names", "kernel 'probe'");
}

TEST_F(DeviceTest, ImagesMustBeWhatTheManifestSays) {
  const einhead_status_t corrupt = EINHEAD_CORRUPT_ARTIFACT;
  expectRefused(deviceModule({{"cubin", "sm_90", ptx()}}), corrupt,
                "not the cubin", "device image 0");
  expectRefused(deviceModule({{"cubin", "sm_90", cubin().substr(0, 63)}}),
                corrupt, "not the cubin");
  std::string outside = cubin();
  outside[60] = 1;  // one section header
  outside[58] = 64; // of the right size
  put64(outside, 40, outside.size() - 63);
  expectRefused(deviceModule({{"cubin", "sm_90", outside}}), corrupt,
                "not the cubin");
  std::string inside = cubin(std::string(64, '\0'));
  inside[60] = 1;
  inside[58] = 64;
  put64(inside, 40, inside.size() - 64);
  EXPECT_TRUE(open(deviceModule({{"cubin", "sm_90", inside}})));
  put32(inside, inside.size() - 60, 1);    // the section has bytes
  put64(inside, inside.size() - 40, 1000); // where there are none
  expectRefused(deviceModule({{"cubin", "sm_90", inside}}), corrupt,
                "not the cubin");
  expectRefused(
      deviceModule({{"ptx", "sm_90", ptx()}, {"ptx", "sm_80", "nonsense"}}),
      corrupt, "not the PTX", "device image 1");
  expectRefused(deviceModule({{"ptx", "sm_90", ptx() + '\0' + "x"}}), corrupt,
                "not the PTX");
}

TEST_F(DeviceTest, SectionsAndManifestMustAgree) {
  const std::string code = fixtureCode("device_fixture");
  const std::vector<Image> two = {{"ptx", "sm_90", ptx()},
                                  {"ptx", "sm_80", ptx()}};
  auto file = [&](const std::string &manifest, int images) {
    std::vector<Section> sections = {{1, 1, manifest}, {2, 1, code}};
    for (int i = 0; i < images; ++i)
      sections.push_back({4, 1, ptx()});
    return writeContainer(sections);
  };
  EXPECT_TRUE(open(file(deviceManifest(two), 2)));
  for (int images : {0, 1, 3})
    expectRefused(file(deviceManifest(two), images), EINHEAD_CORRUPT_ARTIFACT,
                  "2 device images, and the file has " + std::to_string(images),
                  "manifest, device");
  expectRefused(file(manifestOf(deviceFunctions), 1), EINHEAD_CORRUPT_ARTIFACT,
                "0 device images, and the file has 1");
  // A kind of section that a runtime does not know keeps it from loading the
  // file: so do images for one that is older than they are.
  expectRefused(
      writeContainer({{1, 1, deviceManifest(two)}, {2, 1, code}, {5, 1, ""}}),
      EINHEAD_INCOMPATIBLE_ARTIFACT, "unknown required section of type 5");
}

TEST_F(DeviceTest, ManifestsOfDevicesAreChecked) {
  auto parse = [&](const std::string &device) {
    runtime::Manifest manifest;
    std::string rest = manifestOf(deviceFunctions);
    return parseManifest("{\"device\": " + device + ", " + rest.substr(1),
                         manifest);
  };
  const std::string image = R"({"format": "ptx", "chip": "sm_90"})";
  auto cuda = [&](const std::string &members) {
    return parse(R"({"kind": "cuda", "chip": "sm_90")" + members + "}");
  };
  EXPECT_OK(cuda(R"(, "images": [)" + image + "], \"new\": 1"));
  expectError(parse(R"({"kind": "abacus"})"), EINHEAD_INCOMPATIBLE_ARTIFACT,
              "unknown kind of device 'abacus'", "manifest, device");
  struct Case {
    std::string text;
    const char *error;
  };
  const Case cases[] = {
      {"3", "\"device\" is not an object"},
      {"{}", "\"kind\" is missing"},
      {R"({"kind": "cuda"})", "\"chip\" is missing"},
      {R"({"kind": "cuda", "chip": 90})", "\"chip\" is missing or not a"},
      {R"({"kind": "cuda", "chip": "sm_90"})", "\"images\" is missing"},
      {R"({"kind": "cuda", "chip": "sm_90", "images": []})", "or empty"},
      {R"({"kind": "cuda", "chip": "sm_90", "images": {}})", "not a list"},
      {R"({"kind": "cuda", "chip": "sm_90", "images": [1]})",
       "an image is not an object"},
      {R"({"kind": "cuda", "chip": "sm_90", "images": [{"chip": "sm_90"}]})",
       "\"format\" is missing"},
      {R"({"kind": "cuda", "chip": "sm_90", "images": [{"format": "ptx"}]})",
       "\"chip\" is missing"},
      {R"({"kind": "cuda", "chip": "sm_90", "images": [)" + image +
           R"(], "kernels": [1]})",
       "\"kernels\" is not a list of strings"},
      {R"({"kind": "cuda", "chip": "sm_90", "images": [)" + image +
           R"(], "kernels": ["k", "k"]})",
       "two kernels of one name"},
  };
  for (const Case &c : cases)
    expectError(parse(c.text), EINHEAD_CORRUPT_ARTIFACT, c.error,
                "manifest, device");
}

TEST_F(DeviceTest, EveryFlippedBitOfADeviceModuleIsRefused) {
  std::string file =
      deviceModule({{"cubin", "sm_90a", cubin()}, {"ptx", "sm_90a", ptx()}});
  auto *bytes = reinterpret_cast<uint8_t *>(file.data());
  runtime::Container container;
  ASSERT_EQ(parseContainer(bytes, file.size(), container), EINHEAD_OK);
  EXPECT_EQ(container.images.size(), 2u);
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_NE(parseContainer(bytes, file.size(), container), EINHEAD_OK) << bit;
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
  }
}
