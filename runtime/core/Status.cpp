//===- Status.cpp - Statuses and the record of the last error ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Status.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

using namespace einhead::runtime;

namespace {
thread_local einhead_error_t lastError = {EINHEAD_OK, "", ""};

/// vsnprintf that never leaves half a UTF-8 character at the end: bindings
/// decode these texts strictly.
void format(char *buffer, size_t size, const char *text, va_list arguments) {
  int length = std::vsnprintf(buffer, size, text, arguments);
  if (length < 0) {
    buffer[0] = '\0';
    return;
  }
  if (static_cast<size_t>(length) < size)
    return;
  size_t end = size - 1;
  while (end > 0 &&
         (static_cast<unsigned char>(buffer[end - 1]) & 0xC0) == 0x80)
    --end;
  if (end > 0 && (static_cast<unsigned char>(buffer[end - 1]) & 0xC0) == 0xC0)
    --end;
  else
    end = size - 1;
  buffer[end] = '\0';
}
} // namespace

Where::Where(const char *place) {
  std::snprintf(text, sizeof(text), "%s", place);
}

Where einhead::runtime::at(const char *text, ...) {
  Where where("");
  va_list arguments;
  va_start(arguments, text);
  format(where.text, sizeof(where.text), text, arguments);
  va_end(arguments);
  return where;
}

einhead_status_t einhead::runtime::fail(einhead_status_t status,
                                        const Where &where, const char *text,
                                        ...) {
  lastError.status = status;
  std::memcpy(lastError.where, where.text, sizeof(lastError.where));
  va_list arguments;
  va_start(arguments, text);
  format(lastError.text, sizeof(lastError.text), text, arguments);
  va_end(arguments);
  return status;
}

void einhead::runtime::clearError() {
  lastError.status = EINHEAD_OK;
  lastError.text[0] = '\0';
  lastError.where[0] = '\0';
}

const einhead_error_t *einhead_last_error(void) { return &lastError; }

const char *einhead_version(void) { return "0.1.0"; }

const char *einhead_status_name(einhead_status_t status) {
  // An int, so that a value from a newer header is no undefined behaviour.
  switch (static_cast<int>(status)) {
  case EINHEAD_OK:
    return "EINHEAD_OK";
  case EINHEAD_INVALID_ARGUMENT:
    return "EINHEAD_INVALID_ARGUMENT";
  case EINHEAD_OUT_OF_RANGE:
    return "EINHEAD_OUT_OF_RANGE";
  case EINHEAD_FAILED_PRECONDITION:
    return "EINHEAD_FAILED_PRECONDITION";
  case EINHEAD_RESOURCE_EXHAUSTED:
    return "EINHEAD_RESOURCE_EXHAUSTED";
  case EINHEAD_UNIMPLEMENTED:
    return "EINHEAD_UNIMPLEMENTED";
  case EINHEAD_CORRUPT_ARTIFACT:
    return "EINHEAD_CORRUPT_ARTIFACT";
  case EINHEAD_INCOMPATIBLE_ARTIFACT:
    return "EINHEAD_INCOMPATIBLE_ARTIFACT";
  case EINHEAD_BUSY:
    return "EINHEAD_BUSY";
  case EINHEAD_DEVICE_ERROR:
    return "EINHEAD_DEVICE_ERROR";
  case EINHEAD_DEVICE_LOST:
    return "EINHEAD_DEVICE_LOST";
  case EINHEAD_NOT_FOUND:
    return "EINHEAD_NOT_FOUND";
  case EINHEAD_INTERNAL:
    return "EINHEAD_INTERNAL";
  }
  return "an unknown status";
}
