/* SPDX-License-Identifier: Apache-2.0 */
/* See lt_api.h. */
#include "backends/cublas/lt_api.h"

#include <dlfcn.h>
#include <pthread.h>

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
#define SONAME "libcublasLt.so." TEXT_OF(CUBLAS_VER_MAJOR) /* what the header belongs to */

struct cb_lt_api cb_lt;

static gie_status find(struct gie_context *ctx, void *library, const char *name, void *target)
{
  void *p = dlsym(library, name);
  if (!p)
    return gie_fail(ctx, GIE_E_DEVICE, "%s has no %s; install the cublasLt of this CUDA version", SONAME,
                    name);
  memcpy(target, &p, sizeof p); /* C has no cast from an object to a function */
  return GIE_OK;
}

static gie_status load(struct gie_context *ctx)
{
  struct cb_lt_api api;
  void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL); /* never closed: it has threads and device memory */
  if (!library)
    return gie_fail(ctx, GIE_E_DEVICE, "%s; put the folder of CUDA's libraries in LD_LIBRARY_PATH",
                    dlerror());
#define CB_LT_FIND(name) GIE_TRY(find(ctx, library, #name, &api.name));
  CB_LT_LIST(CB_LT_FIND)
#undef CB_LT_FIND
  cb_lt = api;
  return GIE_OK;
}

gie_status cb_lt_load(struct gie_context *ctx)
{
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static bool loaded;
  pthread_mutex_lock(&lock);
  gie_status st = loaded ? GIE_OK : load(ctx);
  loaded = st == GIE_OK;
  pthread_mutex_unlock(&lock);
  return st;
}
