/* SPDX-License-Identifier: Apache-2.0 */
/* The timing cache: what is put is found and read back to the same bits; damaged, foreign and refused files;
 * the default path. */
#include "tests/tune/cache_check.h"
#include <math.h>

static void ck_entry(const struct tune_entry *a, const struct tune_entry *b)
{
  ck_assert_str_eq(a->problem, b->problem);
  ck_assert_str_eq(a->kernel, b->kernel);
  ck_assert_str_eq(a->device, b->device);
  ck_assert_str_eq(a->version, b->version);
  ck_assert_str_eq(a->text, b->text);
  ck_assert(a->config == b->config && a->verdict == b->verdict && a->seconds == b->seconds &&
            a->spread == b->spread && a->error == b->error);
}

/* ---- In memory */

START_TEST(test_find)
{
  begin();
  struct tune_cache *c;
  struct tune_entry e = sample, got;
  const char *why = NULL;
  ck_gie_ok(ctx, tune_cache_open(ctx, NULL, false, &c));
  ck_assert(!tune_cache_is_file(c));
  ck_assert(!tune_cache_find(c, &e, &got, &why));
  ck_assert_str_eq(why, "absent");
  ck_gie_ok(ctx, tune_cache_put(c, &e));
  ck_assert(tune_cache_find(c, &e, &got, NULL));
  ck_entry(&got, &sample);

  e.version = "cpu 0.2|1";
  ck_assert(!tune_cache_find(c, &e, &got, &why));
  ck_assert_str_eq(why, "measured with cpu 0.1|1");
  e.seconds = 7; /* both versions are kept */
  ck_gie_ok(ctx, tune_cache_put(c, &e));
  ck_assert(tune_cache_find(c, &e, &got, NULL) && got.seconds == 7);
  ck_assert(tune_cache_find(c, &sample, &got, NULL) && got.seconds == sample.seconds);
  ck_assert_uint_eq(count(c), 2);

  e = sample;
  e.device = "cpu|x86_64|threads=1";
  ck_assert(!tune_cache_find(c, &e, &got, &why));
  ck_assert_str_eq(why, "absent");
  for (uint64_t i = 0; i < 5000; i++)
    put_config(c, i * 0x100000001u, 1 + (double)i);
  for (uint64_t i = 0; i < 5000; i++) {
    e = sample;
    e.config = i * 0x100000001u;
    ck_assert(tune_cache_find(c, &e, &got, NULL) && got.seconds == 1 + (double)i);
  }
  tune_cache_drop(c, &e);
  ck_assert(!tune_cache_find(c, &e, &got, &why));
  ck_assert_str_eq(why, "absent");
  tune_cache_drop(c, &e);
  ck_assert_uint_eq(count(c), 5001);
  ck_gie_ok(ctx, tune_cache_save(c)); /* nowhere to */
  tune_cache_free(c);
  tune_cache_free(NULL);
  end();
}
END_TEST

START_TEST(test_refused_entries)
{
  begin();
  struct tune_cache *c;
  char *long_name = malloc(CACHE_MAX_LINE + 1);
  memset(long_name, 'x', CACHE_MAX_LINE);
  long_name[CACHE_MAX_LINE] = '\0';
  ck_gie_ok(ctx, tune_cache_open(ctx, NULL, false, &c));
  const struct {
    const char *text;
    double seconds, spread, error;
    const char *problem;
  } bad[] = {{"negative", NAN, 0, 0, "p"},  {"negative", -1, 0, 0, "p"},    {"negative", INFINITY, 0, 0, "p"},
             {"negative", 1, NAN, 0, "p"},  {"negative", 1, 0, NAN, "p"},   {"negative", 1, 0, -1, "p"},
             {"has no time", 0, 0, 0, "p"}, {"longer", 1, 0, 0, long_name}, {"no name", 1, 0, 0, ""}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct tune_entry e = sample;
    e.seconds = bad[i].seconds;
    e.spread = bad[i].spread;
    e.error = bad[i].error;
    e.problem = bad[i].problem;
    ck_gie(ctx, tune_cache_put(c, &e), GIE_E_DATA);
    ck_assert_msg(strstr(gie_error_text(ctx), bad[i].text) != NULL, "%s", gie_error_text(ctx));
  }
  ck_assert_uint_eq(count(c), 0);
  tune_cache_free(c);
  free(long_name);
  end();
}
END_TEST

