/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files of folders: replay FOLDER … So the corpus is a test in every build,
 * with any compiler. */
#include "tests/fuzz/fuzz.h"
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static unsigned n_files;

static int replay_file(const char *path, size_t size)
{
  FILE *f = fopen(path, "rb");
  uint8_t *data = malloc(size ? size : 1); /* no byte more, for the sanitizer */
  if (!f || !data || fread(data, 1, size, f) != size) {
    fprintf(stderr, "cannot read %s\n", path);
    if (f)
      fclose(f);
    free(data);
    return 1;
  }
  fclose(f);
  LLVMFuzzerTestOneInput(data, size);
  free(data);
  n_files++;
  return 0;
}

static int replay_folder(const char *dir)
{
  DIR *d = opendir(dir);
  const struct dirent *e;
  int failed = !d;
  while (d && (e = readdir(d))) {
    char path[4096];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    if (n > 0 && (size_t)n < sizeof path && stat(path, &st) == 0 && S_ISREG(st.st_mode))
      failed |= replay_file(path, (size_t)st.st_size);
  }
  if (d)
    closedir(d);
  return failed;
}

int main(int argc, char **argv)
{
  int failed = 0;
  for (int i = 1; i < argc; i++)
    failed |= replay_folder(argv[i]);
  printf("%u files\n", n_files);
  return failed || n_files == 0;
}
