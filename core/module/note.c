/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a module's ELF note from the file. Loading a library runs its constructors, so every check
 * that can be made comes first and needs no code of the module. Nothing in the file is believed:
 * each offset and size is checked against the file's size before it is used.
 *
 * Layout: ELF-64/32 as in the System V ABI (gABI 4.1): header, section header table, section names
 * in the section e_shstrndx, notes as namesz, descsz, type, name, desc. */
#include "core/module/registry.h"
#include <link.h>

#define MAX_NAMES (16u << 20) /* section names of a sane library stay far below */

/* The header of the library or program that this code is in: what a module must be built for.
 * Defined by the linker. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

struct elf_file {
  struct gie_context *ctx;
  int fd;
  const char *path;
  uint64_t size;
  ElfW(Ehdr) head;
};

static bool inside(const struct elf_file *f, uint64_t offset, uint64_t size)
{
  return offset <= f->size && size <= f->size - offset;
}

static gie_status read_at(const struct elf_file *f, void *to, size_t size, uint64_t offset)
{
  return gie_file_pread(f->ctx, f->fd, f->path, to, size, offset);
}

#define REFUSE(...) return gie_fail(ctx, GIE_E_MODULE, __VA_ARGS__)

/* ---- ELF */

static gie_status check_header(struct elf_file *f)
{
  struct gie_context *ctx = f->ctx;
  const ElfW(Ehdr) *own = &__ehdr_start;
  unsigned char ident[EI_NIDENT] = {0};
  if (f->size == 0)
    REFUSE("the file is empty; build it again");
  GIE_TRY(read_at(f, ident, f->size < EI_NIDENT ? (size_t)f->size : EI_NIDENT, 0));
  if (memcmp(ident, ELFMAG, SELFMAG) != 0)
    REFUSE("not an ELF file; a module is a shared object made by the linker");
  if (f->size < sizeof f->head)
    REFUSE("the ELF header is cut off after %llu bytes; build or copy the file again",
           (unsigned long long)f->size);
  if (ident[EI_CLASS] != own->e_ident[EI_CLASS] || ident[EI_DATA] != own->e_ident[EI_DATA])
    REFUSE("its ELF class %d and byte order %d are not those of this gie (%d, %d); build it for this machine",
           ident[EI_CLASS], ident[EI_DATA], own->e_ident[EI_CLASS], own->e_ident[EI_DATA]);
  if (ident[EI_VERSION] != EV_CURRENT)
    REFUSE("its ELF version is %d, not %d; the file is damaged", ident[EI_VERSION], EV_CURRENT);
  GIE_TRY(read_at(f, &f->head, sizeof f->head, 0));
  if (f->head.e_machine != own->e_machine)
    REFUSE("it is made for machine type %u, this gie for %u; build it for this machine", f->head.e_machine,
           own->e_machine);
  if (f->head.e_type != ET_DYN)
    REFUSE("its ELF type is %u, not a shared object (%d); link it with -shared", f->head.e_type, ET_DYN);
  return GIE_OK;
}

static gie_status check_table(const struct elf_file *f)
{
  struct gie_context *ctx = f->ctx;
  const ElfW(Ehdr) *h = &f->head;
  if (h->e_shoff == 0 || h->e_shnum == 0)
    REFUSE("it has no section table, where the module note is found; do not strip section headers");
  if (h->e_shentsize != sizeof(ElfW(Shdr)))
    REFUSE("its section headers have %u bytes instead of %zu; the file is damaged", h->e_shentsize,
           sizeof(ElfW(Shdr)));
  if (!inside(f, h->e_shoff, (uint64_t)h->e_shnum * sizeof(ElfW(Shdr))))
    REFUSE("its section table lies outside the file; the file is damaged or cut off");
  if (h->e_shstrndx == SHN_UNDEF || h->e_shstrndx >= h->e_shnum)
    REFUSE("section %u, which should hold the section names, does not exist; the file is damaged",
           h->e_shstrndx);
  return GIE_OK;
}

/* The section table and the names, both in one allocation that the caller frees. */
struct sections {
  ElfW(Shdr) *v;
  char *names;
  size_t n_names;
};

