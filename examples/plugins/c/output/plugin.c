// Filters output: leaves out lines that begin with a word, and counts the others.
//
// Configuration: drop = the word; DEBUG by default.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/plugin.h"

// One stream of one step.
struct exports_capstan_plugin_output_filter_t {
  plugin_string_t drop;
};

exports_capstan_plugin_output_own_filter_t exports_capstan_plugin_output_constructor_filter(
    exports_capstan_plugin_output_borrow_step_t step,
    exports_capstan_plugin_output_channel_t channel) {
  exports_capstan_plugin_output_filter_t *filter = malloc(sizeof *filter);
  plugin_string_t key;
  plugin_string_set(&key, "drop");
  if (!capstan_plugin_config_get(&key, &filter->drop)) plugin_string_set(&filter->drop, "DEBUG");
  return exports_capstan_plugin_output_filter_new(filter);
}

void exports_capstan_plugin_output_filter_destructor(exports_capstan_plugin_output_filter_t *filter) {
  free(filter);
}

// Where the line that begins at `start` ends, its newline included.
static size_t line_end(const plugin_list_u8_t *text, size_t start) {
  const uint8_t *newline = memchr(text->ptr + start, '\n', text->len - start);
  return newline == NULL ? text->len : (size_t)(newline - text->ptr) + 1;
}

bool exports_capstan_plugin_output_method_filter_push(
    exports_capstan_plugin_output_borrow_filter_t filter, plugin_list_u8_t *chunk,
    plugin_list_u8_t *ret, exports_capstan_plugin_output_error_t *err) {
  // The chunk is ours: what stays moves to its front.
  size_t kept = 0;
  for (size_t start = 0, end; start < chunk->len; start = end) {
    end = line_end(chunk, start);
    size_t length = end - start;
    if (length >= filter->drop.len &&
        memcmp(chunk->ptr + start, filter->drop.ptr, filter->drop.len) == 0)
      continue;
    memmove(chunk->ptr + kept, chunk->ptr + start, length);
    kept += length;
  }
  ret->ptr = chunk->ptr;
  ret->len = kept;
  return true;
}

bool exports_capstan_plugin_output_method_filter_finish(
    exports_capstan_plugin_output_borrow_filter_t filter, plugin_list_u8_t *ret,
    exports_capstan_plugin_output_error_t *err) {
  ret->ptr = NULL;
  ret->len = 0;
  return true;
}

exports_capstan_plugin_output_chunks_t exports_capstan_plugin_output_chunking(
    exports_capstan_plugin_output_borrow_step_t step,
    exports_capstan_plugin_output_channel_t channel) {
  return EXPORTS_CAPSTAN_PLUGIN_OUTPUT_CHUNKS_LINES;
}

bool exports_capstan_plugin_output_derive_outputs(exports_capstan_plugin_output_borrow_step_t step,
                                                  plugin_list_u8_t *out, plugin_list_u8_t *errors,
                                                  exports_capstan_plugin_output_list_derived_t *ret,
                                                  exports_capstan_plugin_output_error_t *err) {
  unsigned lines = 0;
  for (size_t start = 0; start < out->len; start = line_end(out, start)) lines++;
  // Values are JSON.
  char value[16];
  snprintf(value, sizeof value, "%u", lines);
  ret->len = 1;
  ret->ptr = malloc(sizeof *ret->ptr);
  plugin_string_dup(&ret->ptr[0].f0, "lines");
  plugin_string_dup(&ret->ptr[0].f1, value);
  return true;
}
