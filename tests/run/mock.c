/* SPDX-License-Identifier: Apache-2.0 */
/* See mock.h. */
#include "tests/run/mock.h"
#include "core/module/registry.h"

/* ---- Devices ----------------------------------------------------------------------------------- */

struct mock_device {
  struct gie_context *ctx;
};

static int count(struct gie_context *c)
{
  (void)c;
  return 1;
}

static gie_status open_cpu(struct gie_context *c, int index, void **dev)
{
  struct mock_device *d = gie_alloc(c, 1, sizeof *d);
  (void)index;
  if (!d)
    return GIE_E_MEMORY;
  *d = (struct mock_device){c};
  *dev = d;
  return GIE_OK;
}

static void close_cpu(void *dev)
{
  struct mock_device *d = dev;
  gie_free(d->ctx, d);
}

static gie_status info(void *dev, struct gie_device_info *out)
{
  (void)dev;
  snprintf(out->name, sizeof out->name, "mock");
  out->flags = GIE_DEVICE_HOST;
  out->memory = UINT64_C(1) << 40;
  return GIE_OK;
}

/* Where the block begins is kept in front of it. */
static gie_status alloc(void *dev, size_t bytes, void **out)
{
  struct mock_device *d = dev;
  char *p = gie_alloc_raw(d->ctx, bytes + 512, 1);
  if (!p)
    return GIE_E_MEMORY;
  char *at = (char *)(((uintptr_t)p + 511) & ~(uintptr_t)255);
  memcpy(at - sizeof p, &p, sizeof p);
  *out = at;
  return GIE_OK;
}

static void free_cpu(void *dev, void *at)
{
  struct mock_device *d = dev;
  char *p;
  memcpy(&p, (char *)at - sizeof p, sizeof p);
  gie_free(d->ctx, p);
}

static gie_status copy(void *dev, void *dst, const void *src, size_t bytes, enum gie_copy kind, void *stream)
{
  (void)dev, (void)stream, (void)kind;
  memcpy(dst, src, bytes);
  return GIE_OK;
}

static gie_status sync_cpu(void *dev, void *stream)
{
  (void)dev, (void)stream;
  return GIE_OK;
}

const struct gie_device mock_cpu = {.struct_size = sizeof mock_cpu,
                                    .kind = "cpu",
                                    .count = count,
                                    .open = open_cpu,
                                    .close = close_cpu,
                                    .info = info,
                                    .alloc = alloc,
                                    .free = free_cpu,
                                    .copy = copy,
                                    .sync = sync_cpu};

/* ---- Library ----------------------------------------------------------------------------------- */

_Atomic int mock_library_opens;

static gie_status library_open(struct gie_context *c, void *dev, void **handle)
{
  (void)dev;
  mock_library_opens++;
  *handle = gie_alloc(c, 1, 16);
  return *handle ? GIE_OK : GIE_E_MEMORY;
}

static void library_close(void *handle)
{
  gie_free(NULL, handle);
  mock_library_opens--;
}

const struct gie_library mock_library = {sizeof mock_library, "mocklib", library_open, library_close};

/* ---- Kernel ------------------------------------------------------------------------------------ */

struct instance {
  struct mock *m;
  struct gie_context *ctx;
  const char *op, *device;
  uint32_t n_in, n_out, n_steps;
  int64_t axis;
  struct gie_desc in[4], out[4];
  bool is_const[4];
};

static void start(struct gie_desc *d, int64_t *idx)
{
  (void)d;
  memset(idx, 0, GIE_MAX_RANK * sizeof *idx);
}

static bool next(const struct gie_desc *d, int64_t *idx)
{
  for (int i = d->rank - 1; i >= 0; i--) {
    if (++idx[i] < d->dim[i])
      return true;
    idx[i] = 0;
  }
  return false;
}

/* Address of the element that broadcasts to index idx of a result of that rank. */
static char *at(const struct gie_desc *d, void *p, const int64_t *idx, int rank)
{
  int64_t own[GIE_MAX_RANK];
  for (int i = 0; i < d->rank; i++)
    own[i] = d->dim[i] == 1 ? 0 : idx[i + rank - d->rank];
  return (char *)p + (size_t)gie_desc_offset(d, own) * gie_dtype_size(d->dtype);
}

static void run_pointwise(struct instance *k, void **in, void **out)
{
  int64_t idx[GIE_MAX_RANK];
  struct gie_desc *y = &k->out[0];
  start(y, idx);
  do {
    float a, b = 0;
    memcpy(&a, at(&k->in[0], in[0], idx, y->rank), sizeof a);
    if (k->n_in > 1)
      memcpy(&b, at(&k->in[1], in[1], idx, y->rank), sizeof b);
    float r = strcmp(k->op, "add") == 0 ? a + b : a > 0 ? a : 0;
    for (uint32_t i = 0; i < k->n_steps; i++)
      r = r > 0 ? r : 0; /* relu is the only step here */
    memcpy(at(y, out[0], idx, y->rank), &r, sizeof r);
  } while (next(y, idx));
}

