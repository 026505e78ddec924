/* Status messages, the version, and the choice of an instruction set. */
#include "check.h"

static void every_status_has_its_own_message(void) {
  const lc_status known[] = {LC_OK, LC_BAD_ARGUMENT, LC_ISA_UNAVAILABLE, LC_NOT_POSITIVE_DEFINITE, LC_IMPOSSIBLE_ROW};
  for (size_t i = 0; i < LENGTH(known); i++) {
    const char *message = lc_status_message(known[i]);
    CHECK(message != NULL && strlen(message) > 0);
    for (size_t j = 0; j < i; j++) CHECK(strcmp(message, lc_status_message(known[j])) != 0);
  }
}

static void an_unknown_status_has_a_message(void) {
  CHECK(lc_status_message((lc_status)-1000) != NULL);
  CHECK(lc_status_message((lc_status)1) != NULL);
}

static void version_is_that_of_the_build(void) { CHECK(strcmp(lc_version(), PROJECT_VERSION) == 0); }

static void base_is_always_available(void) { CHECK(lc_isa_available("base") == 1); }

static void unknown_names_are_unavailable(void) {
  CHECK(lc_isa_available("v5") == 0);
  CHECK(lc_isa_available("") == 0);
  CHECK(lc_isa_available("BASE") == 0);
}

static void forcing_an_unknown_name_leaves_the_choice(void) {
  const char *before = lc_isa();
  CHECK_STATUS(lc_isa_force("v5"), LC_ISA_UNAVAILABLE);
  CHECK(strcmp(lc_isa(), before) == 0);
}

static void each_available_set_can_be_forced(void) {
  const char *names[] = {"base", "v3", "v4"};
  const char *before = lc_isa();
  for (size_t i = 0; i < LENGTH(names); i++) {
    if (lc_isa_available(names[i])) {
      CHECK_STATUS(lc_isa_force(names[i]), LC_OK);
      CHECK(strcmp(lc_isa(), names[i]) == 0);
    } else {
      CHECK_STATUS(lc_isa_force(names[i]), LC_ISA_UNAVAILABLE);
    }
  }
  CHECK_STATUS(lc_isa_force(before), LC_OK);
}

int main(void) {
  begin();
  RUN(every_status_has_its_own_message);
  RUN(an_unknown_status_has_a_message);
  RUN(version_is_that_of_the_build);
  RUN(base_is_always_available);
  RUN(unknown_names_are_unavailable);
  RUN(forcing_an_unknown_name_leaves_the_choice);
  RUN(each_available_set_can_be_forced);
  return end();
}
