/* SPDX-License-Identifier: Apache-2.0 */
/* The registries and the host that modules see: what a module may register, what is refused, and
 * the function tables handed out by name. */
#include "core/module/registry.h"
#include "core/ir/ir.h"

/* ---- Interfaces: the tables come from the same lists as the functions' declarations */

#define GIE_FN(ret, name, params, args) .name = gie_##name,
#define GIE_FN_VOID(name, params, args) .name = gie_##name,
static const struct gie_base_api base_api = {
    .struct_size = sizeof(struct gie_base_api),
#include <gie/base_list.h>
};
static const struct gie_graph_api graph_api = {
    .struct_size = sizeof(struct gie_graph_api),
#include <gie/graph_list.h>
};
#undef GIE_FN
#undef GIE_FN_VOID

static const struct mod_interface interfaces[] = {
    {"gie.base", 1, 0, &base_api},
    {"gie.graph", 1, 0, &graph_api},
};

const struct mod_interface *mod_interface_find(const char *name)
{
  for (size_t i = 0; i < sizeof interfaces / sizeof interfaces[0]; i++)
    if (strcmp(interfaces[i].name, name) == 0)
      return &interfaces[i];
  return NULL;
}

static const void *host_interface(const struct gie_host *host, const char *name, uint16_t major)
{
  (void)host;
  const struct mod_interface *i = name ? mod_interface_find(name) : NULL;
  return i && i->major == major ? i->table : NULL;
}

/* ---- What is required of a registered struct */

/* All of them begin so; checked below. */
struct named {
  size_t struct_size;
  const char *name;
};

struct member {
  const char *name;
  size_t offset;
};
#define MEMBER(type, name)             \
  {                                    \
#name, offsetof(struct type, name) \
  }

/* Pointers that must not be NULL. */
static const struct member device_members[] = {
    MEMBER(gie_device, count), MEMBER(gie_device, open),  MEMBER(gie_device, close),
    MEMBER(gie_device, info),  MEMBER(gie_device, alloc), MEMBER(gie_device, free),
    MEMBER(gie_device, copy),  MEMBER(gie_device, sync),  {0}};
static const struct member op_members[] = {MEMBER(gie_op, infer), MEMBER(gie_op, help), {0}};
static const struct member kernel_members[] = {MEMBER(gie_kernel, device),   MEMBER(gie_kernel, ops),
                                               MEMBER(gie_kernel, supports), MEMBER(gie_kernel, create),
                                               MEMBER(gie_kernel, run),      {0}};
static const struct member pass_members[] = {MEMBER(gie_pass, help), MEMBER(gie_pass, run), {0}};
static const struct member format_members[] = {MEMBER(gie_format, suffixes),
                                               MEMBER(gie_format, help),
                                               MEMBER(gie_format, probe),
                                               MEMBER(gie_format, import),
                                               {0}};

_Static_assert(offsetof(struct gie_device, kind) == offsetof(struct named, name), "");
_Static_assert(offsetof(struct gie_op, name) == offsetof(struct named, name), "");
_Static_assert(offsetof(struct gie_kernel, name) == offsetof(struct named, name), "");
_Static_assert(offsetof(struct gie_pass, name) == offsetof(struct named, name), "");
_Static_assert(offsetof(struct gie_format, name) == offsetof(struct named, name), "");

static gie_status check_op(struct gie_context *ctx, const void *what)
{
  const struct gie_op *op = what;
  if (op->min_in > op->max_in || op->min_out > op->max_out || op->max_out == 0)
    return gie_fail(ctx, GIE_E_MODULE,
                    "op \"%s\" takes %u to %u operands and gives %u to %u results; correct the range",
                    op->name, op->min_in, op->max_in, op->min_out, op->max_out);
  if (op->flags & GIE_OP_OPAQUE)
    return gie_fail(ctx, GIE_E_MODULE,
                    "op \"%s\" has the flag of opaque ops, which are made by the engine; clear it", op->name);
  return GIE_OK;
}

static gie_status check_kernel(struct gie_context *ctx, const void *what)
{
  const struct gie_kernel *k = what;
  if (!k->ops[0])
    return gie_fail(ctx, GIE_E_MODULE, "kernel \"%s\" lists no ops; name the ops it may support", k->name);
  if (k->pack_desc && !k->pack)
    return gie_fail(ctx, GIE_E_MODULE, "kernel \"%s\" has pack_desc but no pack; set both", k->name);
  return GIE_OK;
}

/* Size of a struct whose last member in release 1.0 was that one. */
#define SIZE_1_0(type, last) (offsetof(struct type, last) + sizeof(((struct type *)0)->last))

static const struct {
  const char *name;
  size_t size; /* of the struct in release 1.0: none may be shorter */
  const struct member *members;
  gie_status (*check)(struct gie_context *ctx, const void *what);
} kinds[MOD_KINDS] = {
    [MOD_DEVICE] = {"device", SIZE_1_0(gie_device, energy), device_members, NULL},
    [MOD_OP] = {"op", SIZE_1_0(gie_op, help), op_members, check_op},
    [MOD_KERNEL] = {"kernel", SIZE_1_0(gie_kernel, version), kernel_members, check_kernel},
    [MOD_PASS] = {"pass", SIZE_1_0(gie_pass, run), pass_members, NULL},
    [MOD_FORMAT] = {"format", SIZE_1_0(gie_format, export_), format_members, NULL},
};

