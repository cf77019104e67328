/* SPDX-License-Identifier: Apache-2.0 */
/* The check of a module's file before it is loaded: every field of header, section table and note. */
#include "tests/module/module_check.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>

/* The good module in memory, and where its parts are. */
struct image {
  char *data;
  size_t size, shoff, shstr, note_shdr, note, desc;
};

static struct image load_image(void)
{
  struct image m = {0};
  ElfW(Ehdr) h;
  ElfW(Shdr) s;
  m.data = read_all(built_module("good"), &m.size);
  memcpy(&h, m.data, sizeof h);
  m.shoff = h.e_shoff;
  m.shstr = h.e_shoff + h.e_shstrndx * sizeof s;
  memcpy(&s, m.data + m.shstr, sizeof s);
  const char *names = m.data + s.sh_offset;
  for (unsigned i = 0; i < h.e_shnum; i++) {
    memcpy(&s, m.data + h.e_shoff + i * sizeof s, sizeof s);
    if (strcmp(names + s.sh_name, GIE_NOTE_SECTION) == 0) {
      m.note_shdr = h.e_shoff + i * sizeof s;
      m.note = s.sh_offset;
      m.desc = s.sh_offset + offsetof(struct gie_note_section, desc);
    }
  }
  ck_assert_uint_ne(m.note, 0);
  return m;
}

static gie_status check_bytes(struct gie_context *ctx, const char *path, const void *data, size_t size)
{
  struct gie_note note;
  bool absent;
  write_all(path, data, size);
  int fd = open(path, O_RDONLY);
  gie_status st = mod_note_read(ctx, fd, path, size, &note, &absent);
  close(fd);
  return st;
}

enum place { EHDR, SHSTR, NOTE_SHDR, NOTE, DESC, SHDR1 };

static size_t place_of(const struct image *m, enum place p)
{
  const size_t at[] = {0, m->shstr, m->note_shdr, m->note, m->desc, m->shoff + sizeof(ElfW(Shdr))};
  return at[p];
}

#define E(member) EHDR, offsetof(ElfW(Ehdr), member), sizeof(((ElfW(Ehdr) *)0)->member)
#define S(place, member) place, offsetof(ElfW(Shdr), member), sizeof(((ElfW(Shdr) *)0)->member)
#define N(member) \
  NOTE, offsetof(struct gie_note_section, member), sizeof(((struct gie_note_section *)0)->member)
#define D(member) DESC, offsetof(struct gie_note, member), sizeof(((struct gie_note *)0)->member)

static const struct {
  enum place place;
  size_t offset, size;
  uint64_t value;
  const char *text;
} damages[] = {
    {EHDR, 0, 1, 'X', "not an ELF file"},
    {EHDR, EI_CLASS, 1, 9, "ELF class 9"},
    {EHDR, EI_DATA, 1, 2, "byte order 2"},
    {EHDR, EI_VERSION, 1, 0, "ELF version is 0"},
    {E(e_machine), 0x1234, "machine type 4660"},
    {E(e_type), ET_EXEC, "not a shared object"},
    {E(e_type), ET_REL, "link it with -shared"},
    {E(e_shoff), 0, "no section table"},
    {E(e_shoff), UINT64_MAX, "section table lies outside"},
    {E(e_shoff), 1u << 30, "section table lies outside"},
    {E(e_shnum), 0, "no section table"},
    {E(e_shnum), 0xffff, "section table lies outside"},
    {E(e_shentsize), 8, "section headers have 8 bytes"},
    {E(e_shstrndx), 0, "should hold the section names"},
    {E(e_shstrndx), 0xffff, "should hold the section names"},
    {E(e_shstrndx), 1, "section names"},
    {S(SHSTR, sh_type), SHT_PROGBITS, "section names"},
    {S(SHSTR, sh_offset), UINT64_MAX, "section names lie outside"},
    {S(SHSTR, sh_size), UINT64_MAX, "section names lie outside"},
    {S(SHSTR, sh_size), 0, "section names lie outside"},
    {S(SHSTR, sh_size), 1, "name of section 1"},
    {S(SHDR1, sh_name), 0xffffffff, "name of section 1"},
    {S(NOTE_SHDR, sh_name), 0, "no .note.gie section"},
    {S(NOTE_SHDR, sh_type), SHT_PROGBITS, "not a note section"},
    {S(NOTE_SHDR, sh_offset), UINT64_MAX, ".note.gie lies outside"},
    {S(NOTE_SHDR, sh_size), UINT64_MAX, ".note.gie lies outside"},
    {S(NOTE_SHDR, sh_size), 0, "note has only 0 bytes"},
    {S(NOTE_SHDR, sh_size), 15, "note has only 15 bytes"},
    {S(NOTE_SHDR, sh_size), 40, "the section has 24"},
    {N(namesz), 5, "does not belong to \"gie\""},
    {N(owner), 0x00656974, "does not belong to \"gie\""},
    {N(type), 2, "type 2 instead of 1"},
    {N(descsz), 12, "says 12 bytes"},
    {N(descsz), 0xffffffff, "says 4294967295 bytes"},
    {D(magic), 0x30454947, "magic number 30454947 instead of 31454947"},
    {D(struct_size), 8, "struct_size 8"},
    {D(struct_size), 0xffffffff, "struct_size 4294967295"},
    {D(abi_major), GIE_ABI_MAJOR + 1, "built for module ABI 2.0, this gie has 1.0; use a newer gie"},
    {D(abi_major), 0, "build the module against a newer gie"},
    {D(abi_minor), GIE_ABI_MINOR + 1, "needs module ABI 1.1"},
    {D(kind), 0, "module kind 0"},
    {D(kind), 5, "module kind 5"},
    {DESC, offsetof(struct gie_note, name), 1, 0, "its name is not a word"},
    {DESC, offsetof(struct gie_note, name), 1, '/', "its name is not a word"},
    {DESC, offsetof(struct gie_note, name), 1, '\n', "its name is not a word"},
    {DESC, offsetof(struct gie_note, version), 1, 0, "its version is not a word"},
    {DESC, offsetof(struct gie_note, version) + 1, 1, 27, "its version is not a word"},
    {D(n_requires), 5, "lists 5 required interfaces"},
    {D(n_requires), 3, "required interface 2 is not a word"},
    {DESC, offsetof(struct gie_note, requires_), 1, 'x',
     "needs interface \"xie.base\", which this gie does not have"},
    {D(requires_[0].major), 9, "needs interface \"gie.base\" 9.0"},
    {D(requires_[1].min_minor), 1000, "needs interface \"gie.graph\" 1.1000"},
};

