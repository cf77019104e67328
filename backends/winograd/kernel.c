/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels as the engine sees them: they share everything but their launches. */
#include "backends/winograd/winograd.h"

#include <gie/module.h>
#include <gie/window.h>
#include <stdio.h>

struct instance {
  struct gie_context *ctx;
  const struct wg_structure *structure;
  struct gie_cuda_steps steps;
  int32_t bias; /* operand, or -1 */
  _Alignas(16) unsigned char plan[];
};

/* ---- run */

static gie_status run(void *instance, const struct gie_launch *l)
{
  const struct instance *i = instance;
  struct gie_cuda_steps steps = i->steps;
  struct wg_addresses a = {.x = l->in[0],
                           .packed = l->in[1],
                           .bias = i->bias < 0 ? NULL : l->in[i->bias],
                           .y = l->out[0],
                           .workspace = l->workspace};
  gie_cuda_steps_bind(&steps, l);
  GIE_CUDA_TRY(l->ctx, i->structure->run(i->plan, &steps, &a, gie_cuda_stream(l)), "launching a convolution");
  return GIE_OK;
}

/* ---- The problem */

static const struct wg_structure *structure_of(const struct gie_kernel *k) { return k->user; }

static bool refuse(char *why, size_t size, const char *reason)
{
  snprintf(why, size, "%s", reason);
  return false;
}

static bool has_bias(const struct gie_problem *p) { return p->node->n_operands > 2 && p->in[2].dtype; }

static bool is_last(const struct gie_desc *d) { return d->layout.rank == 4 && d->layout.perm[1] == 2; }

/* Everything but strides. */
static bool read_problem(const struct gie_problem *p, struct wg_problem *out, const char **why)
{
  const struct gie_desc *x = &p->in[0], *w = &p->in[1], *y = &p->out[0];
  struct gie_window win;
  if (x->rank != 4 || w->rank != 4 || y->rank != 4)
    return *why = "not two spatial axes", false;
  if (!gie_window_read(p->node, 2, x->dim + 2, w->dim + 2, &win, why))
    return false;
  if (win.kernel[0] != win.kernel[1] || (win.kernel[0] != 3 && win.kernel[0] != 5))
    return *why = "a kernel other than 3x3 and 5x5", false;
  if (win.stride[0] != 1 || win.stride[1] != 1 || win.dilation[0] != 1 || win.dilation[1] != 1)
    return *why = "a stride or a dilation above 1", false;
  *out = (struct wg_problem){.s = {x->dim[0], x->dim[1], x->dim[2], x->dim[3], w->dim[0], win.out[0],
                                   win.out[1], win.pad_begin[0], win.pad_begin[1]},
                             .r = (int)win.kernel[0],
                             .dtype = x->dtype,
                             .units = p->device && p->device->units ? (int)p->device->units : 1};
  return true;
}

/* Strides fit the kernels: 31 bits inside an image. */
static bool read_strides(const struct gie_problem *p, struct wg_problem *out)
{
  const struct gie_desc *x = &p->in[0], *y = &p->out[0];
  out->channels_last = is_last(y);
  out->x_n = x->stride[0], out->x_c = x->stride[1], out->x_h = x->stride[2], out->x_w = x->stride[3];
  out->y_n = y->stride[0], out->y_c = y->stride[1], out->y_h = y->stride[2], out->y_w = y->stride[3];
  return out->x_h <= INT32_MAX && out->x_w <= INT32_MAX && out->y_h <= INT32_MAX && out->y_w <= INT32_MAX;
}

/* ---- supports */

static bool check_types(const struct gie_problem *p, char *why, size_t size)
{
  enum gie_dtype t = p->in[0].dtype;
  if (t != GIE_F32 && t != GIE_F16)
    return refuse(why, size, "neither f32 nor f16");
  if (p->in[1].dtype != t || (has_bias(p) && p->in[2].dtype != t) || p->out[0].dtype != t)
    return refuse(why, size, "operands or a result of another dtype");
  if (p->n_in > GIE_MAX_IO || p->n_out != 1)
    return refuse(why, size, "too many operands or results");
  if (!p->in_data[1])
    return refuse(why, size, "weights that are not constant");
  if (gie_node_int(p->node, "group") != 1)
    return refuse(why, size, "group > 1");
  return true;
}

static uint32_t list_configs(const struct wg_structure *s, const struct wg_problem *p, enum gie_math math,
                             struct wg_config *out, uint32_t max);

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t size)
{
  struct wg_problem w;
  struct wg_config c;
  const char *reason = "";
  if (!check_types(p, why, size))
    return false;
  if (!read_problem(p, &w, &reason))
    return refuse(why, size, reason);
  if (w.s.n < 1 || w.s.c < 1 || w.s.k < 1 || w.s.oh < 1 || w.s.ow < 1)
    return refuse(why, size, "no elements");
  for (int i = 0; i < 4; i++)
    if (p->in[0].dim[i] > INT32_MAX / 4 || p->out[0].dim[i] > INT32_MAX / 4)
      return refuse(why, size, "an axis above 2^29");
  if (w.s.pad_h > INT32_MAX / 4 || w.s.pad_w > INT32_MAX / 4)
    return refuse(why, size, "a pad above 2^29");
  if (list_configs(structure_of(k), &w, p->math, &c, 1) == 0)
    return refuse(why, size, structure_of(k)->refusal);
  return true;
}