/* Elements in logical order from one tensor to another of as many. */
static void run_move(struct gie_desc *x, void *from, struct gie_desc *y, void *to)
{
  int64_t i[GIE_MAX_RANK], j[GIE_MAX_RANK];
  start(x, i);
  start(y, j);
  do {
    memmove(at(y, to, j, y->rank), at(x, from, i, x->rank), gie_dtype_size(x->dtype));
    next(y, j);
  } while (next(x, i));
}

/* Concat and split copy ranges of the whole. */
static void run_ranges(struct instance *k, struct gie_desc *whole, void *at_whole, struct gie_desc *parts,
                       void **at_parts, uint32_t n, bool join)
{
  int64_t begin = 0;
  for (uint32_t i = 0; i < n; i++) {
    struct gie_desc range;
    size_t offset;
    ck_gie_ok(k->ctx,
              gie_desc_view(k->ctx, whole, (int)k->axis, begin, parts[i].dim[k->axis], &range, &offset));
    char *p = (char *)at_whole + offset;
    if (join)
      run_move(&parts[i], at_parts[i], &range, p);
    else
      run_move(&range, p, &parts[i], at_parts[i]);
    begin += parts[i].dim[k->axis];
  }
}

/* The packed operand is the transposed matrix. */
static void run_matmul(struct instance *k, void **in, void **out)
{
  int64_t rows = k->in[0].dim[0], depth = k->in[0].dim[1], columns = k->out[0].dim[1];
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      float sum = 0;
      for (int64_t l = 0; l < depth; l++)
        sum += ((float *)in[0])[i * depth + l] *
               ((float *)in[1])[k->m->pack_key ? j * depth + l : l * columns + j];
      ((float *)out[0])[i * columns + j] = sum;
    }
}

static bool is_good(const struct instance *k, void *p, size_t align)
{
  bool is_far = strcmp(k->device, "far") == 0;
  return ((uintptr_t)p & MOCK_FAR ? is_far : !is_far) && (align <= 1 || (uintptr_t)p % align == 0);
}

struct job {
  struct instance *k;
  void *in[4], *out[4], *workspace;
};

static void work(void *arg)
{
  struct job *j = arg;
  struct instance *k = j->k;
  if (j->workspace)
    memset(j->workspace, 0xee, k->m->workspace);
  if (strcmp(k->op, "concat") == 0)
    run_ranges(k, &k->out[0], j->out[0], k->in, j->in, k->n_in, true);
  else if (strcmp(k->op, "split") == 0)
    run_ranges(k, &k->in[0], j->in[0], k->out, j->out, k->n_out, false);
  else if (strcmp(k->op, "matmul") == 0)
    run_matmul(k, j->in, j->out);
  else if (strcmp(k->op, "reshape") == 0 || strcmp(k->op, "identity") == 0)
    run_move(&k->in[0], j->in[0], &k->out[0], j->out[0]);
  else
    run_pointwise(k, j->in, j->out);
  if (k->m->flaw)
    k->m->flaw(k->m, j->out[0]);
}

static gie_status run(void *instance, const struct gie_launch *l)
{
  struct instance *k = instance;
  struct job j = {.k = k};
  for (uint32_t i = 0; i < k->n_in; i++) {
    bool is_good_in = !l->in[i] || gie_desc_count(&k->in[i]) == 0 || is_good(k, l->in[i], k->m->align);
    k->m->bad_address |= !is_good_in;
    j.in[i] = mock_near(l->in[i]);
  }
  for (uint32_t i = 0; i < k->n_out; i++) {
    k->m->bad_address |= !is_good(k, l->out[i], 1);
    j.out[i] = mock_near(l->out[i]);
  }
  k->m->bad_address |= (k->m->workspace != 0) != (l->workspace != NULL) || l->threads == 0;
  if (k->m->workspace)
    k->m->bad_address |= !is_good(k, l->workspace, 256);
  j.workspace = mock_near(l->workspace);
  k->m->runs++;
  k->m->was_pitched = k->in[0].pitched || k->out[0].pitched;
  if (k->m->fail_run)
    return gie_fail(l->ctx, k->m->fail_run, "the mock was told to fail");
  if (strcmp(k->device, "far") == 0)
    mock_far_run(l->stream, k->m->seconds > 0 ? k->m->seconds : 1e-6, work, &j, sizeof j);
  else
    work(&j);
  return GIE_OK;
}