START_TEST(test_every_field)
{
  struct gie_context *ctx = check_context();
  const char *dir = new_folder(), *path = in_folder(dir, "m.so");
  struct image m = load_image();
  ck_gie_ok(ctx, check_bytes(ctx, path, m.data, m.size));
  for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
    char saved[16], *at = m.data + place_of(&m, damages[i].place) + damages[i].offset;
    memcpy(saved, at, damages[i].size);
    memcpy(at, &damages[i].value, damages[i].size);
    gie_status st = check_bytes(ctx, path, m.data, m.size);
    ck_assert_msg(st == GIE_E_MODULE && strstr(gie_error_text(ctx), damages[i].text),
                  "damage %zu: %s: \"%s\" without \"%s\"", i, gie_status_name(st), gie_error_text(ctx),
                  damages[i].text);
    ck_assert_msg(strstr(gie_error_text(ctx), "; "), "damage %zu does not say what to do: %s", i,
                  gie_error_text(ctx));
    memcpy(at, saved, damages[i].size);
  }
  /* Names and versions that fill their arrays have no end. */
  memset(m.data + m.desc + offsetof(struct gie_note, name), 'n', sizeof(((struct gie_note *)0)->name));
  ck_gie(ctx, check_bytes(ctx, path, m.data, m.size), GIE_E_MODULE);
  ck_assert_ptr_nonnull(strstr(gie_error_text(ctx), "its name is not a word"));
  free(m.data);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

/* The section table ends the file, so that no shorter file is a module. */
START_TEST(test_every_length)
{
  struct gie_context *ctx = check_context();
  const char *dir = new_folder(), *path = in_folder(dir, "m.so");
  struct image m = load_image();
  struct gie_note note;
  bool absent;
  write_all(path, m.data, m.size);
  int fd = open(path, O_RDWR);
  for (size_t n = m.size; n-- > 0;) {
    ck_assert_int_eq(ftruncate(fd, (off_t)n), 0);
    gie_status st = mod_note_read(ctx, fd, path, n, &note, &absent);
    ck_assert_msg(st == GIE_E_MODULE && !absent, "%zu bytes: %s", n, gie_status_name(st));
    if (n > 4096 && n % 64) /* everything in the header, a sample behind it */
      n -= n % 64 - 1;
  }
  /* Shorter than it was when it was opened: an error of reading, no stray access. */
  close(fd);
  write_all(path, m.data, m.size);
  fd = open(path, O_RDWR);
  ck_assert_int_eq(ftruncate(fd, sizeof(ElfW(Ehdr))), 0);
  ck_gie(ctx, mod_note_read(ctx, fd, path, m.size, &note, &absent), GIE_E_IO);
  close(fd);
  free(m.data);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

/* Whatever byte changes: accepted (it was not looked at) or refused, nothing else. */
START_TEST(test_every_byte)
{
  struct gie_context *ctx = check_context();
  const char *dir = new_folder(), *path = in_folder(dir, "m.so");
  struct image m = load_image();
  const struct {
    size_t from, to;
  } parts[] = {{0, sizeof(ElfW(Ehdr))},
               {m.shoff, m.size},
               {m.note, m.note + sizeof(struct gie_note_section)}};
  write_all(path, m.data, m.size);
  int fd = open(path, O_RDWR), refused = 0;
  for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++)
    for (size_t i = parts[p].from; i < parts[p].to; i++)
      for (int bit = 0; bit < 8; bit += 7) {
        struct gie_note note;
        bool absent;
        char c = (char)(m.data[i] ^ (1 << bit));
        ck_assert_int_eq(pwrite(fd, &c, 1, (off_t)i), 1);
        gie_status st = mod_note_read(ctx, fd, path, m.size, &note, &absent);
        ck_assert_msg(st == GIE_OK || st == GIE_E_MODULE, "byte %zu: %s", i, gie_status_name(st));
        refused += st != GIE_OK;
        ck_assert_int_eq(pwrite(fd, &m.data[i], 1, (off_t)i), 1);
      }
  ck_assert_int_gt(refused, 100);
  close(fd);
  free(m.data);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

START_TEST(test_no_memory)
{
  struct gie_context *ctx = check_context();
  const char *dir = new_folder(), *path = in_folder(dir, "m.so");
  struct image m = load_image();
  ctx->fail_alloc_after = 1;
  ck_gie(ctx, check_bytes(ctx, path, m.data, m.size), GIE_E_MEMORY);
  free(m.data);
  remove_folder(dir);
  gie_context_destroy(ctx);
}
END_TEST

GIE_TESTS_MAIN("note", test_every_field, test_every_length, test_every_byte, test_no_memory)
