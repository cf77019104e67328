/* SPDX-License-Identifier: Apache-2.0 */
/* A valid note and no entry, or an entry that needs a symbol which nobody has. Also a constructor
 * that tells whether the library was loaded: a refused module's code must not run. */
#include <gie/module.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef TEST_MAGIC
#define TEST_MAGIC GIE_NOTE_MAGIC
#endif

__attribute__((section(GIE_NOTE_SECTION), used, aligned(4))) static const struct gie_note_section note = {
    sizeof(GIE_NOTE_OWNER),
    sizeof(struct gie_note),
    GIE_NOTE_TYPE,
    GIE_NOTE_OWNER,
    {TEST_MAGIC,
     sizeof(struct gie_note),
     GIE_ABI_MAJOR,
     GIE_ABI_MINOR,
     GIE_MODULE_PASS,
     "note-only",
     "1.0",
     0,
     {{"", 0, 0}}},
};

__attribute__((constructor)) static void loaded(void)
{
  const char *mark = getenv("TEST_MODULE_MARK");
  FILE *f = mark ? fopen(mark, "w") : NULL;
  if (f)
    fclose(f);
}

#ifdef TEST_UNDEFINED
int nobody_defines_this(void);
gie_module_init_fn gie_module_init;
gie_status gie_module_init(const struct gie_host *host, void **state)
{
  (void)host, (void)state;
  return nobody_defines_this() ? GIE_OK : GIE_E_NO;
}
#endif
