/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a function list (GIE_FN_LIST, an included file of GIE_FN/GIE_FN_VOID lines) into
 *   - struct GIE_FN_TABLE: the function table that the host hands to modules, and
 *   - gie_<name>(): a library function, or in a module (GIE_MODULE_BUILD) an inline call through
 *     the table.
 * Tables grow only at the end; a module that needs a later function checks struct_size. */
#define GIE_FN_CAT_(a, b) a##b
#define GIE_FN_CAT(a, b) GIE_FN_CAT_(a, b)
#if defined(__GNUC__) && !defined(GIE_API)
#define GIE_API __attribute__((visibility("default")))
#define GIE_HIDDEN __attribute__((visibility("hidden")))
#elif !defined(GIE_API)
#define GIE_API
#define GIE_HIDDEN
#endif

struct GIE_FN_TABLE {
  size_t struct_size;
#define GIE_FN(ret, name, params, args) ret(*name) params;
#define GIE_FN_VOID(name, params, args) void(*name) params;
#include GIE_FN_LIST
#undef GIE_FN
#undef GIE_FN_VOID
};

#ifdef GIE_MODULE_BUILD
GIE_HIDDEN extern const struct GIE_FN_TABLE *GIE_FN_CAT(GIE_FN_TABLE, _);
#define GIE_FN(ret, name, params, args) \
  static inline ret gie_##name params { return GIE_FN_CAT(GIE_FN_TABLE, _)->name args; }
#define GIE_FN_VOID(name, params, args) \
  static inline void gie_##name params { GIE_FN_CAT(GIE_FN_TABLE, _)->name args; }
#else
#define GIE_FN(ret, name, params, args) GIE_API ret gie_##name params;
#define GIE_FN_VOID(name, params, args) GIE_API void gie_##name params;
#endif
#include GIE_FN_LIST
#undef GIE_FN
#undef GIE_FN_VOID
#undef GIE_FN_LIST
#undef GIE_FN_TABLE
