/* SPDX-License-Identifier: Apache-2.0 */
/* Random networks, valid by construction: windows, products, normalization, formulas as exporters write them,
 * branches, concats, splits, moves of data, shared values, arithmetic on shapes, several outputs. */
#ifndef GIE_CORE_MODULE_RANDOM_GRAPH_H
#define GIE_CORE_MODULE_RANDOM_GRAPH_H

#include "core/base/base.h"

/* Text of a graph with about n_nodes nodes into the buffer; the same seed, the same text. dtype: "f32" or "f64". */
void random_graph(struct gie_buf *out, uint64_t seed, int n_nodes, const char *dtype);

#endif
