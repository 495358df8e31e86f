/*===- main.c - A C program that embeds the runtime -------------------------===
 *
 * Part of the Einhead project, under the Apache License v2.0 with LLVM
 * Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 *===------------------------------------------------------------------------===*/
#include <einhead/runtime.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  einhead_module_t *module = NULL;
  einhead_status_t status =
      einhead_module_open("no-such-file.einhead", NULL, &module);
  if (status != EINHEAD_NOT_FOUND || module != NULL) {
    fprintf(stderr, "a missing file gave %s\n", einhead_status_name(status));
    return 1;
  }
  if (!strstr(einhead_last_error()->text, "no-such-file.einhead")) {
    fprintf(stderr, "the error does not name the file: %s\n",
            einhead_last_error()->text);
    return 1;
  }
  printf("einhead runtime %s: %s\n", einhead_version(),
         einhead_last_error()->text);
  return 0;
}