/* ---- The file */

static uint64_t seed;
static uint64_t draw(void)
{
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return seed >> 11 ^ seed << 40;
}

/* Any finite number above 0. */
static double draw_time(void)
{
  for (;;) {
    uint64_t bits = draw() & (UINT64_MAX >> 1);
    double v;
    memcpy(&v, &bits, sizeof v);
    if (isfinite(v) && v > 0)
      return v;
  }
}

/* Whatever strings and numbers: the same comes back, and the bytes do not depend on the order. */
START_TEST(test_round_trip)
{
  enum { N = 500 };
  static char names[N][4][40];
  static struct tune_entry entries[N];
  begin();
  for (seed = 0; seed < 100;)
    draw();
  for (size_t i = 0; i < N; i++) {
    struct tune_entry *e = &entries[i];
    for (size_t k = 0; k < 4; k++)
      for (size_t n = 1 + draw() % 12, j = 0; j < n; j++)
        names[i][k][j] = (char)(draw() % 2 ? "\t\n\r\\\x01\x7f\" x,|\xc3"[draw() % 12]
                                           : 1 + (int)(draw() % 255));
    *e = (struct tune_entry){names[i][0], names[i][1], draw(),
                             names[i][2], "v",         (enum probe_verdict)(draw() % 8),
                             draw_time(), draw_time(), i % 5 ? draw_time() : INFINITY,
                             names[i][3]};
  }
  struct tune_cache *c = open_cache();
  for (size_t i = 0; i < N; i++)
    ck_gie_ok(ctx, tune_cache_put(c, &entries[i]));
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  size_t n, m;
  char *first = get_bytes(FILE_NAME, &n);
  ck_assert_int_eq(unlink(FILE_NAME), 0);

  c = open_cache();
  for (size_t i = N; i-- > 0;)
    ck_gie_ok(ctx, tune_cache_put(c, &entries[i]));
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  char *second = get_bytes(FILE_NAME, &m);
  ck_assert(n == m && memcmp(first, second, n) == 0);
  gie_free(ctx, first);
  gie_free(ctx, second);

  struct stat before, after;
  ck_assert_int_eq(stat(FILE_NAME, &before), 0);
  ck_assert_uint_eq(before.st_mode & 0777, 0600);
  c = open_cache();
  for (size_t i = 0; i < N; i++) {
    struct tune_entry got;
    ck_assert(tune_cache_find(c, &entries[i], &got, NULL));
    ck_entry(&got, &entries[i]);
    ck_gie_ok(ctx, tune_cache_put(c, &entries[i])); /* nothing new */
  }
  ck_assert_uint_eq(count(c), N);
  ck_gie_ok(ctx, tune_cache_save(c));
  ck_assert_int_eq(stat(FILE_NAME, &after), 0);
  ck_assert_uint_eq(before.st_ino, after.st_ino);
  tune_cache_free(c);
  ck_assert_int_eq(n_warnings, 0);
  end();
}
END_TEST

START_TEST(test_format)
{
  begin();
  size_t n;
  struct tune_cache *c = open_cache();
  ck_gie_ok(ctx, tune_cache_put(c, &sample));
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  char *data = get_bytes(FILE_NAME, &n);
  ck_assert_str_eq(data, CACHE_HEADER SAMPLE_LINE);
  gie_free(ctx, data);
  end();
}
END_TEST

