/* SPDX-License-Identifier: Apache-2.0 */
/* An engine and its knobs as one number: form, engine, and the knobs' values as digits whose bases are the
 * numbers of values that each knob can have. Digit 0: not chosen; 1: -1, which is chosen outside of the range
 * that a knob says it has. */
#include "backends/cudnn/cn.h"

#define FORM_BITS 4
#define HASHED ((uint64_t)1 << FORM_BITS)
#define ENGINE_AT (FORM_BITS + 1)
#define ENGINE_BITS 13
#define KNOBS_AT (ENGINE_AT + ENGINE_BITS)
#define KNOBS_BITS (63 - KNOBS_AT) /* the number stays positive as an int64 */
#define VALUES_AT 2                /* digit of a knob's least value */

static uint64_t hash_code(uint32_t form, const struct cn_config *c)
{
  uint64_t h = 1469598103934665603u ^ (uint64_t)c->engine;
  for (uint32_t i = 0; i < c->n_knobs; i++) {
    h = (h ^ (uint64_t)c->knob[i].type) * 1099511628211u;
    h = (h ^ (uint64_t)c->knob[i].value) * 1099511628211u;
    h ^= h >> 29;
  }
  return (h << ENGINE_AT & INT64_MAX) | HASHED | form;
}

/* Number of digits' values, 0: not a knob that can be counted. */
static uint64_t base_of(const struct cn_knob *k)
{
  if (k->stride < 1 || k->max < k->min)
    return 0;
  return ((uint64_t)k->max - (uint64_t)k->min) / (uint64_t)k->stride + 1 + VALUES_AT;
}

/* The digit of a knob in a configuration; false: its value is none that the knob says it has. */
static bool digit_of(const struct cn_config *c, const struct cn_knob *k, uint64_t *out, uint32_t *seen)
{
  *out = 0;
  for (uint32_t i = 0; i < c->n_knobs; i++) {
    if (c->knob[i].type != k->type)
      continue;
    int64_t v = c->knob[i].value;
    (*seen)++;
    if (v >= k->min && v <= k->max && (v - k->min) % k->stride == 0)
      *out = (uint64_t)(v - k->min) / (uint64_t)k->stride + VALUES_AT;
    else if (v == -1)
      *out = 1;
    else
      return false;
  }
  return true;
}

uint64_t cn_code(uint32_t form, const struct cn_config *c, const struct cn_knob *knobs, uint32_t n_knobs)
{
  uint64_t number = 0, range = 1, digit;
  uint32_t seen = 0;
  bool fits = c->engine >= 0 && c->engine < 1 << ENGINE_BITS && n_knobs != UINT32_MAX;
  for (uint32_t i = 0; fits && i < n_knobs; i++) {
    uint64_t base = base_of(&knobs[i]);
    fits = base > 0 && digit_of(c, &knobs[i], &digit, &seen) &&
           !__builtin_mul_overflow(range, base, &range) && range <= (uint64_t)1 << KNOBS_BITS;
    if (fits)
      number = number * base + digit;
  }
  if (!fits || seen != c->n_knobs)
    return hash_code(form, c);
  return number << KNOBS_AT | (uint64_t)c->engine << ENGINE_AT | form;
}

uint32_t cn_code_form(uint64_t code) { return (uint32_t)(code & (HASHED - 1)); }

bool cn_code_is_hash(uint64_t code) { return (code & HASHED) != 0; }

int64_t cn_code_engine(uint64_t code) { return (int64_t)(code >> ENGINE_AT & ((1u << ENGINE_BITS) - 1)); }

bool cn_code_read(uint64_t code, const struct cn_knob *knobs, uint32_t n_knobs, struct cn_config *out)
{
  uint64_t number = code >> KNOBS_AT;
  memset(out, 0, sizeof *out);
  out->engine = cn_code_engine(code);
  for (uint32_t i = n_knobs; i-- > 0;) {
    uint64_t base = base_of(&knobs[i]);
    if (base == 0 || out->n_knobs == CN_MAX_KNOBS)
      return false;
    uint64_t digit = number % base;
    number /= base;
    if (digit == 0)
      continue;
    out->knob[out->n_knobs].type = knobs[i].type;
    out->knob[out->n_knobs++].value = digit == 1
                                          ? -1
                                          : knobs[i].min + (int64_t)(digit - VALUES_AT) * knobs[i].stride;
  }
  return number == 0 && code >> 63 == 0;
}
