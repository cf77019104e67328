/* SPDX-License-Identifier: Apache-2.0 */
/* List of the graph functions (interface "gie.graph", major 1); included by gie/graph.h only: see
 * there for ownership and threads. Order is ABI: add at the end. */

/* ---- Whole graph */

/* An empty graph. `name` may be NULL. */
GIE_FN(gie_status, graph_new, (struct gie_context * ctx, const char *name, struct gie_graph **out), (ctx, name, out))
GIE_FN_VOID(graph_free, (struct gie_graph * g), (g))
/* Deep copy; constants are shared, bodies copied. Ids are kept. */
GIE_FN(gie_status, graph_clone, (const struct gie_graph *g, struct gie_graph **out), (g, out))
GIE_FN(struct gie_context *, graph_context, (const struct gie_graph *g), (g))
GIE_FN(const char *, graph_name, (const struct gie_graph *g), (g))
/* Checks every rule listed in doc/ir.md; the text names the node and the rule broken. */
GIE_FN(gie_status, graph_verify, (const struct gie_graph *g), (g))
/* Orders the nodes topologically (stable: keeps the present order where it can); E_GRAPH with the
 * path of a cycle. */
GIE_FN(gie_status, graph_sort, (struct gie_graph * g), (g))
/* Infers types of all results again, in order. */
GIE_FN(gie_status, graph_infer, (struct gie_graph * g), (g))
/* Drops removed values and nodes; ids change: values and nodes are renumbered in order. */
GIE_FN(gie_status, graph_compact, (struct gie_graph * g), (g))
/* Index of symbol `name`, created if new. */
GIE_FN(gie_status, graph_symbol, (struct gie_graph * g, const char *name, uint32_t *out), (g, name, out))
/* NULL when there is no such symbol. */
GIE_FN(const char *, graph_symbol_name, (const struct gie_graph *g, uint32_t sym), (g, sym))
GIE_FN(uint32_t, graph_n_symbols, (const struct gie_graph *g), (g))
/* Metadata (producer, opset, …): carried through, printed, no meaning for the result. */
GIE_FN(const struct gie_attrs *, graph_meta, (const struct gie_graph *g), (g))
GIE_FN(gie_status, graph_set_meta, (struct gie_graph * g, const struct gie_attr *attr), (g, attr))

/* ---- Ops */

/* The op of that name, or NULL. */
GIE_FN(const struct gie_op *, op_find, (const struct gie_context *ctx, const char *name), (ctx, name))

/* ---- Values */

/* Ids are below this bound; some may be dead. */
GIE_FN(uint32_t, graph_n_values, (const struct gie_graph *g), (g))
/* The value, dead or alive; NULL for GIE_NONE or an id out of range. */
GIE_FN(const struct gie_value *, value_get, (const struct gie_graph *g, gie_id value), (g, value))
GIE_FN(gie_id, value_find, (const struct gie_graph *g, const char *name), (g, name))
/* A graph input. E_GRAPH when the name is taken. */
GIE_FN(gie_status, graph_add_input, (struct gie_graph * g, const char *name, const struct gie_type *type, gie_id *out), (g, name, type, out))
/* A constant: takes its own reference to `data.blob`. `name` NULL: a fresh one. data.size must be
 * what the type needs. */
GIE_FN(gie_status, graph_add_const, (struct gie_graph * g, const char *name, const struct gie_type *type, const struct gie_const *data, gie_id *out), (g, name, type, data, out))
/* Lists `value` as the next graph output (a value may be listed twice, or be an input). */
GIE_FN(gie_status, graph_add_output, (struct gie_graph * g, gie_id value), (g, value))
GIE_FN(uint32_t, graph_n_inputs, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_input, (const struct gie_graph *g, uint32_t i), (g, i))
GIE_FN(uint32_t, graph_n_outputs, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_output, (const struct gie_graph *g, uint32_t i), (g, i))
GIE_FN(gie_status, graph_set_output, (struct gie_graph * g, uint32_t i, gie_id value), (g, i, value))
GIE_FN(gie_status, value_rename, (struct gie_graph * g, gie_id value, const char *name), (g, value, name))
GIE_FN(gie_status, value_set_type, (struct gie_graph * g, gie_id value, const struct gie_type *type), (g, value, type))
GIE_FN(gie_status, value_set_layout, (struct gie_graph * g, gie_id value, const struct gie_layout *layout), (g, value, layout))
/* base == GIE_NONE takes the view away. Checked: base is no view, range inside, ranks equal. */
GIE_FN(gie_status, value_set_view, (struct gie_graph * g, gie_id value, const struct gie_view *view), (g, value, view))
GIE_FN(gie_status, value_set_quant, (struct gie_graph * g, gie_id value, const struct gie_quant *quant), (g, value, quant))
/* Removes a value without uses, outputs or live producer (inputs and constants). */
GIE_FN(gie_status, value_remove, (struct gie_graph * g, gie_id value), (g, value))
/* Makes every use of `from` (operand slots, graph outputs, view bases) a use of `to`, which computes
 * what `from` did. When both are results and `to` is no graph output, the two swap names: a name
 * keeps its meaning from the network that was read to the one that runs, outputs included. */