const char *mod_kind_name(enum mod_kind kind) { return kinds[kind].name; }

bool mod_is_name(const char *s, size_t n)
{
  if (n == 0 || n > 128)
    return false;
  for (size_t i = 0; i < n; i++)
    if (s[i] <= ' ' || s[i] > '~' || s[i] == ',' || s[i] == '"')
      return false;
  return true;
}

static gie_status check(struct gie_context *ctx, enum mod_kind kind, const void *what)
{
  const struct named *n = what;
  const char *kind_name = kinds[kind].name;
  if (!what)
    return gie_fail(ctx, GIE_E_MODULE, "it registers a NULL %s; pass the address of its struct", kind_name);
  if (n->struct_size < kinds[kind].size)
    return gie_fail(ctx, GIE_E_MODULE,
                    "a registered %s has struct_size %zu, at least %zu are needed; set it to sizeof",
                    kind_name, n->struct_size, kinds[kind].size);
  if (!n->name || !mod_is_name(n->name, strnlen(n->name, 129)))
    return gie_fail(
        ctx, GIE_E_MODULE,
        "a registered %s has no name of 1 to 128 visible characters without comma or quote; set one",
        kind_name);
  for (const struct member *m = kinds[kind].members; m->name; m++) {
    void *p;
    memcpy(&p, (const char *)what + m->offset, sizeof p);
    if (!p)
      return gie_fail(ctx, GIE_E_MODULE, "%s \"%s\" has no %s, which is required; set it", kind_name, n->name,
                      m->name);
  }
  return kinds[kind].check ? kinds[kind].check(ctx, what) : GIE_OK;
}

/* ---- Lists */

/* First entry whose name is not below `name`. */
static size_t lower_bound(const struct mod_list *l, const char *name)
{
  size_t lo = 0, hi = l->n;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (strcmp(l->v[mid].name, name) < 0)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

static gie_status add(struct gie_registry *r, enum mod_kind kind, const void *what)
{
  struct gie_context *ctx = r->host.ctx;
  struct mod_list *l = &r->list[kind];
  GIE_TRY(check(ctx, kind, what));
  const char *name = ((const struct named *)what)->name;
  size_t at = lower_bound(l, name);
  if (at < l->n && strcmp(l->v[at].name, name) == 0) {
    uint32_t by = l->v[at].module;
    return gie_fail(ctx, GIE_E_MODULE,
                    "%s \"%s\" is already registered by %s; rename one or leave one module out",
                    kinds[kind].name, name, by == r->loading ? "this module" : r->modules[by].path);
  }
  if (kind == MOD_OP && ir_builtin_find(name))
    return gie_fail(ctx, GIE_E_MODULE, "op \"%s\" is built in; name it \"domain::Name\"", name);
  GIE_TRY(gie_grow(ctx, &l->v, &l->cap, l->n + 1, sizeof l->v[0]));
  memmove(&l->v[at + 1], &l->v[at], (l->n - at) * sizeof l->v[0]);
  l->v[at] = (struct mod_entry){name, what, r->loading};
  l->n++;
  return GIE_OK;
}

/* The first refusal sticks, so that a module which ignores it is refused all the same. */
static gie_status registered(const struct gie_host *host, enum mod_kind kind, const void *what)
{
  struct gie_registry *r = (struct gie_registry *)host;
  if (!r->open)
    return gie_fail(host->ctx, GIE_E_MODULE,
                    "a module registers a %s after its init has ended; register inside init",
                    kinds[kind].name);
  gie_status st = add(r, kind, what);
  if (r->failed == GIE_OK)
    r->failed = st;
  return st;
}

static gie_status register_device(const struct gie_host *host, const struct gie_device *device)
{
  return registered(host, MOD_DEVICE, device);
}
static gie_status register_op(const struct gie_host *host, const struct gie_op *op)
{
  return registered(host, MOD_OP, op);
}
static gie_status register_kernel(const struct gie_host *host, const struct gie_kernel *kernel)
{
  return registered(host, MOD_KERNEL, kernel);
}
static gie_status register_pass(const struct gie_host *host, const struct gie_pass *pass)
{
  return registered(host, MOD_PASS, pass);
}
static gie_status register_format(const struct gie_host *host, const struct gie_format *format)
{
  return registered(host, MOD_FORMAT, format);
}

void mod_forget(struct gie_registry *r, uint32_t index)
{
  for (int k = 0; k < MOD_KINDS; k++) {
    struct mod_list *l = &r->list[k];
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++)
      if (l->v[i].module != index)
        l->v[kept++] = l->v[i];
    l->n = kept;
  }
}

