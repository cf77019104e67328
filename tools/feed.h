/* SPDX-License-Identifier: Apache-2.0 */
/* What a network is fed with: files, images, random numbers. */
#ifndef GIE_TOOLS_FEED_H
#define GIE_TOOLS_FEED_H

#include "tools/image.h"
#include "tools/tensor.h"
#include "tools/tool.h"

/* The flags as given. */
struct feed_options {
  struct tool_list inputs;     /* --input [NAME=]FILE */
  const char *shapes, *random; /* --shapes=…, --random[=SEED]; NULL: not given */
  const char *mean, *scale, *channel_order, *resize;
};

/* One input of the network. */
struct feed {
  const char *name;
  struct gie_type type; /* with --shapes put in */
  bool needed;          /* something reads it */
  struct tool_list files;
};

/* An input that is given several times makes several runs; those given once serve all of them. */
struct feeds {
  const struct gie_graph *g;
  uint32_t n, runs;
  struct feed *v;
  struct image_rule rule;
  bool random;
  uint64_t seed;
};

/* Puts the flags and the network's inputs together. E_USAGE lists all inputs when one has nothing. */
gie_status feeds_make(struct tool *t, const struct gie_graph *g, const struct feed_options *o,
                      struct feeds *out);
/* The tensor of input i in run `run`, in the network's dtype. */
gie_status feeds_load(struct tool *t, const struct feeds *f, uint32_t run, uint32_t i,
                      struct gie_tensor *out);
/* The file of input i in that run, or NULL: random. */
const char *feed_file(const struct feeds *f, uint32_t run, uint32_t i);

/* The first file of that run that is an image, or NULL. */
const char *feed_image(struct tool *t, const struct feeds *f, uint32_t run);

/* Splits "NAME=FILE": *index is the value of that name among the n of `at`; without "NAME=" the only one. `what`
 * is "input" or "output" for messages. */
gie_status feed_split(struct tool *t, const struct gie_graph *g, const char *what, uint32_t n,
                      gie_id (*at)(const struct gie_graph *, uint32_t), const char *text, uint32_t *index,
                      const char **file);
/* "data f32[n,3,224,224], mask bool[n]" */
const char *feed_list(struct tool *t, const struct gie_graph *g, uint32_t n,
                      gie_id (*at)(const struct gie_graph *, uint32_t));

#endif
