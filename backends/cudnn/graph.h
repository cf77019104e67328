/* SPDX-License-Identifier: Apache-2.0 */
/* cuDNN's operation graphs in C: descriptors that are made, filled and finalized, one failure kept. */
#ifndef GIE_BACKENDS_CUDNN_GRAPH_H
#define GIE_BACKENDS_CUDNN_GRAPH_H

#include <cudnn.h>
#include <stdbool.h>
#include <stdint.h>

#define CN_MAX_RANK 5 /* images, channels, three spatial axes */
#define CN_MAX_DESCS 192
#define CN_MAX_OPS 40
#define CN_MAX_BOUND 48
#define CN_MAX_KNOBS 24

/* Strides are in elements; rank is 4 or 5. */
struct cn_tensor {
  cudnnDataType_t type;
  int rank;
  int64_t dim[CN_MAX_RANK], stride[CN_MAX_RANK];
};

typedef cudnnBackendDescriptor_t cn_desc;

/* Where a tensor of the graph comes from. */
#define CN_OUT (-1)    /* result 0 */
#define CN_SCALAR (-2) /* a number of the graph itself */
#define CN_ZEROS (-3)  /* zeros that the library handle has on the device */
struct cn_bound {
  int64_t uid;
  int32_t io; /* operand, CN_OUT, CN_SCALAR or CN_ZEROS */
  float scalar;
};

/* Whom a graph is for: a device by cuDNN's handle, or one that is only described, for which plans can be made. */
struct cn_target {
  cudnnHandle_t handle;
  cn_desc device; /* used where there is no handle */
};

/* A graph being made. Every call after a failure does nothing, so that only `status` need be looked at. */
struct cn_graph {
  struct cn_target target;
  cudnnStatus_t status;
  uint32_t n_made, n_ops, n_bound;
  cn_desc made[CN_MAX_DESCS]; /* all descriptors, destroyed with the graph */
  cn_desc ops[CN_MAX_OPS];
  struct cn_bound bound[CN_MAX_BOUND];
  cn_desc graph;
};

struct cn_window {
  int n;
  int64_t stride[3], dilation[3], pad_begin[3], pad_end[3], kernel[3];
};

void cn_graph_init(struct cn_graph *g, const struct cn_target *target);
void cn_graph_free(struct cn_graph *g);
cn_desc cn_new(struct cn_graph *g, cudnnBackendDescriptorType_t type);
void cn_set(struct cn_graph *g, cn_desc d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
            int64_t n, const void *v);
void cn_finalize(struct cn_graph *g, cn_desc d);

/* A tensor in memory, one that exists only between operations, a number. */
cn_desc cn_real(struct cn_graph *g, const struct cn_tensor *t, int32_t io);
cn_desc cn_virtual(struct cn_graph *g, const struct cn_tensor *t);
cn_desc cn_scalar(struct cn_graph *g, int rank, float value);

/* y = conv(x, w), or with `transpose` x = the transposed convolution of y. */
void cn_conv(struct cn_graph *g, const struct cn_window *w, bool transpose, cn_desc x, cn_desc weights,
             cn_desc y);

/* y = the greatest or the mean of each window of x. */
void cn_resample(struct cn_graph *g, const struct cn_window *w, cudnnResampleMode_t mode, cn_desc x,
                 cn_desc y);

/* Parameters of a pointwise operation; the others are as cuDNN has them. */
struct cn_pointwise {
  cudnnPointwiseMode_t mode;
  bool clips; /* RELU_FWD: lower, upper and slope are given */
  float lower, upper, slope;
  bool has_alpha; /* ELU_FWD */
  float alpha;
};
/* y = f(x), or f(x, b). */
void cn_apply(struct cn_graph *g, const struct cn_pointwise *p, cn_desc x, cn_desc b, cn_desc y);

/* Ends the graph. */
void cn_graph_end(struct cn_graph *g);

/* ---- Engines */

struct cn_config {
  int64_t engine;
  uint32_t n_knobs;
  struct {
    cudnnBackendKnobType_t type;
    int64_t value;
  } knob[CN_MAX_KNOBS];
  uint32_t notes;     /* bits: cudnnBackendNumericalNote_t */
  uint32_t behaviour; /* bits: cudnnBackendBehaviorNote_t */
  int64_t workspace;
};

/* A knob that an engine has: values min, min + stride, … max. */
struct cn_knob {
  cudnnBackendKnobType_t type;
  int64_t min, max, stride;
};

/* Engines that answers name, each looked at once. */
#define CN_MAX_ENGINES 32
struct cn_engine {
  int64_t index;
  uint32_t notes, behaviour;
  uint32_t n_knobs; /* UINT32_MAX: not known */
  struct cn_knob knobs[CN_MAX_KNOBS];
};
struct cn_engines {
  uint32_t n;
  struct cn_engine v[CN_MAX_ENGINES];
};
/* NULL: none of that index. */
const struct cn_engine *cn_engine_find(const struct cn_engines *all, int64_t index);

/* What cuDNN's heuristics say in that mode, best first. Returns how many of them fit into out[0..max). Engines that
 * are new are added as far as there is room; what they say of themselves is in their configurations' notes, too. */
uint32_t cn_ask(const struct cn_graph *g, cudnnBackendHeurMode_t mode, struct cn_engines *engines,
                struct cn_config *out, uint32_t max);
/* Knobs of an engine for that graph, at most CN_MAX_KNOBS; UINT32_MAX: the engine does not take the graph. */
uint32_t cn_knobs(const struct cn_graph *g, int64_t engine, struct cn_knob *out);
/* Fills in the notes of c->engine; false: the engine does not take the graph. */
bool cn_engine_notes(const struct cn_graph *g, struct cn_config *c);
/* The execution plan of a configuration, owned by the graph; NULL: it cannot be had. Slow where the engine
 * is compiled at run time. */
cn_desc cn_plan(struct cn_graph *g, const struct cn_config *c);
/* The same from what cn_plan_text() gave for that graph, target and version of cuDNN. */
cn_desc cn_plan_read(struct cn_graph *g, const char *text, size_t size);
/* Bytes of a plan's text; with `out` they are written there. 0: it has none. */
size_t cn_plan_text(cn_desc plan, char *out, size_t size);
int64_t cn_plan_workspace(cn_desc plan);

#endif
