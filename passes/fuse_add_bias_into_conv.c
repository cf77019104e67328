/* SPDX-License-Identifier: Apache-2.0 */
/* An addition of a constant behind a product that has no bias yet becomes the bias.
 *
 *     %c = conv(%x, %w)
 *     %y = add(%c, %b)   with %b constant   ->   %y = conv(%x, %w, %b')
 *
 * For conv and conv_transpose %b must be one number, or vary along the channel axis only; %b' has
 * one element per channel. For matmul and gemm the bias broadcasts, so %b is taken as it is.
 *
 * Does not fire: result shared or a graph output, epilogue or bias already there, %b enlarges the
 * result or has another dtype, dims that are not known to be equal. */
#include "passes/util.h"

static bool is_conv(const struct gie_node *n)
{
  return strcmp(n->op->name, "conv") == 0 || strcmp(n->op->name, "conv_transpose") == 0;
}

static bool wants_bias(const struct gie_node *n)
{
  bool known = is_conv(n) || strcmp(n->op->name, "matmul") == 0 || strcmp(n->op->name, "gemm") == 0;
  return known && n->n_steps == 0 && n->n_captures == 0 && (n->n_operands < 3 || n->in[2] == GIE_NONE);
}

static bool match(const struct gie_graph *g, const struct gie_node *n, const struct gie_node **add,
                  gie_id *bias)
{
  if (!wants_bias(n))
    return false;
  const struct gie_value *v = gie_value_get(g, n->out[0]);
  const struct gie_node *reader = pass_only_reader(g, v->id);
  if (!reader || strcmp(reader->op->name, "add") != 0)
    return false;
  *add = reader;
  *bias = reader->in[reader->in[0] == v->id];
  const struct gie_value *b = gie_value_get(g, *bias), *result = gie_value_get(g, reader->out[0]);
  return b->kind == GIE_VALUE_CONST && b->type.dtype == v->type.dtype &&
         pass_same_type(&v->type, &result->type) && pass_is_plain(b) && pass_is_plain(v) &&
         pass_is_plain(result);
}

/* Elements along the channel axis (1) of the result, or false when another axis varies. */
static bool channel_elements(const struct gie_shape *bias, int rank, int64_t *count)
{
  *count = 1;
  for (int i = 0; i < bias->rank; i++) {
    int axis = rank - bias->rank + i;
    if (bias->dim[i].b != 1 && axis != 1)
      return false;
    if (axis == 1)
      *count = bias->dim[i].b;
  }
  return true;
}

/* The constant with one element per channel: the same bytes, or one number repeated. */
static gie_status channel_bias(struct gie_graph *g, const struct gie_value *b, int64_t channels,
                               int64_t count, gie_id *out)
{
  struct gie_type type = {b->type.dtype, {1, {gie_dim_num(channels)}}};
  if (count == channels)
    return gie_graph_add_const(g, NULL, &type, &b->data, out);
  struct gie_blob *blob;
  size_t size = gie_dtype_size(type.dtype), bytes;
  if (!gie_mul((size_t)channels, size, &bytes))
    return gie_fail(gie_graph_context(g), GIE_E_LIMIT, "the size of the bias overflows");
  GIE_TRY(gie_blob_new(gie_graph_context(g), bytes, &blob));
  for (int64_t i = 0; i < channels; i++)
    memcpy((char *)gie_blob_data(blob) + (size_t)i * size, gie_value_bytes(g, b->id, NULL), size);
  return pass_const(g, &type, blob, out);
}

static gie_status rewrite(struct gie_graph *g, const struct gie_node *n, const struct gie_node *add,
                          gie_id bias, uint32_t *changes)
{
  const struct gie_value *v = gie_value_get(g, n->out[0]), *b = gie_value_get(g, bias);
  if (is_conv(n)) {
    int64_t count;
    struct gie_dim channels = v->type.shape.dim[1];
    if (!gie_dim_is_num(channels) || !channel_elements(&b->type.shape, v->type.shape.rank, &count) ||
        (count != channels.b && count != 1))
      return GIE_OK;
    GIE_TRY(channel_bias(g, b, channels.b, count, &bias));
  }
  if (n->n_operands > 2)
    GIE_TRY(gie_node_set_input(g, n->id, 2, bias));
  else
    GIE_TRY(gie_node_add_operand(g, n->id, bias));
  if (strcmp(n->op->name, "gemm") == 0)
    GIE_TRY(gie_node_unset_attr(g, n->id, "beta"));
  GIE_TRY(gie_value_replace(g, add->out[0], v->id));
  GIE_TRY(gie_node_remove(g, add->id));
  ++*changes;
  return GIE_OK;
}

static gie_status run(struct gie_graph *g, const struct gie_pass_ctx *pc, uint32_t *changes)
{
  const struct gie_node *add;
  gie_id bias;
  (void)pc;
  GIE_FOR_NODES(g, id)
    if (match(g, gie_node_get(g, id), &add, &bias))
      GIE_TRY(rewrite(g, gie_node_get(g, id), add, bias, changes));
  return GIE_OK;
}

const struct gie_pass gie_pass_fuse_add_bias_into_conv = {
    sizeof(struct gie_pass), "fuse_add_bias_into_conv",
    "makes the addition of a constant behind conv, gemm or matmul their bias; not behind shared results or an epilogue",
    run, NULL};
