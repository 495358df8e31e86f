//===- Session.h - The runtime's objects, owned -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_SESSION_H
#define EINHEAD_TOOLS_SESSION_H

#include "Manifest.h"
#include "einhead/runtime.h"

namespace einhead::tool {

/// The thread's last error of the runtime, with the exit code that fits it.
llvm::Error runtimeError(einhead_status_t status, const llvm::Twine &doing);

/// A module that the runtime has opened.
class Module {
public:
  static llvm::Expected<Module> open(llvm::StringRef path,
                                     llvm::StringRef parameters = "");
  einhead_module_t *get() const { return module.get(); }
  const Manifest &manifest() const { return contents; }

private:
  struct Release {
    void operator()(einhead_module_t *m) const { einhead_module_release(m); }
  };
  std::unique_ptr<einhead_module_t, Release> module;
  Manifest contents;
};

class DeviceTensors;

/// A session of a module, on the first GPU where the module is for one: tensors
/// then are copied there for each call and back.
class Session {
public:
  Session();
  Session(Session &&);
  Session &operator=(Session &&);
  ~Session();
  /// Names that the module does not have are left out: the compiler may have
  /// bound them.
  static llvm::Expected<Session>
  create(const Module &module, const Bindings &dimensions, int threads);
  llvm::Error call(const std::string &function, llvm::ArrayRef<DLTensor> inputs,
                   llvm::ArrayRef<DLTensor> outputs);
  einhead_session_t *get() const { return session.get(); }
  /// What the last call took, without copies.
  double seconds() const { return lastSeconds; }

private:
  llvm::Error callOnDevice(const std::string &function,
                           llvm::ArrayRef<DLTensor> inputs,
                           llvm::ArrayRef<DLTensor> outputs);
  llvm::Error callTimed(const std::string &function,
                        llvm::ArrayRef<DLTensor> inputs,
                        llvm::ArrayRef<DLTensor> outputs);

  struct Release {
    void operator()(einhead_session_t *s) const { einhead_session_release(s); }
  };
  const Manifest *manifest = nullptr; // of a module that lives longer
  std::unique_ptr<DeviceTensors> device;
  std::unique_ptr<einhead_session_t, Release> session;
  double lastSeconds = 0;
};

/// The tensors that a function takes and returns, in the manifest's order.
struct CallTensors {
  std::vector<HostTensor> inputs, outputs;
  std::vector<const Argument *> inputArguments, outputArguments;
  std::vector<DLTensor> inputViews, outputViews;

  /// Makes them, zero-filled.  The error says which names have no extent.
  static llvm::Expected<std::unique_ptr<CallTensors>>
  create(const Function &function, const Bindings &bindings);
};

/// The names in the shapes of the function's arguments of that kind, or of any
/// kind for "".
std::vector<std::string> namesIn(const Function &function,
                                 llvm::StringRef kind = "");

/// "give --size=..." for names without an extent.
llvm::Error missingSizes(llvm::ArrayRef<std::string> names,
                         const Function &function);

/// Parses "b=1" entries.
llvm::Expected<Bindings> parseSizes(llvm::ArrayRef<std::string> entries);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_SESSION_H
