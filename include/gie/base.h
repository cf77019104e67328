/* SPDX-License-Identifier: Apache-2.0 */
/* The context: error text, log, memory and configuration. There is no other global state.
 *
 * Threads: a context may be shared; error text and log are serialized inside. The error text
 * belongs to the last failure in that context, so give each thread that needs its own a child
 * (gie_context_new with the parent's options). */
#ifndef GIE_BASE_H
#define GIE_BASE_H

#include <gie/status.h>
#include <gie/types.h>
#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gie_context;

enum gie_log_level { GIE_LOG_ERROR, GIE_LOG_WARN, GIE_LOG_INFO, GIE_LOG_DEBUG };

#if defined(__GNUC__)
#define GIE_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define GIE_PRINTF(fmt, first)
#endif

#define GIE_FN_LIST <gie/base_list.h>
#define GIE_FN_TABLE gie_base_api
#include <gie/fn_declare.h>

/* Records the failure's text and returns `status`, so that `return gie_fail(ctx, …)` reads well.
 * One line, no trailing newline: "<what is wrong>; <what to do>". Control characters in what is
 * printed are escaped. */
GIE_PRINTF(3, 4)
static inline gie_status gie_fail(struct gie_context *ctx, gie_status status, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  gie_vfail(ctx, status, fmt, ap);
  va_end(ap);
  return status;
}

/* Prepends "<text>: " to the error text: callers say where it happened. Returns `status`. */
GIE_PRINTF(3, 4)
static inline gie_status gie_error_prefix(struct gie_context *ctx, gie_status status, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  gie_verror_prefix(ctx, status, fmt, ap);
  va_end(ap);
  return status;
}

/* `module` is a short topic ("onnx", "tune"); GIE_LOG=topic:level filters on it. */
GIE_PRINTF(4, 5)
static inline void gie_log(struct gie_context *ctx, enum gie_log_level level, const char *module,
                           const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  gie_vlog(ctx, level, module, fmt, ap);
  va_end(ap);
}

#ifdef __clang_analyzer__ /* does not look into variadic functions; tell it that a failure stays one */
#define gie_fail(ctx, status, ...) ((void)gie_fail(ctx, status, __VA_ARGS__), (status))
#define gie_error_prefix(ctx, status, ...) ((void)gie_error_prefix(ctx, status, __VA_ARGS__), (status))
#endif

#ifdef __cplusplus
}
#endif
#endif