GIE_FN(gie_status, value_replace, (struct gie_graph * g, gie_id from, gie_id to), (g, from, to))
/* Walks the uses in the order they were made: start with use->node == GIE_NONE; false at the end.
 * The use at hand must not be changed while walking; collect first, then edit. */
GIE_FN(bool, value_next_use, (const struct gie_graph *g, gie_id value, struct gie_use *use), (g, value, use))
/* Bytes of a constant in row-major order, *size filled if not NULL; NULL if it is no constant. Not
 * aligned beyond the element size. */
GIE_FN(const void *, value_bytes, (const struct gie_graph *g, gie_id value, size_t *size), (g, value, size))
/* Elements of an integer/bool constant, or of a value whose elements shape inference knows as
 * numbers. false: not known or more than max. */
GIE_FN(bool, value_ints, (const struct gie_graph *g, gie_id value, int64_t *out, uint32_t max, uint32_t *n), (g, value, out, max, n))
/* The same for a floating-point constant of any width. */
GIE_FN(bool, value_floats, (const struct gie_graph *g, gie_id value, double *out, uint32_t max, uint32_t *n), (g, value, out, max, n))

/* ---- Nodes */

GIE_FN(uint32_t, graph_n_nodes, (const struct gie_graph *g), (g)) /* bound on ids, some removed */
GIE_FN(uint32_t, graph_count_nodes, (const struct gie_graph *g), (g)) /* live ones */
GIE_FN(gie_id, graph_first, (const struct gie_graph *g), (g))
GIE_FN(gie_id, graph_last, (const struct gie_graph *g), (g))
/* NULL for GIE_NONE, an id out of range or a removed node. */
GIE_FN(const struct gie_node *, node_get, (const struct gie_graph *g, gie_id node), (g, node))
/* Adds a node and its results, checks arity and attributes, infers the results' types. */
GIE_FN(gie_status, node_add, (struct gie_graph * g, const struct gie_node_spec *spec, gie_id *out), (g, spec, out))
/* Removes a node and its results, which must be without uses and outputs. */
GIE_FN(gie_status, node_remove, (struct gie_graph * g, gie_id node), (g, node))
/* Infers the types of its results again (after an edit). */
GIE_FN(gie_status, node_infer, (struct gie_graph * g, gie_id node), (g, node))
GIE_FN(gie_status, node_set_input, (struct gie_graph * g, gie_id node, uint32_t slot, gie_id value), (g, node, slot, value))
/* Adds (slot == n_operands) an operand, before the steps' entries in `in`. */
GIE_FN(gie_status, node_add_operand, (struct gie_graph * g, gie_id node, gie_id value), (g, node, value))
/* Changes the op (attributes given must fit the new one). */
GIE_FN(gie_status, node_set_op, (struct gie_graph * g, gie_id node, const char *op), (g, node, op))
/* Adds or overwrites; the kind must be what the op's spec says. */
GIE_FN(gie_status, node_set_attr, (struct gie_graph * g, gie_id node, const struct gie_attr *attr), (g, node, attr))
GIE_FN(gie_status, node_unset_attr, (struct gie_graph * g, gie_id node, const char *name), (g, node, name))
/* A note is an attribute without meaning for the result; set with kind STRING "" removes it. */
GIE_FN(gie_status, node_set_note, (struct gie_graph * g, gie_id node, const struct gie_attr *attr), (g, node, attr))
/* Appends an epilogue step: `op` is pointwise; `operand` GIE_NONE for unary steps. */
GIE_FN(gie_status, node_add_step, (struct gie_graph * g, gie_id node, const char *op, gie_id operand, bool reverse, const struct gie_attrs *attrs), (g, node, op, operand, reverse, attrs))
/* Cuts the epilogue to its first n steps. */
GIE_FN(gie_status, node_cut_steps, (struct gie_graph * g, gie_id node, uint32_t n), (g, node, n))
/* Reads `value` inside a body: appends it to the captures unless it is there; *slot in `in`. */
GIE_FN(gie_status, node_add_capture, (struct gie_graph * g, gie_id node, gie_id value, uint32_t *slot), (g, node, value, slot))
/* Moves a node in the order (before == GIE_NONE: to the end). */
GIE_FN(gie_status, node_move, (struct gie_graph * g, gie_id node, gie_id before), (g, node, before))

