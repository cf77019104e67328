/* SPDX-License-Identifier: Apache-2.0 */
/* What every reference kernel runs on: threads, scratch memory, epilogues. */
#include "backends/cpu/cpu.h"

#include <stdarg.h>
#include <stdio.h>
#ifdef _OPENMP
#include <omp.h>
#endif

void *cpu_scratch_shared(const struct cpu_call *c) { return c->launch->workspace; }

void *cpu_scratch(const struct cpu_call *c, int slot)
{
  return (char *)c->launch->workspace + c->self->shared_bytes + (size_t)slot * c->self->slot_bytes;
}

static int thread_number(void)
{
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

gie_status cpu_for(const struct cpu_call *c, int64_t n, int64_t grain, cpu_body *body, const void *arg)
{
  int64_t threads = c->launch->threads;
  int status = GIE_OK;
  if (threads > c->self->slots)
    threads = c->self->slots;
  if (threads > n / grain)
    threads = n / grain;
  if (threads <= 1) {
    for (int64_t i = 0; i < n && status == GIE_OK; i++)
      status = body(c, arg, i, 0);
    return (gie_status)status;
  }
#pragma omp parallel for num_threads((int)threads) schedule(static)
  for (int64_t i = 0; i < n; i++) {
    int expected = GIE_OK;
    if (__atomic_load_n(&status, __ATOMIC_RELAXED) != GIE_OK)
      continue;
    gie_status s = body(c, arg, i, thread_number());
    if (s != GIE_OK)
      __atomic_compare_exchange_n(&status, &expected, (int)s, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
  return (gie_status)status;
}

gie_status cpu_fail_division(const struct cpu_call *c)
{
  return gie_fail(c->launch->ctx, GIE_E_DATA, "integer division by zero; the operand has a zero in it");
}

bool cpu_refuse(char *why, size_t size, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  if (size)
    vsnprintf(why, size, fmt, ap);
  va_end(ap);
  return false;
}

gie_status cpu_emit(const struct cpu_call *c, const int64_t *idx, int axis, int n, struct cpu_row *row)
{
  const struct cpu_instance *self = c->self;
  struct cpu_tensor out = cpu_out(c, 0);
  for (uint32_t i = 0; i < self->n_steps; i++) {
    const struct cpu_step *s = &self->steps[i];
    struct cpu_row other;
    if (s->operand >= 0) {
      struct cpu_tensor in = cpu_tensor_of(&self->in[s->operand], c->launch->in[s->operand]);
      in = cpu_broadcast(&in, out.rank, out.dim);
      if (s->reverse)
        other = *row;
      cpu_read_row(&in, idx, axis, n, s->reverse ? row : &other);
    }
    if (!cpu_apply(s, row, &other, n))
      return cpu_fail_division(c);
  }
  cpu_write_row(&out, idx, axis, n, row);
  return GIE_OK;
}