/* ---- variants */

/* c in its place among the n best; the worst falls out when there are max of them. */
static uint32_t insert(struct wg_config *out, double *seconds, uint32_t n, uint32_t max, struct wg_config c,
                       double t)
{
  uint32_t at = n < max ? n : max - 1;
  if (n == max && seconds[at] <= t)
    return n;
  for (; at > 0 && seconds[at - 1] > t; at--) {
    seconds[at] = seconds[at - 1];
    out[at] = out[at - 1];
  }
  seconds[at] = t;
  out[at] = c;
  return n < max ? n + 1 : n;
}

/* Configurations in order of their estimated time. */
static uint32_t list_configs(const struct wg_structure *s, const struct wg_problem *p, enum gie_math math,
                             struct wg_config *out, uint32_t max)
{
  static const uint8_t SPLITS[] = {1, 2, 4, 8}, CHUNKS[] = {0, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
  double seconds[64];
  uint32_t n = 0;
  max = max < 64 ? max : 64;
  if (max == 0)
    return 0;
  for (int form = 0; form < WG_N_FORMS; form++)
    for (int tile = 0; tile < WG_N_TILES; tile++)
      for (size_t i = 0; i < sizeof SPLITS; i++)
        for (size_t j = 0; j < sizeof CHUNKS; j++) {
          struct wg_config c = {(enum wg_form_id)form, (uint8_t)tile, SPLITS[i], CHUNKS[j]};
          size_t bytes;
          if (!s->has(&WG_TILES[tile]) || WG_FORMS[form].r != p->r || !wg_is_offered(p, &c, math) ||
              !s->workspace(p, &c, &bytes))
            continue;
          double t = wg_estimate(p, &c, NULL);
          n = insert(out, seconds, n, max, c, t);
        }
  return n;
}

static void fill_port(struct gie_port *port, const struct gie_desc *d, const struct gie_layout *layout,
                      enum gie_dtype dtype)
{
  port->dtype = d->dtype ? dtype : GIE_DTYPE_NONE;
  if (d->rank == 4)
    port->layout = *layout;
  port->pitch = d->rank == 4;
  port->pitch_axes = 1u << 1;
}

static void fill_variant(const struct gie_problem *p, const struct wg_problem *w, const struct wg_config *c,
                         uint32_t n_steps, struct gie_variant *v)
{
  struct gie_layout layout = {0};
  enum gie_dtype dtype = w->dtype == p->in[0].dtype ? GIE_DTYPE_NONE : w->dtype;
  if (w->channels_last)
    layout = (struct gie_layout){.rank = 4, .perm = {0, 2, 3, 1}};
  memset(v, 0, sizeof *v);
  v->struct_size = sizeof *v;
  v->config = wg_config_number(w, c);
  wg_config_label(w, c, v->label, sizeof v->label);
  v->n_steps = n_steps;
  v->in_place = -1;
  v->capture_safe = true;
  v->error = wg_error_bound(w, c);
  v->n_in = p->n_in;
  v->n_out = 1;
  for (uint32_t i = 0; i < p->n_in; i++)
    fill_port(&v->in[i], &p->in[i], &layout, dtype);
  v->in[1].layout = (struct gie_layout){0};
  v->in[1].pitch = false;
  fill_port(&v->out[0], &p->out[0], &layout, dtype);
}

static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  struct wg_problem w;
  struct wg_config c[64];
  struct gie_cuda_steps steps;
  const char *why;
  char text[128];
  uint32_t n = 0, n_steps = p->node->n_steps;
  if (!read_problem(p, &w, &why))
    return 0;
  while (n_steps > 0 && !gie_cuda_steps_make(p, n_steps, &steps, text, sizeof text))
    n_steps--;
  /* an f32 problem may also be computed in f16 by those who ask for that: the last quarter of the list */
  for (int half = w.dtype == GIE_F16; half < 2; half++)
    for (int last = 0; last < 2; last++) {
      uint32_t room = w.dtype == GIE_F16 || p->in[0].dtype == GIE_F16 ? max / 2
                      : half                                          ? max / 8
                                                                      : max * 3 / 8;
      w.dtype = half ? GIE_F16 : GIE_F32;
      w.channels_last = last;
      uint32_t found = list_configs(structure_of(k), &w, p->math, c, room);
      for (uint32_t i = 0; i < found && n < max; i++)
        fill_variant(p, &w, &c[i], n_steps, &out[n++]);
    }
  return n;
}

