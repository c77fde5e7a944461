// Post-processes diffs: takes out what changed below a directory.
//
// Configuration: directory = its path; vendor by default.

#include <string.h>

#include "bindings/plugin.h"

exports_capstan_plugin_diff_shape_t exports_capstan_plugin_diff_declare(void) {
  // The most it may do. The host proves it.
  return EXPORTS_CAPSTAN_PLUGIN_DIFF_SHAPE_REMOVE_ONLY;
}

// Whether `path` lies below `directory`, which has no slash at its end.
static bool below(const plugin_string_t *directory, const plugin_string_t *path) {
  return path->len > directory->len && path->ptr[directory->len] == '/' &&
         memcmp(path->ptr, directory->ptr, directory->len) == 0;
}

bool exports_capstan_plugin_diff_process(exports_capstan_plugin_diff_borrow_job_t job,
                                         exports_capstan_plugin_diff_borrow_changes_t diff,
                                         exports_capstan_plugin_diff_borrow_edits_t edits,
                                         exports_capstan_plugin_diff_outcome_t *ret,
                                         exports_capstan_plugin_diff_error_t *err) {
  plugin_string_t key, directory;
  plugin_string_set(&key, "directory");
  if (!capstan_plugin_config_get(&key, &directory)) plugin_string_set(&directory, "vendor");
  while (directory.len > 0 && directory.ptr[directory.len - 1] == '/') directory.len--;

  capstan_plugin_changes_own_file_t file;
  while (capstan_plugin_changes_method_diff_next_file(diff, &file)) {
    capstan_plugin_changes_borrow_file_t lent = capstan_plugin_changes_borrow_file(file);
    plugin_string_t path;
    capstan_plugin_changes_method_file_path(lent, &path);
    bool dropped = below(&directory, &path);
    plugin_string_free(&path);
    if (dropped && !capstan_plugin_changes_method_edits_drop_file(edits, lent, err)) return false;
    capstan_plugin_changes_file_drop_own(file);
  }
  ret->tag = EXPORTS_CAPSTAN_PLUGIN_DIFF_OUTCOME_DONE;
  return true;
}