static bool supports(const struct gie_kernel *k, const struct gie_problem *p, char *why, size_t why_size)
{
  struct mock *m = k->user;
  ck_assert_str_eq(p->device_kind, k->device);
  ck_assert_int_eq(p->library != NULL, k->library != NULL);
  for (uint32_t i = 0; i < p->n_in + p->n_out; i++)
    ck_assert(!(i < p->n_in ? p->in[i] : p->out[i - p->n_in]).pitched);
  if (m->refuse)
    snprintf(why, why_size, "%s", m->refuse);
  return !m->refuse;
}

static uint32_t variants(const struct gie_kernel *k, const struct gie_problem *p, struct gie_variant *out,
                         uint32_t max)
{
  struct mock *m = k->user;
  ck_assert_uint_ge(max, 2);
  struct gie_variant *v = &out[0];
  v->n_steps = m->one_step ? 1 : p->node->n_steps;
  bool pointwise = strcmp(p->node->op->name, "relu") == 0 || strcmp(p->node->op->name, "add") == 0;
  v->in_place = m->in_place && pointwise ? 0 : -1;
  v->capture_safe = !m->no_capture;
  v->any_in.pitch = v->any_out.pitch = !m->dense;
  v->any_in.align = (uint16_t)m->align;
  v->any_in.layout.any = v->any_out.layout.any = m->any_layout;
  if (m->layout) {
    ck_gie_ok(p->ctx, gie_layout_parse(p->ctx, m->layout, p->in[0].rank, &v->any_in.layout));
    v->any_out.layout = v->any_in.layout;
  }
  if (m->odd_variant)
    v->n_in = GIE_MAX_IO + 1;
  return 1;
}

static uint32_t pack_desc(const struct gie_kernel *k, const struct gie_problem *p,
                          const struct gie_variant *v, struct gie_pack *out, uint32_t max)
{
  struct mock *m = k->user;
  (void)v, (void)max;
  if (!m->pack_key || strcmp(p->node->op->name, "matmul") != 0)
    return 0;
  out[0].operand = 1;
  out[0].bytes = (size_t)gie_desc_count(&p->in[1]) * sizeof(float);
  snprintf(out[0].key, sizeof out[0].key, "%s", m->pack_key);
  return 1;
}

static gie_status pack(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                       const struct gie_pack *d, const void *plain, void *packed)
{
  struct mock *m = k->user;
  (void)v;
  if (m->fail_pack)
    return gie_fail(p->ctx, m->fail_pack, "the mock was told not to pack");
  int64_t rows = p->in[d->operand].dim[0], columns = p->in[d->operand].dim[1];
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++)
      ((float *)packed)[j * rows + i] = ((const float *)plain)[i * columns + j];
  m->packs++;
  return GIE_OK;
}

static size_t workspace(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v)
{
  (void)p, (void)v;
  return ((struct mock *)k->user)->workspace;
}

static gie_status create(const struct gie_kernel *k, const struct gie_problem *p, const struct gie_variant *v,
                         void **out)
{
  struct mock *m = k->user;
  if (m->fail_create)
    return gie_fail(p->ctx, m->fail_create, "the mock was told not to be made");
  if (m->no_instance)
    return GIE_OK;
  struct instance *i = gie_alloc(p->ctx, 1, sizeof *i);
  if (!i)
    return GIE_E_MEMORY;
  *i = (struct instance){.m = m, .ctx = p->ctx, .op = p->node->op->name, .device = k->device};
  ck_assert(p->n_in <= 4 && p->n_out <= 4);
  i->n_in = strcmp(i->op, "reshape") == 0 || strcmp(i->op, "split") == 0 ? 1 : p->n_in;
  i->n_out = p->n_out;
  i->n_steps = v->n_steps;
  i->axis = gie_node_int(p->node, "axis");
  memcpy(i->in, p->in, p->n_in * sizeof *p->in);
  memcpy(i->out, p->out, p->n_out * sizeof *p->out);
  m->creates++;
  *out = i;
  return GIE_OK;
}

static void destroy(void *instance)
{
  struct instance *i = instance;
  i->m->destroys++;
  gie_free(i->ctx, i);
}

struct gie_kernel mock_kernel(const char *name, const char *device, struct mock *m)
{
  static const char *const ops[] = {"relu", "add", "concat", "split", "reshape", "identity", "matmul", NULL};
  return (struct gie_kernel){.struct_size = sizeof(struct gie_kernel),
                             .name = name,
                             .device = device,
                             .ops = ops,
                             .user = m,
                             .supports = supports,
                             .variants = variants,
                             .pack_desc = pack_desc,
                             .pack = pack,
                             .workspace = workspace,
                             .create = create,
                             .destroy = destroy,
                             .run = run};
}

