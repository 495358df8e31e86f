/*===- runtime_c.c - runtime.h is C11 and usable from C ---------------------===
 *
 * Part of the Einhead project, under the Apache License v2.0 with LLVM
 * Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===------------------------------------------------------------------------===*/
#include "einhead/runtime.h"

#include <stdio.h>
#include <string.h>

static int failures = 0;

static void expect(int holds, const char *what) {
  if (holds)
    return;
  fprintf(stderr, "failed: %s\n", what);
  ++failures;
}

int main(void) {
  einhead_module_t *module = (einhead_module_t *)16;
  einhead_session_t *session = (einhead_session_t *)16;
  int64_t length = 5;
  DLTensor view;

  expect(strcmp(einhead_version(), "0.1.0") == 0, "version");
  expect(einhead_module_open("/nonexistent/m.einhead", NULL, &module) ==
             EINHEAD_NOT_FOUND,
         "a missing file is NOT_FOUND");
  expect(module == NULL, "the module is null after a failure");
  expect(einhead_last_error()->status == EINHEAD_NOT_FOUND, "last status");
  expect(strstr(einhead_last_error()->text, "/nonexistent/m.einhead") != NULL,
         "the message names the file");
  expect(einhead_session_create(NULL, NULL, &session) ==
             EINHEAD_INVALID_ARGUMENT,
         "no module");
  expect(session == NULL, "the session is null after a failure");
  expect(einhead_session_call(NULL, "f", NULL, 0, NULL, 0) ==
             EINHEAD_INVALID_ARGUMENT,
         "no session");
  expect(einhead_session_length(NULL, 0, &length) == EINHEAD_INVALID_ARGUMENT,
         "length without a session");
  expect(length == 0, "the length is zero after a failure");
  expect(einhead_session_set_length(NULL, 0, 1) == EINHEAD_INVALID_ARGUMENT,
         "set_length without a session");
  expect(einhead_session_cache(NULL, "k", &view) == EINHEAD_INVALID_ARGUMENT,
         "cache without a session");
  expect(einhead_module_manifest(NULL)[0] == '\0', "no manifest");
  einhead_module_release(NULL);
  einhead_session_release(NULL);
  return failures != 0;
}
