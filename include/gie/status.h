/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes: the result of everything that can fail.
 *
 * Each code has a name (printed as error[E_NAME]) and the exit code that the `gie` command ends
 * with (sysexits.h numbers, 1 for "it ran and the answer is no"). GIE_STATUS_LIST is the only list.
 *
 * Conventions everywhere in gie: a function that can fail returns gie_status; out-parameters come
 * last and are written only on success; the function that detects an error describes it with
 * gie_fail(), its callers prepend where it happened with gie_error_prefix(). */
#ifndef GIE_STATUS_H
#define GIE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/*        name         exit  meaning */
#define GIE_STATUS_LIST(X)                                    \
  X(OK, 0, "success")                                         \
  X(E_NO, 1, "it ran and the answer is no")                   \
  X(E_USAGE, 64, "wrong use of a command or function")        \
  X(E_DATA, 65, "malformed or inconsistent data")             \
  X(E_PARSE, 65, "text or wire format that cannot be parsed") \
  X(E_GRAPH, 65, "graph rule broken")                         \
  X(E_SHAPE, 65, "shapes do not fit")                         \
  X(E_TYPE, 65, "element types do not fit")                   \
  X(E_ATTR, 65, "bad attribute")                              \
  X(E_LIMIT, 65, "input exceeds a fixed limit")               \
  X(E_UNSUPPORTED, 65, "valid, but not supported")            \
  X(E_NOINPUT, 66, "input missing or not a regular file")     \
  X(E_DEVICE, 69, "no such device, or it failed")             \
  X(E_INTERNAL, 70, "a bug in gie or in a module")            \
  X(E_MEMORY, 71, "out of memory")                            \
  X(E_CREATE, 73, "output cannot be created")                 \
  X(E_IO, 74, "reading or writing failed")                    \
  X(E_PERM, 77, "permission denied")                          \
  X(E_CONFIG, 78, "bad configuration")                        \
  X(E_MODULE, 78, "module refused")                           \
  X(E_STOPPED, 75, "stopped because the caller asked for it")

typedef enum gie_status {
#define GIE_STATUS_ENUM(name, exit_code, text) GIE_##name,
  GIE_STATUS_LIST(GIE_STATUS_ENUM)
#undef GIE_STATUS_ENUM
} gie_status;

/* Propagates a failure: `GIE_TRY(expr);` returns the status of expr unless it is GIE_OK. */
#define GIE_TRY(expr)             \
  do {                            \
    gie_status gie_try_ = (expr); \
    if (gie_try_ != GIE_OK)       \
      return gie_try_;            \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