/* ---- Registering ------------------------------------------------------------------------------- */

struct gie_context *mock_context(const char *const *config)
{
  struct gie_context_options options = {.struct_size = sizeof options,
                                        .log = check_no_log,
                                        .config = config,
                                        .no_modules = true};
  struct gie_context *made = NULL;
  ck_assert_int_eq(gie_context_new(&options, &made), GIE_OK);
  return made;
}

/* As if a module did it in its init. */
void mock_register_device(struct gie_context *c, const struct gie_device *d)
{
  struct gie_registry *r = c->registry;
  r->open = true;
  r->loading = UINT32_MAX;
  ck_gie_ok(c, r->host.register_device(&r->host, d));
  r->open = false;
}

void mock_register_op(struct gie_context *c, const struct gie_op *op)
{
  struct gie_registry *r = c->registry;
  r->open = true;
  r->loading = UINT32_MAX;
  ck_gie_ok(c, r->host.register_op(&r->host, op));
  r->open = false;
}

void mock_register_kernel(struct gie_context *c, const struct gie_kernel *k)
{
  struct gie_registry *r = c->registry;
  r->open = true;
  r->loading = UINT32_MAX;
  ck_gie_ok(c, r->host.register_kernel(&r->host, k));
  r->open = false;
}

/* ---- Tests ------------------------------------------------------------------------------------- */

struct gie_context *ctx;
struct mock mocks[4];
struct gie_kernel kernels[4];
uint32_t n_kernels;

void with_config(const char *const *config)
{
  ctx = mock_context(config);
  mock_register_device(ctx, &mock_cpu);
  memset(mocks, 0, sizeof mocks);
  memset(&far, 0, sizeof far);
  far.fail_after = -1;
  n_kernels = 0;
}

void setup(void) { with_config(NULL); }

void teardown(void)
{
  gie_context_free(ctx);
  for (uint32_t i = 0; i < n_kernels; i++)
    ck_assert_int_eq(mocks[i].creates, mocks[i].destroys);
  ck_assert_int_eq(mock_library_opens, 0);
}

/* Registers the next mock under that name. */
struct mock *kernel_on(const char *device, const char *name)
{
  struct mock *m = &mocks[n_kernels];
  kernels[n_kernels] = mock_kernel(name, device, m);
  mock_register_kernel(ctx, &kernels[n_kernels++]);
  return m;
}

struct mock *kernel(const char *name) { return kernel_on("cpu", name); }

struct gie_graph *parse(const char *text)
{
  struct gie_graph *g;
  ck_gie_ok(ctx, gie_graph_parse(ctx, text, strlen(text), NULL, &g));
  return g;
}

gie_status try_exec(const char *text, const struct gie_exec_options *o, struct gie_exec **x)
{
  struct gie_graph *g = parse(text);
  gie_status st = gie_exec_new(g, o, x);
  gie_graph_free(g);
  return st;
}

struct gie_exec *new_exec(const char *text, const char *backends)
{
  struct gie_exec_options o = {.struct_size = sizeof o, .backends = backends, .profile = true};
  struct gie_exec *x;
  ck_gie_ok(ctx, try_exec(text, &o, &x));
  return x;
}

struct gie_tensor tensor(enum gie_dtype dtype, void *data, int rank, int64_t d0, int64_t d1, int64_t d2,
                         int64_t d3)
{
  return (struct gie_tensor){sizeof(struct gie_tensor), dtype, rank, {d0, d1, d2, d3}, data};
}

gie_status set(struct gie_exec *x, const char *name, const float *data, int rank, int64_t d0, int64_t d1,
               int64_t d2, int64_t d3)
{
  struct gie_tensor t = tensor(GIE_F32, (void *)(uintptr_t)data, rank, d0, d1, d2, d3);
  return gie_exec_set_input(x, name, &t);
}

void expect(struct gie_exec *x, const char *name, const float *want, int n)
{
  struct gie_tensor t;
  int64_t count = 1;
  ck_gie_ok(ctx, gie_exec_output(x, name, &t));
  for (int i = 0; i < t.rank; i++)
    count *= t.dim[i];
  ck_assert_int_eq(count, n);
  for (int i = 0; i < n; i++)
    ck_assert_msg(((float *)t.data)[i] == want[i], "%s[%d] is %g, not %g", name, i, ((float *)t.data)[i],
                  want[i]);
}

const char *kernel_of(struct gie_exec *x, uint32_t i)
{
  struct gie_node_profile p;
  ck_assert(gie_exec_profile(x, i, &p));
  return p.kernel;
}