/* Problem and configuration of a variant; false when the variant is none of this kernel's. */
static bool read_variant(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         struct wg_problem *w, struct wg_config *c)
{
  const char *why;
  return read_problem(p, w, &why) && wg_config_read(v->config, w, c) &&
         structure_of(k)->has(&WG_TILES[c->tile]);
}

/* ---- estimate */

static void estimate(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                     struct gie_cost *out)
{
  struct wg_problem w;
  struct wg_config c;
  if (read_variant(k, p, v, &w, &c))
    out->seconds = wg_estimate(&w, &c, out);
}

/* ---- Packed weights */

static uint32_t pack_desc(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, struct gie_pack *out, uint32_t max)
{
  struct wg_problem w;
  struct wg_config c;
  if (max < 1 || !read_variant(k, p, v, &w, &c) ||
      !wg_pack_bytes(&WG_FORMS[c.form], wg_packing_of(&c), w.s.c, w.s.k, w.dtype, &out[0].bytes))
    return 0;
  out[0].operand = 1;
  snprintf(out[0].key, sizeof out[0].key, "winograd.%s %s %s from %s", WG_FORMS[c.form].name,
           WG_PACKINGS[wg_packing_of(&c)], gie_dtype_name(w.dtype), gie_dtype_name(p->in[1].dtype));
  return 1;
}

static gie_status pack(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                       const struct gie_pack *d, const void *plain, void *packed)
{
  struct wg_problem w;
  struct wg_config c;
  size_t bytes;
  if (!read_variant(k, p, v, &w, &c) ||
      !wg_pack_bytes(&WG_FORMS[c.form], wg_packing_of(&c), w.s.c, w.s.k, w.dtype, &bytes) ||
      bytes != d->bytes)
    return gie_fail(p->ctx, GIE_E_INTERNAL,
                    "packed weights of another size; delete the plan and build it again");
  wg_pack(&WG_FORMS[c.form], wg_packing_of(&c), w.s.c, w.s.k, p->in[1].dtype, plain, w.dtype, packed);
  return GIE_OK;
}

static size_t workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v)
{
  struct wg_problem w;
  struct wg_config c;
  size_t bytes;
  return read_variant(k, p, v, &w, &c) && structure_of(k)->workspace(&w, &c, &bytes) ? bytes : 0;
}

/* ---- create, destroy */

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **instance)
{
  const struct wg_structure *s = structure_of(k);
  struct wg_problem w;
  struct wg_config c;
  char why[128] = "";
  size_t bytes;
  if (!read_variant(k, p, v, &w, &c) || !read_strides(p, &w) || !s->workspace(&w, &c, &bytes))
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED,
                    "configuration %llu does not fit the problem; build the plan again",
                    (unsigned long long)v->config);
  if (p->in[0].dtype != w.dtype || is_last(&p->in[0]) != w.channels_last ||
      is_last(&p->out[0]) != w.channels_last)
    return gie_fail(p->ctx, GIE_E_UNSUPPORTED,
                    "operands of another dtype or layout than the variant asks for; build the plan again");
  struct instance *i = gie_alloc(p->ctx, 1, sizeof *i + s->bytes);
  if (!i)
    return GIE_E_MEMORY;
  i->ctx = p->ctx;
  i->structure = s;
  i->bias = has_bias(p) ? 2 : -1;
  gie_status st = GIE_OK;
  if (!gie_cuda_steps_make(p, v->n_steps, &i->steps, why, sizeof why))
    st = gie_fail(p->ctx, GIE_E_UNSUPPORTED, "%s; build the plan again", why);
  if (st == GIE_OK) {
    cudaError_t e = s->make(&w, &c, i->plan);
    st = e == cudaSuccess ? GIE_OK : gie_cuda_fail(p->ctx, e, "preparing a convolution");
  }
  if (st != GIE_OK) {
    gie_free(p->ctx, i);
    return st;
  }
  *instance = i;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct instance *i = instance;
  gie_free(i->ctx, i);
}

/* ---- The table */

static const char *const OPS[] = {"conv", NULL};

#define WG_KERNEL(what, how)                                                                            \
  {                                                                                                     \
    .struct_size = sizeof(struct gie_kernel), .name = "winograd." what, .device = "cuda", .ops = OPS,   \
    .user = (void *)&(how), .supports = supports, .variants = variants, .estimate = estimate,           \
    .pack_desc = pack_desc, .pack = pack, .workspace = workspace, .create = create, .destroy = destroy, \
    .run = run                                                                                          \
  }

static const struct gie_kernel KERNELS[] = {
    WG_KERNEL("staged", wg_staged_structure),
    WG_KERNEL("fused", wg_fused_structure),
    WG_KERNEL("few", wg_few_structure),
};

static gie_status init(const struct gie_host *host, void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof KERNELS / sizeof KERNELS[0]; i++)
    GIE_TRY(host->register_kernel(host, &KERNELS[i]));
  return GIE_OK;
}

GIE_MODULE("winograd", GIE_MODULE_KERNEL, init)