gie_status mod_registry_new(struct gie_context *ctx)
{
  struct gie_registry *r = gie_alloc(ctx, 1, sizeof *r);
  if (!r)
    return GIE_E_MEMORY;
  r->host = (struct gie_host){
      .struct_size = sizeof r->host,
      .abi_major = GIE_ABI_MAJOR,
      .abi_minor = GIE_ABI_MINOR,
      .ctx = ctx,
      .register_device = register_device,
      .register_op = register_op,
      .register_kernel = register_kernel,
      .register_pass = register_pass,
      .register_format = register_format,
      .interface_ = host_interface,
  };
  gie_buf_init(&r->searched, ctx);
  ctx->registry = r;
  return GIE_OK;
}

/* Handles stay open: code of a module may be on other threads' stacks or in atexit lists. */
void mod_registry_free(struct gie_context *ctx)
{
  struct gie_registry *r = ctx->registry;
  if (!r)
    return;
  for (int k = 0; k < MOD_KINDS; k++)
    gie_free(ctx, r->list[k].v);
  for (size_t i = 0; i < r->n_modules; i++) {
    gie_free(ctx, r->modules[i].path);
    gie_free(ctx, r->modules[i].refused);
  }
  gie_free(ctx, r->modules);
  gie_buf_free(&r->searched);
  gie_free(ctx, r);
  ctx->registry = NULL;
}

/* ---- Reading */

const struct mod_entry *mod_entry_at(const struct gie_context *ctx, enum mod_kind kind, uint32_t i)
{
  const struct gie_registry *r = ctx->registry;
  return r && i < r->list[kind].n ? &r->list[kind].v[i] : NULL;
}

static const void *what_at(const struct gie_context *ctx, enum mod_kind kind, uint32_t i)
{
  const struct mod_entry *e = mod_entry_at(ctx, kind, i);
  return e ? e->what : NULL;
}

const struct mod_entry *mod_find_entry(const struct gie_context *ctx, enum mod_kind kind, const char *name)
{
  const struct gie_registry *r = ctx->registry;
  if (!r)
    return NULL;
  const struct mod_list *l = &r->list[kind];
  size_t at = lower_bound(l, name);
  return at < l->n && strcmp(l->v[at].name, name) == 0 ? &l->v[at] : NULL;
}

const void *mod_find(const struct gie_context *ctx, enum mod_kind kind, const char *name)
{
  const struct mod_entry *e = mod_find_entry(ctx, kind, name);
  return e ? e->what : NULL;
}

const char *mod_origin(const struct gie_context *ctx, const struct mod_entry *e, char *buf, size_t size)
{
  const struct gie_registry *r = ctx->registry;
  if (e->module >= r->n_modules)
    return "the program";
  const struct gie_note *note = &r->modules[e->module].note;
  snprintf(buf, size, "%s %s", note->name, note->version);
  return buf;
}

const struct gie_device *gie_device_at(const struct gie_context *ctx, uint32_t i)
{
  return what_at(ctx, MOD_DEVICE, i);
}

const struct gie_kernel *gie_kernel_at(const struct gie_context *ctx, uint32_t i)
{
  return what_at(ctx, MOD_KERNEL, i);
}

const struct gie_pass *gie_pass_at(const struct gie_context *ctx, uint32_t i)
{
  return what_at(ctx, MOD_PASS, i);
}

const struct gie_format *gie_format_at(const struct gie_context *ctx, uint32_t i)
{
  return what_at(ctx, MOD_FORMAT, i);
}

/* Built-in ops in the table's order, then those of modules by name. */
const struct gie_op *gie_op_at(const struct gie_context *ctx, uint32_t i)
{
  uint32_t n = 0;
  while (ir_builtin_op(n))
    n++;
  return i < n ? ir_builtin_op(i) : what_at(ctx, MOD_OP, i - n);
}

const struct gie_op *gie_op_find(const struct gie_context *ctx, const char *name)
{
  const struct gie_op *op = ir_builtin_find(name);
  return op ? op : mod_find(ctx, MOD_OP, name);
}

enum gie_math mod_math(const struct gie_node *n)
{
  const struct gie_attr *a = gie_attrs_find(&n->notes, "math");
  bool is_one = a && a->kind == GIE_ATTR_INT && a->u.i >= GIE_MATH_STRICT && a->u.i <= GIE_MATH_FAST;
  return is_one ? (enum gie_math)a->u.i : GIE_MATH_STRICT;
}

bool gie_module_at(const struct gie_context *ctx, uint32_t i, struct gie_module_info *out)
{
  const struct gie_registry *r = ctx->registry;
  if (!r || i >= r->n_modules)
    return false;
  const struct mod_module *m = &r->modules[i];
  /* The caller may know fewer members than this release. */
  struct gie_module_info info = {
      .struct_size = out->struct_size,
      .path = m->path,
      .name = m->note.name,
      .version = m->note.version,
      .kind = (enum gie_module_kind)m->note.kind,
      .abi_major = m->note.abi_major,
      .abi_minor = m->note.abi_minor,
      .refused = m->refused,
  };
  memcpy(out, &info, out->struct_size && out->struct_size < sizeof info ? out->struct_size : sizeof info);
  return true;
}
