/* SPDX-License-Identifier: Apache-2.0 */
/* Random networks, valid by construction: windows, products, normalization, formulas as exporters write them,
 * branches, concats, splits, moves of data, shared values, arithmetic on shapes, several outputs; integers and truth, which are
 * exact and which floats depend on, never the other way round. */
#ifndef GIE_CORE_MODULE_RANDOM_GRAPH_H
#define GIE_CORE_MODULE_RANDOM_GRAPH_H

#include "core/base/base.h"

/* Text of a graph with about n_nodes nodes into the buffer; the same seed, the same text. dtype: "f32", "f64"
 * or "f16"; ints_dtype: "i8", "u8", "i32", "i64" …; NULL: floats alone. */
void random_graph(struct gie_buf *out, uint64_t seed, int n_nodes, const char *dtype, const char *ints_dtype);

#endif
