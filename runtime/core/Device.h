//===- Device.h - What a session needs of an accelerator --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_DEVICE_H
#define EINHEAD_RUNTIME_CORE_DEVICE_H

#include "core/Manifest.h"

#include <cstdint>
#include <memory>

namespace einhead::runtime {

/// What a device keeps of one module, for all its sessions: loaded code and
/// parameters.
class DeviceModule {
public:
  virtual ~DeviceModule() = default;
};

/// The side of a session that is on a device.  Everything but synchronize()
/// only enqueues work on the session's stream.
class DeviceSession {
public:
  virtual ~DeviceSession() = default;

  virtual DLDevice device() const = 0;
  /// OK, or what made the device unusable.
  virtual einhead_status_t status() const = 0;

  /// Memory that lives as long as the session, filled with zeros.
  virtual einhead_status_t allocate(size_t bytes, const Where &where,
                                    void *&out) = 0;
  /// Makes the lengths, all 0, in both widths.
  virtual einhead_status_t makeLengths(size_t count) = 0;
  virtual int64_t *lengths() const = 0;
  virtual int32_t *narrowLengths() const = 0;
  /// A parameter of the module, by its index in the manifest.
  virtual void *parameter(size_t index) const = 0;

  /// Starts a call; `outIsCapturing` says whether its work is recorded instead
  /// of run.  One that was started ends in endCall().
  virtual einhead_status_t beginCall(bool &outIsCapturing) = 0;
  /// Adds to all lengths, behind the work of the call.
  virtual einhead_status_t advance(int64_t keys) = 0;
  virtual void endCall() = 0;

  virtual einhead_status_t setLength(size_t sequence, int64_t length) = 0;
  virtual einhead_status_t setStream(void *stream) = 0;
  virtual einhead_status_t synchronize() = 0;

  // The host table's functions, inside a call (einhead_host_t).
  virtual einhead_status_t workspace(int64_t bytes, int64_t alignment,
                                     void *&out) = 0;
  virtual einhead_status_t zeroed(int64_t bytes, void *&out) = 0;
  virtual einhead_status_t launch(const char *kernel, const int64_t grid[3],
                                  const int64_t block[3], int64_t cluster,
                                  int64_t sharedBytes, void **arguments) = 0;
  virtual einhead_status_t tensorMap(void *map, void *base, int64_t type,
                                     int64_t rank, const int64_t *sizes,
                                     const int64_t *byteStrides,
                                     const int64_t *box,
                                     int64_t swizzleBytes) = 0;
  virtual int64_t multiprocessors() const = 0;
  virtual einhead_status_t clusters(const char *kernel, int64_t cluster,
                                    int64_t threads, int64_t sharedBytes,
                                    int64_t &out) = 0;
};

/// One call of a session on a device, or of one that has none (null).
class DeviceCall {
public:
  explicit DeviceCall(DeviceSession *device) : device(device) {}
  DeviceCall(const DeviceCall &) = delete;
  DeviceCall &operator=(const DeviceCall &) = delete;
  ~DeviceCall() {
    if (isOpen)
      device->endCall();
  }
  einhead_status_t begin() {
    if (!device)
      return EINHEAD_OK;
    if (einhead_status_t status = device->beginCall(capturing))
      return status;
    isOpen = true;
    return EINHEAD_OK;
  }
  bool isCapturing() const { return capturing; }

private:
  DeviceSession *device;
  bool isOpen = false, capturing = false;
};

/// Checks the images of device code before a driver sees them.
einhead_status_t checkDeviceImages(const DeviceCode &device);

/// Opens the device that the options name for sessions of this module, which
/// has device code.
einhead_status_t openDevice(einhead_module_t &module,
                            const einhead_session_options_t &options,
                            std::unique_ptr<DeviceSession> &out);

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_DEVICE_H
