/* SPDX-License-Identifier: Apache-2.0 */
/* List of the base functions (interface "gie.base", major 1); included by gie/base.h only.
 * Order is ABI: add at the end. */

/* See gie_fail(): records the text, returns status. */
GIE_FN(gie_status, vfail, (struct gie_context * ctx, gie_status status, const char *fmt, va_list ap), (ctx, status, fmt, ap))
/* See gie_error_prefix(). */
GIE_FN(gie_status, verror_prefix, (struct gie_context * ctx, gie_status status, const char *fmt, va_list ap), (ctx, status, fmt, ap))
/* Text of the last failure, "" if none; valid until the next failure in this context. */
GIE_FN(const char *, error_text, (const struct gie_context *ctx), (ctx))
/* See gie_log(). */
GIE_FN_VOID(vlog, (struct gie_context * ctx, enum gie_log_level level, const char *module, const char *fmt, va_list ap), (ctx, level, module, fmt, ap))

/* Zeroed memory for n elements of `size` bytes, aligned to 64 bytes, or NULL with E_MEMORY recorded
 * (also when n*size overflows). n*size == 0 gives a valid pointer. Freed with gie_free(). */
GIE_FN(void *, alloc, (struct gie_context * ctx, size_t n, size_t size), (ctx, n, size))
/* The same, not zeroed: for large buffers that are filled at once. */
GIE_FN(void *, alloc_raw, (struct gie_context * ctx, size_t n, size_t size), (ctx, n, size))
/* NULL is fine. */
GIE_FN_VOID(free, (struct gie_context * ctx, void *p), (ctx, p))

/* Value of a row of the config table (environment GIE_<NAME> or set by the program); NULL if unset
 * or unknown. */
GIE_FN(const char *, config, (const struct gie_context *ctx, const char *name), (ctx, name))

/* ---- Files, for importers */

/* Reads exactly `size` bytes at `offset`; E_IO when the file has become shorter. `path` is for the message. */
GIE_FN(gie_status, file_pread, (struct gie_context * ctx, int fd, const char *path, void *buf, size_t size, uint64_t offset), (ctx, fd, path, buf, size, offset))
/* Opens a file that belongs to another one (ONNX external data): `name` is relative to the directory
 * of `beside` and may not leave it; no symlinks, one hard link, regular. The caller closes *fd. */
GIE_FN(gie_status, file_open_beside, (struct gie_context * ctx, const char *beside, const char *name, int *fd, uint64_t *size), (ctx, beside, name, fd, size))
