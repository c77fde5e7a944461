// A policy: images must come from one registry.
//
// Configuration: registry = what images must begin with, such as "docker.io/library/".
//
// An instance lives for one call, so nothing needs to be freed.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/plugin.h"

bool exports_capstan_plugin_policy_check_job(exports_capstan_plugin_policy_borrow_job_t job,
                                             exports_capstan_plugin_policy_decision_t *ret,
                                             exports_capstan_plugin_policy_error_t *err) {
  ret->tag = EXPORTS_CAPSTAN_PLUGIN_POLICY_DECISION_KEEP;
  return true;
}

bool exports_capstan_plugin_policy_check_step(exports_capstan_plugin_policy_borrow_job_t job,
                                              exports_capstan_plugin_policy_borrow_step_t step,
                                              exports_capstan_plugin_policy_decision_t *ret,
                                              exports_capstan_plugin_policy_error_t *err) {
  plugin_string_t key, registry, image;
  capstan_plugin_step_method_step_image(step, &image);
  plugin_string_set(&key, "registry");
  if (!capstan_plugin_config_get(&key, &registry) ||
      (image.len >= registry.len && memcmp(image.ptr, registry.ptr, registry.len) == 0)) {
    ret->tag = EXPORTS_CAPSTAN_PLUGIN_POLICY_DECISION_KEEP;
    return true;
  }

  static char reason[1024], number[16];
  snprintf(reason, sizeof reason, "the image %.*s does not come from %.*s", (int)image.len,
           (char *)image.ptr, (int)registry.len, (char *)registry.ptr);
  snprintf(number, sizeof number, "%u", (unsigned)capstan_plugin_step_method_step_number(step));
  ret->tag = EXPORTS_CAPSTAN_PLUGIN_POLICY_DECISION_REFUSE;
  exports_capstan_plugin_policy_refusal_t *refusal = &ret->val.refuse;
  plugin_string_dup(&refusal->rule, "registry");
  plugin_string_dup(&refusal->reason, reason);
  refusal->details.len = 1;
  refusal->details.ptr = malloc(sizeof *refusal->details.ptr);
  plugin_string_dup(&refusal->details.ptr[0].f0, "step");
  plugin_string_dup(&refusal->details.ptr[0].f1, number);
  return true;
}

bool exports_capstan_plugin_policy_check_diff(exports_capstan_plugin_policy_borrow_job_t job,
                                              exports_capstan_plugin_policy_borrow_diff_t diff,
                                              exports_capstan_plugin_policy_verdict_t *ret,
                                              exports_capstan_plugin_policy_error_t *err) {
  ret->tag = EXPORTS_CAPSTAN_PLUGIN_POLICY_VERDICT_KEEP;
  return true;
}