static gie_status read_sections(const struct elf_file *f, struct sections *s)
{
  struct gie_context *ctx = f->ctx;
  size_t table = (size_t)f->head.e_shnum * sizeof(ElfW(Shdr));
  ElfW(Shdr) names;
  GIE_TRY(read_at(f, &names, sizeof names, f->head.e_shoff + (uint64_t)f->head.e_shstrndx * sizeof names));
  if (names.sh_type != SHT_STRTAB || names.sh_size == 0 || names.sh_size > MAX_NAMES ||
      !inside(f, names.sh_offset, names.sh_size))
    REFUSE("its section names lie outside the file or are none; the file is damaged or cut off");
  s->n_names = (size_t)names.sh_size;
  s->v = gie_alloc_raw(ctx, 1, table + s->n_names);
  if (!s->v)
    return GIE_E_MEMORY;
  s->names = (char *)s->v + table;
  GIE_TRY(read_at(f, s->v, table, f->head.e_shoff));
  return read_at(f, s->names, s->n_names, names.sh_offset);
}

static gie_status find_note(const struct elf_file *f, const struct sections *s, const ElfW(Shdr) **out,
                            bool *absent)
{
  struct gie_context *ctx = f->ctx;
  const ElfW(Shdr) *found = NULL;
  for (unsigned i = 0; i < f->head.e_shnum; i++) {
    size_t at = s->v[i].sh_name;
    if (at >= s->n_names || !memchr(s->names + at, 0, s->n_names - at))
      REFUSE("the name of section %u lies outside the section names; the file is damaged", i);
    if (strcmp(s->names + at, GIE_NOTE_SECTION) != 0)
      continue;
    if (found)
      REFUSE("it has two %s sections; use GIE_MODULE once per module", GIE_NOTE_SECTION);
    found = &s->v[i];
  }
  if (!found) {
    *absent = true;
    REFUSE("it has no %s section, so it is no gie module; declare it with GIE_MODULE", GIE_NOTE_SECTION);
  }
  if (found->sh_type != SHT_NOTE)
    REFUSE("%s is not a note section (type %u); declare the module with GIE_MODULE", GIE_NOTE_SECTION,
           found->sh_type);
  if (!inside(f, found->sh_offset, found->sh_size))
    REFUSE("%s lies outside the file; the file is damaged or cut off", GIE_NOTE_SECTION);
  *out = found;
  return GIE_OK;
}

/* ---- The note's fields */

/* Bytes of struct gie_note in release 1.0: no note is shorter. */
#define NOTE_SIZE_1_0 (offsetof(struct gie_note, requires_) + sizeof(((struct gie_note *)0)->requires_))

/* Notes start with namesz, descsz, type and the owner's name, as in struct gie_note_section. */
static gie_status read_desc(const struct elf_file *f, const ElfW(Shdr) *at, struct gie_note *out)
{
  struct gie_context *ctx = f->ctx;
  struct gie_note_section note = {0};
  const uint64_t fixed = offsetof(struct gie_note_section, desc);
  const char *rebuild = "build the module again with this gie's headers";
  if (at->sh_size < fixed)
    REFUSE("its note has only %llu bytes; %s", (unsigned long long)at->sh_size, rebuild);
  uint64_t have = at->sh_size < sizeof note ? at->sh_size : sizeof note;
  GIE_TRY(read_at(f, &note, (size_t)have, at->sh_offset));
  if (note.namesz != sizeof GIE_NOTE_OWNER || memcmp(note.owner, GIE_NOTE_OWNER, sizeof GIE_NOTE_OWNER) != 0)
    REFUSE("its note does not belong to \"%s\"; %s", GIE_NOTE_OWNER, rebuild);
  if (note.type != GIE_NOTE_TYPE)
    REFUSE("its note has type %u instead of %d; %s", note.type, GIE_NOTE_TYPE, rebuild);
  if (fixed + (((uint64_t)note.descsz + 3) & ~3ull) != at->sh_size)
    REFUSE("its note says %u bytes of description, the section has %llu; the file is damaged", note.descsz,
           (unsigned long long)(at->sh_size - fixed));
  if (note.descsz < offsetof(struct gie_note, kind))
    REFUSE("its note describes the module in %u bytes, which is too short; %s", note.descsz, rebuild);
  if (note.desc.magic != GIE_NOTE_MAGIC)
    REFUSE("its note has magic number %08x instead of %08x; %s", note.desc.magic, GIE_NOTE_MAGIC, rebuild);
  /* Versions before sizes: a note of another major may well have another size. */
  if (note.desc.abi_major != GIE_ABI_MAJOR)
    REFUSE("it is built for module ABI %u.%u, this gie has %d.%d; %s", note.desc.abi_major,
           note.desc.abi_minor, GIE_ABI_MAJOR, GIE_ABI_MINOR,
           note.desc.abi_major > GIE_ABI_MAJOR ? "use a newer gie" : "build the module against a newer gie");
  if (note.desc.abi_minor > GIE_ABI_MINOR)
    REFUSE("it needs module ABI %u.%u, this gie has %d.%d; use a newer gie", note.desc.abi_major,
           note.desc.abi_minor, GIE_ABI_MAJOR, GIE_ABI_MINOR);
  if (note.desc.struct_size != note.descsz || note.descsz < NOTE_SIZE_1_0)
    REFUSE("its note has struct_size %u in %u bytes, at least %zu are needed; %s", note.desc.struct_size,
           note.descsz, (size_t)NOTE_SIZE_1_0, rebuild);
  *out = note.desc;
  return GIE_OK;
}