/* ---- Blobs: reference-counted bytes */

/* Bytes to be filled at once by the caller, zeroed; refcount 1. */
GIE_FN(gie_status, blob_new, (struct gie_context * ctx, size_t size, struct gie_blob **out), (ctx, size, out))
GIE_FN(struct gie_blob *, blob_ref, (struct gie_blob * b), (b))
GIE_FN_VOID(blob_unref, (struct gie_blob * b), (b))
/* Aligned to 64 bytes. */
GIE_FN(void *, blob_data, (struct gie_blob * b), (b))
GIE_FN(size_t, blob_size, (const struct gie_blob *b), (b))

/* ---- Shapes and layouts */

/* Number of elements when every dim is a number; E_SHAPE otherwise, E_LIMIT on overflow. */
GIE_FN(gie_status, shape_count, (struct gie_context * ctx, const struct gie_shape *shape, int64_t *out), (ctx, shape, out))
/* "[n,3,224,224]" into buf (always NUL-terminated); returns buf. Symbols print by name if g is given. */
GIE_FN(char *, shape_text, (const struct gie_graph *g, const struct gie_shape *shape, char *buf, size_t size), (g, shape, buf, size))
/* Parses "nchw", "0231", "0123/b1:8", … for a tensor of that rank. */
GIE_FN(gie_status, layout_parse, (struct gie_context * ctx, const char *text, int rank, struct gie_layout *out), (ctx, text, rank, out))
/* Text of a layout ("" for plain where no name exists); returns buf. */
GIE_FN(char *, layout_text, (const struct gie_layout *layout, int rank, char *buf, size_t size), (layout, rank, buf, size))
/* Same memory order for a tensor of that rank (plain equals the identity permutation). */
GIE_FN(bool, layout_equal, (const struct gie_layout *a, const struct gie_layout *b, int rank), (a, b, rank))
/* Dense descriptor; *bytes (if not NULL) includes the padding of the blocked axis. E_SHAPE when a
 * dim is not a number, E_LIMIT on overflow. */
GIE_FN(gie_status, desc_make, (struct gie_context * ctx, const struct gie_type *type, const struct gie_layout *layout, struct gie_desc *out, size_t *bytes), (ctx, type, layout, out, bytes))
/* Descriptor of a range of `base` along `axis`, and its byte offset from the base's start. E_SHAPE
 * when the offset is not a multiple of the block. */
GIE_FN(gie_status, desc_view, (struct gie_context * ctx, const struct gie_desc *base, int axis, int64_t offset, int64_t extent, struct gie_desc *out, size_t *byte_offset), (ctx, base, axis, offset, extent, out, byte_offset))
/* Symbolic arithmetic; overflow or a form that a*sym+b cannot hold gives the unknown dim. */
GIE_FN(struct gie_dim, dim_add, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(struct gie_dim, dim_sub, (struct gie_dim x, struct gie_dim y), (x, y))
GIE_FN(struct gie_dim, dim_mul, (struct gie_dim x, struct gie_dim y), (x, y))
/* Exact division only: unknown unless y is a number that divides a and b. */
GIE_FN(struct gie_dim, dim_div, (struct gie_dim x, struct gie_dim y), (x, y))
/* See blob_new(); not zeroed, for bytes that are all filled at once (read from a file). */
GIE_FN(gie_status, blob_new_raw, (struct gie_context * ctx, size_t size, struct gie_blob **out), (ctx, size, out))
