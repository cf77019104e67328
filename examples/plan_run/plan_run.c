/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a plan with the run time alone: no importer, no optimizer, no tuner.
 *
 *     cc plan_run.c -o plan_run $(pkg-config --cflags --libs gie-rt)
 *     ./plan_run net.plan [input.npy]
 *
 * The file holds the first input as float32 in C order; every other input, and all without a file, are zero.
 * Prints the first elements of every output. */
#include <gie/plan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gie_context *ctx;
static struct gie_plan *plan;
static struct gie_exec *run;

static void must(gie_status status)
{
  if (status == GIE_OK)
    return;
  fprintf(stderr, "error[%s]: %s\n", gie_status_name(status), gie_error_text(ctx));
  exit(gie_status_exit_code(status));
}

/* The data of a NumPy file (version 1.0), which must be as many float32 as the tensor has. */
static void read_npy(const char *path, struct gie_tensor *t, size_t bytes)
{
  unsigned char head[10];
  char text[65536] = "";
  FILE *f = fopen(path, "rb");
  size_t n = f ? fread(head, 1, sizeof head, f) : 0;
  size_t length = n == sizeof head ? head[8] | (size_t)head[9] << 8 : 0;
  int ok = n == sizeof head && memcmp(head, "\x93NUMPY\1", 7) == 0 && fread(text, 1, length, f) == length;
  ok = ok && t->dtype == GIE_F32 && strstr(text, "'<f4'") && strstr(text, "'fortran_order': False");
  if (!ok || fread(t->data, 1, bytes, f) != bytes || fgetc(f) != EOF) {
    fprintf(stderr, "%s: not a .npy file with %zu bytes of float32 in C order\n", path, bytes);
    exit(65);
  }
  fclose(f);
}

/* Feeds input i with the file, or zeros when it is NULL. */
static void feed(const struct gie_graph *g, uint32_t i, const char *path)
{
  const struct gie_value *v = gie_value_get(g, gie_graph_input(g, i));
  struct gie_tensor t = {.struct_size = sizeof t, .dtype = v->type.dtype, .rank = v->type.shape.rank};
  size_t bytes = gie_dtype_size(t.dtype);
  for (int k = 0; k < t.rank; k++)
    bytes *= (size_t)(t.dim[k] = v->type.shape.dim[k].b);
  t.data = calloc(1, bytes + 1);
  if (t.data && path)
    read_npy(path, &t, bytes);
  must(gie_exec_set_input(run, v->name, &t));
  free(t.data);
}

static void show(const char *name)
{
  struct gie_tensor t;
  size_t n = 1;
  must(gie_exec_output(run, name, &t));
  printf("%s [", name);
  for (int k = 0; k < t.rank; k++)
    printf("%s%lld", k ? "," : "", (long long)t.dim[k]), n *= (size_t)t.dim[k];
  printf("]:");
  for (size_t i = 0; t.dtype == GIE_F32 && i < n && i < 10; i++)
    printf(" %g", ((const float *)t.data)[i]);
  printf("\n");
}

int main(int argc, char **argv)
{
  struct gie_plan_profile profile = {.struct_size = sizeof profile};
  if (argc < 2 || argc > 3)
    return fprintf(stderr, "usage: plan_run PLAN [INPUT.npy]\n"), 64;
  must(gie_context_new(NULL, &ctx));
  must(gie_plan_load(ctx, argv[1], &plan));
  must(gie_exec_new_plan(plan, NULL, &run));
  must(gie_plan_profile(plan, 0, &profile));
  for (uint32_t i = 0; i < gie_graph_n_inputs(profile.graph); i++)
    feed(profile.graph, i, i == 0 && argc == 3 ? argv[2] : NULL);
  must(gie_exec_run(run));
  for (uint32_t i = 0; i < gie_graph_n_outputs(profile.graph); i++)
    show(gie_value_get(profile.graph, gie_graph_output(profile.graph, i))->name);
  gie_exec_free(run);
  gie_plan_free(plan);
  gie_context_free(ctx);
  return 0;
}