static const struct {
  const char *bytes;
  size_t n;        /* 0: strlen */
  size_t good;     /* entries that are left */
  const char *why; /* NULL: no warning */
} damaged[] = {
    {"", 0, 0, NULL},
    {CACHE_HEADER, 0, 0, NULL},
    {CACHE_HEADER SAMPLE_LINE OTHER_LINE("ok\t1.0\t0.0\t0.0\t"), 0, 2, NULL},
    {"gie tim", 0, 0, "1 line cannot be used (line 1: the end is missing)"},
    {CACHE_HEADER SAMPLE_LINE "p\tk\t0x0\td\tv\tok\t1.0\t0.0\t0.0\t", 0, 1, "(line 3: the end is missing)"},
    {CACHE_HEADER SAMPLE_LINE "p\tk\t0x0\td", 0, 1, "(line 3: the end is missing)"},
    {CACHE_HEADER OTHER_LINE("ok\tnan\t0.0\t0.0\t") SAMPLE_LINE, 0, 1, "(line 2: a time or an error"},
    {CACHE_HEADER OTHER_LINE("ok\t-1.0\t0.0\t0.0\t") SAMPLE_LINE, 0, 1, "(line 2: a time or an error"},
    {CACHE_HEADER OTHER_LINE("ok\tinf\t0.0\t0.0\t") SAMPLE_LINE, 0, 1, "(line 2: a time or an error"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t-0.5\t0.0\t") SAMPLE_LINE, 0, 1, "(line 2: a time or an error"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\tnan\t") SAMPLE_LINE, 0, 1, "(line 2: a time or an error"},
    {CACHE_HEADER OTHER_LINE("ok\t0.0\t0.0\t0.0\t") SAMPLE_LINE, 0, 1, "(line 2: a candidate that is right"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0x\t0.0\t0.0\t") SAMPLE_LINE, 0, 1, "(line 2: seconds)"},
    {CACHE_HEADER OTHER_LINE("ok\t\t0.0\t0.0\t") SAMPLE_LINE, 0, 1, "(line 2: seconds)"},
    {CACHE_HEADER OTHER_LINE("fine\t1.0\t0.0\t0.0\t") SAMPLE_LINE, 0, 1, "(line 2: verdict)"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0") SAMPLE_LINE, 0, 1,
     "(line 2: has another number of fields)"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t\t") SAMPLE_LINE, 0, 1, "(line 2: has another number"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t\\q") SAMPLE_LINE, 0, 1, "(line 2: text)"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t\\x00") SAMPLE_LINE, 0, 1, "(line 2: text)"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t\\x4") SAMPLE_LINE, 0, 1, "(line 2: text)"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t\\") SAMPLE_LINE, 0, 1, "(line 2: text)"},
    {CACHE_HEADER "p\tk\t17\td\tv\tok\t1.0\t0.0\t0.0\t\n" SAMPLE_LINE, 0, 1, "(line 2: config)"},
    {CACHE_HEADER "p\tk\t0x12345678901234567\td\tv\tok\t1.0\t0.0\t0.0\t\n" SAMPLE_LINE, 0, 1,
     "(line 2: config)"},
    {CACHE_HEADER "\tk\t0x1\td\tv\tok\t1.0\t0.0\t0.0\t\n" SAMPLE_LINE, 0, 1,
     "(line 2: the problem or the kernel"},
    {CACHE_HEADER "\n" SAMPLE_LINE "\n", 0, 1,
     "2 lines cannot be used (line 2: has another number of fields)"},
    {CACHE_HEADER SAMPLE_LINE OTHER_LINE("ok\t1.0\t0.0\t0.0\t") SAMPLE_LINE, 0, 2,
     "(line 4: the entry has come before)"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t\r") SAMPLE_LINE, 0, 1,
     "(line 2: ends with a carriage return)"},
    {CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t\033[2J") SAMPLE_LINE, 0, 1,
     "(line 2: has a control character)"},
    {CACHE_HEADER "p\tk\0\t0x0\td\tv\tok\t1.0\t0.0\t0.0\t\n" SAMPLE_LINE,
     sizeof CACHE_HEADER "p\tk\0\t0x0\td\tv\tok\t1.0\t0.0\t0.0\t\n" SAMPLE_LINE - 1, 1,
     "(line 2: has a control character)"},
};

/* One warning; the next save leaves only what is good, and then there is no warning. */
START_TEST(test_damaged)
{
  begin();
  for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
    n_warnings = 0;
    put_bytes(FILE_NAME, damaged[i].bytes, damaged[i].n ? damaged[i].n : strlen(damaged[i].bytes));
    struct tune_cache *c = open_cache();
    ck_assert_msg(count(c) == damaged[i].good, "case %zu: %zu entries", i, count(c));
    ck_assert_int_eq(n_warnings, damaged[i].why != NULL);
    ck_assert_msg(!damaged[i].why || strstr(last_warning, damaged[i].why), "case %zu: %s", i, last_warning);
    ck_gie_ok(ctx, tune_cache_save(c));
    tune_cache_free(c);
    ck_assert_int_eq(n_warnings, damaged[i].why != NULL);
    ck_assert_uint_eq(count_file(), damaged[i].good);
  }
  end();
}
END_TEST

START_TEST(test_last_wins)
{
  begin();
  static const char twice[] = CACHE_HEADER OTHER_LINE("ok\t1.0\t0.0\t0.0\t")
      OTHER_LINE("wrong\t2.0\t0.0\t0.5\tbad");
  struct tune_entry key = {.problem = "p", .kernel = "k", .device = "d", .version = "v"}, got;
  put_bytes(FILE_NAME, twice, sizeof twice - 1);
  struct tune_cache *c = open_cache();
  ck_assert(tune_cache_find(c, &key, &got, NULL));
  ck_assert(got.seconds == 2 && got.verdict == PROBE_WRONG);
  ck_assert_str_eq(got.text, "bad");
  tune_cache_free(c);
  end();
}
END_TEST

START_TEST(test_long_lines)
{
  begin();
  size_t n = sizeof CACHE_HEADER - 1, long_line = CACHE_MAX_LINE + 5;
  char *data = malloc(n + long_line + sizeof SAMPLE_LINE);
  memcpy(data, CACHE_HEADER, n);
  memset(data + n, 'x', long_line - 1);
  data[n + long_line - 1] = '\n';
  memcpy(data + n + long_line, SAMPLE_LINE, sizeof SAMPLE_LINE);
  put_bytes(FILE_NAME, data, n + long_line + sizeof SAMPLE_LINE - 1);
  free(data);
  struct tune_cache *c = open_cache();
  ck_assert_uint_eq(count(c), 1);
  ck_assert_ptr_nonnull(strstr(last_warning, "(line 2: longer than a line may be)"));
  tune_cache_free(c);

  /* The longest that can be put can be read. */
  size_t room = CACHE_MAX_LINE - 300;
  char *name = malloc(room + 1);
  memset(name, 'n', room);
  name[room] = '\0';
  struct tune_entry e = sample;
  e.problem = name;
  c = open_cache();
  ck_gie_ok(ctx, tune_cache_put(c, &e));
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  ck_assert_uint_eq(count_file(), 2);
  free(name);
  end();
}
END_TEST

/* A file cut or changed at any byte is read without harm. If the first line is not ours it stays as it is. */
START_TEST(test_every_byte)
{
  static const char whole[] = CACHE_HEADER SAMPLE_LINE OTHER_LINE("crashed\t0.0\t0.0\tinf\tsignal \\\\ 11");
  size_t n = sizeof whole - 1, header = sizeof CACHE_HEADER - 1;
  char bytes[sizeof whole];
  begin();
  for (size_t i = 0; i < n; i++) {
    n_warnings = 0;
    put_bytes(FILE_NAME, whole, i);
    struct tune_cache *c = open_cache();
    ck_assert(tune_cache_is_file(c) && count(c) <= 2);
    ck_assert_int_eq(n_warnings, i != 0 && (i < header || whole[i - 1] != '\n'));
    tune_cache_free(c);
  }
  for (size_t i = 0; i < n; i++)
    for (int bit = 0; bit < 8; bit++) {
      memcpy(bytes, whole, n);
      bytes[i] = (char)(bytes[i] ^ 1 << bit);
      put_bytes(FILE_NAME, bytes, n);
      struct tune_cache *c = open_cache();
      ck_assert_int_eq(tune_cache_is_file(c), i >= header);
      put_config(c, 99, 1);
      if (i < header)
        ck_gie_ok(ctx, tune_cache_save(c));
      tune_cache_free(c);
      if (i >= header)
        continue;
      size_t m;
      char *kept = get_bytes(FILE_NAME, &m);
      ck_assert(m == n && memcmp(kept, bytes, n) == 0);
      gie_free(ctx, kept);
    }
  end();
}
END_TEST

static const char *const foreign[] = {"<!DOCTYPE html>\n<html></html>\n",
                                      "gie timing cache 2\n" SAMPLE_LINE,
                                      "gie timing cache 1\r\n" SAMPLE_LINE,
                                      " gie timing cache 1\n",
                                      "\x7f"
                                      "ELF",
                                      "\n"};

START_TEST(test_foreign)
{
  begin();
  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
    size_t n;
    struct tune_entry got;
    n_warnings = 0;
    put_bytes(FILE_NAME, foreign[i], strlen(foreign[i]));
    struct tune_cache *c = open_cache();
    ck_assert_int_eq(n_warnings, 1);
    ck_assert_ptr_nonnull(strstr(last_warning, "no timing cache of this version"));
    ck_gie_ok(ctx, tune_cache_put(c, &sample));
    ck_assert(tune_cache_find(c, &sample, &got, NULL));
    ck_gie_ok(ctx, tune_cache_save(c));
    tune_cache_free(c);
    char *data = get_bytes(FILE_NAME, &n);
    ck_assert_str_eq(data, foreign[i]);
    gie_free(ctx, data);
  }
  /* One that became foreign after it was read. */
  put_bytes(FILE_NAME, CACHE_HEADER, sizeof CACHE_HEADER - 1);
  struct tune_cache *c = open_cache();
  put_bytes(FILE_NAME, foreign[0], strlen(foreign[0]));
  ck_gie_ok(ctx, tune_cache_put(c, &sample));
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  size_t n;
  char *data = get_bytes(FILE_NAME, &n);
  ck_assert_str_eq(data, foreign[0]);
  gie_free(ctx, data);
  /* Larger than ours ever is. */
  put_bytes(FILE_NAME, CACHE_HEADER, sizeof CACHE_HEADER - 1);
  ck_assert_int_eq(truncate(FILE_NAME, (off_t)CACHE_MAX_FILE + 1), 0);
  c = open_cache();
  ck_assert(!tune_cache_is_file(c));
  tune_cache_free(c);
  end();
}
END_TEST

