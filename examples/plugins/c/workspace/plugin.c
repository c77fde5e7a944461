// Prepares a workspace: leaves a note of what it is for.
//
// Configuration: file = its name; NOTICE by default. The plugin needs the grant `workspace = "write"`.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bindings/plugin.h"

static bool failed(const char *path, exports_capstan_plugin_workspace_error_t *err) {
  static char message[1024];
  snprintf(message, sizeof message, "%s: %s", path, strerror(errno));
  plugin_string_dup(&err->code, "io");
  plugin_string_dup(&err->message, message);
  err->retryable = false;
  return false;
}

bool exports_capstan_plugin_workspace_prepare(exports_capstan_plugin_workspace_borrow_job_t job,
                                              exports_capstan_plugin_workspace_error_t *err) {
  plugin_string_t key, name, repository;
  plugin_string_set(&key, "file");
  if (!capstan_plugin_config_get(&key, &name)) plugin_string_set(&name, "NOTICE");
  capstan_plugin_job_method_job_repository(job, &repository);

  // The workspace, without git's own files.
  char path[1024];
  snprintf(path, sizeof path, "/work/%.*s", (int)name.len, (char *)name.ptr);
  FILE *note = fopen(path, "wx");
  if (note == NULL) return errno == EEXIST ? true : failed(path, err);
  fprintf(note, "Prepared for %.*s\n", (int)repository.len, (char *)repository.ptr);
  return fclose(note) == 0 ? true : failed(path, err);
}