/* A NUL-terminated word of letters, digits and ._+- : it is printed and compared, never a path. */
static bool is_word(const char *s, size_t size)
{
  size_t n = strnlen(s, size);
  if (n == 0 || n == size || s[0] == '.' || s[0] == '-')
    return false;
  for (size_t i = 0; i < n; i++) {
    char c = s[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._+-", c)))
      return false;
  }
  return true;
}

static gie_status check_desc(struct gie_context *ctx, const struct gie_note *n)
{
  if (n->kind < GIE_MODULE_KERNEL || n->kind > GIE_MODULE_FORMAT)
    REFUSE("its note says module kind %u, known are %d to %d; use one of enum gie_module_kind", n->kind,
           GIE_MODULE_KERNEL, GIE_MODULE_FORMAT);
  if (!is_word(n->name, sizeof n->name))
    REFUSE("its name is not a word of 1 to %zu letters, digits or ._+-; change the name given to GIE_MODULE",
           sizeof n->name - 1);
  if (!is_word(n->version, sizeof n->version))
    REFUSE("its version is not a word of 1 to %zu letters, digits or ._+-; change GIE_MODULE_VERSION",
           sizeof n->version - 1);
  const uint32_t max_requires = sizeof n->requires_ / sizeof n->requires_[0];
  if (n->n_requires > max_requires)
    REFUSE("its note lists %u required interfaces, at most %u fit; the file is damaged", n->n_requires,
           max_requires);
  for (uint32_t i = 0; i < n->n_requires; i++) {
    const char *name = n->requires_[i].name;
    if (!is_word(name, sizeof n->requires_[i].name))
      REFUSE("the name of required interface %u is not a word; the file is damaged", i);
    const struct mod_interface *have = mod_interface_find(name);
    if (!have)
      REFUSE("it needs interface \"%s\", which this gie does not have; use a newer gie", name);
    if (have->major != n->requires_[i].major || have->minor < n->requires_[i].min_minor)
      REFUSE("it needs interface \"%s\" %u.%u, this gie has %u.%u; build the module against this gie", name,
             n->requires_[i].major, n->requires_[i].min_minor, have->major, have->minor);
  }
  return GIE_OK;
}

gie_status mod_note_read(struct gie_context *ctx, int fd, const char *path, uint64_t size,
                         struct gie_note *out, bool *absent)
{
  struct elf_file f = {.ctx = ctx, .fd = fd, .path = path, .size = size};
  struct sections s = {0};
  struct gie_note note;
  const ElfW(Shdr) *at = NULL;
  *absent = false;
  GIE_TRY(check_header(&f));
  GIE_TRY(check_table(&f));
  gie_status st = read_sections(&f, &s);
  if (st == GIE_OK)
    st = find_note(&f, &s, &at, absent);
  if (st == GIE_OK)
    st = read_desc(&f, at, &note);
  gie_free(ctx, s.v);
  GIE_TRY(st);
  GIE_TRY(check_desc(ctx, &note));
  *out = note;
  return GIE_OK;
}