START_TEST(test_refused_files)
{
  begin();
  struct tune_cache *c = NULL;
  put_bytes("real.txt", CACHE_HEADER, sizeof CACHE_HEADER - 1);
  ck_assert_int_eq(symlink("real.txt", "link"), 0);
  ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
  put_bytes("group", CACHE_HEADER, sizeof CACHE_HEADER - 1);
  chmod("group", 0660);
  put_bytes("world", CACHE_HEADER, sizeof CACHE_HEADER - 1);
  chmod("world", 0602);
  mkdir("dir", 0755);
  mkfifo("fifo", 0600);
  const struct {
    const char *path, *text;
    gie_status status;
  } cases[] = {{"link", "symbolic link", GIE_E_PERM},
               {"dangling", "symbolic link", GIE_E_PERM},
               {"group", "chmod go-w", GIE_E_PERM},
               {"world", "chmod go-w", GIE_E_PERM},
               {"dir", "not a regular", GIE_E_NOINPUT},
               {"fifo", "not a regular", GIE_E_NOINPUT},
               {"real.txt/x", "Not a directory", GIE_E_NOINPUT}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    ck_gie(ctx, tune_cache_open(ctx, cases[i].path, true, &c), cases[i].status);
    ck_assert_msg(strstr(gie_error_text(ctx), cases[i].text) != NULL, "%s", gie_error_text(ctx));
  }
  /* Who may write the directory may put another file there, unless it is sticky. */
  mkdir("open", 0700);
  chmod("open", 0777);
  ck_gie(ctx, tune_cache_open(ctx, "open/new.txt", false, &c), GIE_E_PERM);
  ck_assert_msg(strstr(gie_error_text(ctx), "others may write its directory") != NULL, "%s",
                gie_error_text(ctx));
  chmod("open", 01777);
  ck_gie_ok(ctx, tune_cache_open(ctx, "open/new.txt", false, &c));
  tune_cache_free(c);
  if (geteuid() == 0 && chown("open", 12345, 12345) == 0) {
    ck_gie(ctx, tune_cache_open(ctx, "open/new.txt", false, &c), GIE_E_PERM);
    ck_assert(strstr(gie_error_text(ctx), "belongs to another user") != NULL);
  }
  rmdir("open");
  /* Changed between reading and saving. */
  c = open_cache();
  ck_gie_ok(ctx, tune_cache_put(c, &sample));
  ck_assert_int_eq(symlink("real.txt", FILE_NAME), 0);
  ck_gie(ctx, tune_cache_save(c), GIE_E_PERM);
  ck_assert_int_eq(unlink(FILE_NAME), 0);
  ck_gie_ok(ctx, tune_cache_save(c));
  ck_assert_int_eq(unlink(FILE_NAME ".lock"), 0);
  ck_assert_int_eq(symlink("real.txt", FILE_NAME ".lock"), 0);
  put_config(c, 5, 1);
  ck_gie(ctx, tune_cache_save(c), GIE_E_PERM);
  tune_cache_free(c);
  size_t n;
  char *data = get_bytes("real.txt", &n);
  ck_assert_str_eq(data, CACHE_HEADER);
  gie_free(ctx, data);
  end();
}
END_TEST

START_TEST(test_read_only)
{
  begin();
  struct tune_cache *c;
  put_bytes(FILE_NAME, CACHE_HEADER SAMPLE_LINE "torn", sizeof CACHE_HEADER SAMPLE_LINE "torn" - 1);
  ck_gie_ok(ctx, tune_cache_open(ctx, FILE_NAME, true, &c));
  put_config(c, 77, 1);
  ck_gie_ok(ctx, tune_cache_save(c));
  ck_assert_uint_eq(count(c), 2);
  tune_cache_free(c);
  ck_assert_int_ne(access(FILE_NAME ".lock", F_OK), 0);
  size_t n;
  char *data = get_bytes(FILE_NAME, &n);
  ck_assert_str_eq(data, CACHE_HEADER SAMPLE_LINE "torn");
  gie_free(ctx, data);
  end();
}
END_TEST

/* ---- Where it is, and the names in entries */

START_TEST(test_default_path)
{
  begin();
  struct gie_arena mem;
  char home[1024], wanted[1100];
  ck_assert_ptr_nonnull(getcwd(home, sizeof home));
  gie_arena_init(&mem, ctx);
  setenv("HOME", home, 1);
  setenv("XDG_CACHE_HOME", "/elsewhere", 1);
  ck_assert_str_eq(tune_cache_default_path(ctx, &mem), "/elsewhere/gie/timing.txt");
  setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored */
  snprintf(wanted, sizeof wanted, "%s/.cache/gie/timing.txt", home);
  const char *path = tune_cache_default_path(ctx, &mem);
  ck_assert_str_eq(path, wanted);

  struct tune_cache *c; /* its directory is made */
  ck_gie_ok(ctx, tune_cache_open(ctx, path, false, &c));
  ck_gie_ok(ctx, tune_cache_put(c, &sample));
  ck_gie_ok(ctx, tune_cache_save(c));
  tune_cache_free(c);
  struct stat st;
  ck_assert(stat(wanted, &st) == 0 && stat(".cache/gie", &st) == 0 && (st.st_mode & 0777) == 0700);
  ck_gie_ok(ctx, tune_cache_open(ctx, "no/such/" FILE_NAME, false, &c)); /* that of another is not */
  ck_gie_ok(ctx, tune_cache_put(c, &sample));
  ck_gie(ctx, tune_cache_save(c), GIE_E_CREATE);
  tune_cache_free(c);

  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  ck_assert_ptr_null(tune_cache_default_path(ctx, &mem));
  static const char *const settings[][2] = {{"CACHE=none", NULL}, {"CACHE=my.txt", "my.txt"}};
  for (size_t i = 0; i < 2; i++) {
    const char *const config[] = {settings[i][0], NULL};
    struct gie_context_options options = {.struct_size = sizeof options,
                                          .config = config,
                                          .no_modules = true};
    struct gie_context *other;
    ck_assert_int_eq(gie_context_init(&options, &other), GIE_OK);
    path = tune_cache_default_path(other, &mem);
    ck_assert(path == settings[i][1] || strcmp(path, settings[i][1]) == 0);
    gie_context_destroy(other);
  }
  gie_arena_free(&mem);
  end();
}
END_TEST

GIE_TESTS_MAIN("cache", test_find, test_refused_entries, test_round_trip, test_format, test_damaged,
               test_last_wins, test_long_lines, test_every_byte, test_foreign, test_refused_files,
               test_read_only, test_default_path)
