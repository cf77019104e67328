/* SPDX-License-Identifier: Apache-2.0 */
/* DetectionOutput and Proposal on CUDA devices. Boxes are decoded by a thread each, then sorted and suppressed by a block
 * for each class of an image (select.cuh). */
#include "plugins/detection/select.cuh"

#define MOST_KEYS (1u << 26)

/* ---- DetectionOutput
 *
 *   decode  all boxes
 *   choose  a block for each image and class: the keys of what suppression leaves come first, and how many there are
 *   cut     a block for each image: how many of each class are among the best keep_top_k, and where their rows begin
 *   write   a block for each image: its rows; all together the empty ones */

struct output {
  struct det_output s;
  int64_t images, loc, conf; /* elements of an image in the operands */
  int64_t rows;
  uint32_t sets, classes, keys, sums, candidates; /* sets: boxes of a prior; classes: that have boxes */
  const float *locations, *confidences, *priors;
  float *to;
  /* workspace */
  uint64_t *key;       /* images x classes x keys */
  uint64_t *best;      /* images x sums */
  struct det_box *box; /* images x priors x sets */
  uint32_t *count;     /* images x classes */
  uint32_t *first;     /* images x classes: the row of an image that a class begins with */
  uint32_t *total;     /* images */
};

__global__ void __launch_bounds__(DET_THREADS) decode(const __grid_constant__ struct output o)
{
  int64_t of_image = o.s.priors * o.sets, n = o.images * of_image;
  for (int64_t i = blockIdx.x * int64_t(DET_THREADS) + threadIdx.x; i < n;
       i += int64_t(gridDim.x) * DET_THREADS) {
    int64_t image = i / of_image, k = i % of_image, prior = k / o.sets;
    const float *variance = o.priors + 4 * (o.s.encoded ? prior : o.s.priors + prior);
    o.box[i] = det_decode(&o.s, o.priors + 4 * prior, variance, o.locations + image * o.loc + 4 * k);
  }
}

/* The class of the network that is number i of those with boxes. */
static __device__ __forceinline__ uint32_t class_of(const struct output &o, uint32_t i)
{
  return i + (o.s.background >= 0 && i >= o.s.background);
}

__global__ void __launch_bounds__(DET_THREADS) choose(const __grid_constant__ struct output o)
{
  __shared__ uint32_t n;
  int64_t image = blockIdx.x / o.classes, at = blockIdx.x;
  uint32_t c = class_of(o, blockIdx.x % o.classes);
  const float *conf = o.confidences + image * o.conf + c;
  uint64_t *key = o.key + at * o.keys;
  if (threadIdx.x == 0)
    n = 0;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < o.s.priors; i += DET_THREADS) {
    float score = conf[i * o.s.classes];
    if (score > o.s.confidence)
      key[atomicAdd(&n, 1u)] = det_key(score, uint32_t(i * o.sets) + (o.s.shared ? 0 : c));
  }
  __syncthreads();
  uint32_t found = n, padded = det_power(found);
  for (uint32_t i = found + threadIdx.x; i < padded; i += DET_THREADS)
    key[i] = DET_NO_KEY;
  __syncthreads();
  det_sort_block(key, padded);
  found = found < o.candidates ? found : o.candidates;
  const struct det_suppressing s = {o.box + image * o.s.priors * o.sets, o.s.nms, o.s.eta, 0, found};
  found = det_suppress_block(s, key, found);
  if (threadIdx.x == 0)
    o.count[at] = found;
}

/* The key of the last that is kept, when not all are. Within a class keys ascend: what is kept of it comes first. */
static __device__ uint64_t last_key(const struct output &o, int64_t image, uint32_t all)
{
  const uint32_t *count = o.count + image * o.classes, *first = o.first + image * o.classes;
  uint64_t *best = o.best + image * o.sums;
  uint32_t padded = det_power(all), warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (uint32_t c = warp; c < o.classes; c += DET_WARPS) {
    const uint64_t *key = o.key + (image * o.classes + c) * o.keys;
    for (uint32_t k = lane; k < count[c]; k += 32)
      best[first[c] + k] = det_key(det_key_score(key[k]), first[c] + k);
  }
  for (uint32_t i = all + threadIdx.x; i < padded; i += DET_THREADS)
    best[i] = DET_NO_KEY;
  __syncthreads();
  det_sort_block(best, padded);
  return best[o.s.keep_top_k - 1];
}

/* How many of each class, summed up: o.first, and the sum of all. */
static __device__ uint32_t sum_up(const struct output &o, int64_t image)
{
  uint32_t all = 0, total;
  for (uint32_t from = 0; from < o.classes; from += DET_THREADS) {
    uint32_t c = from + threadIdx.x;
    uint32_t v = c < o.classes ? o.count[image * o.classes + c] : 0, before = det_sum_before(v, &total);
    if (c < o.classes)
      o.first[image * o.classes + c] = all + before;
    all += total;
  }
  __syncthreads();
  return all;
}

__global__ void __launch_bounds__(DET_THREADS) cut(const __grid_constant__ struct output o)
{
  int64_t image = blockIdx.x;
  uint32_t all = sum_up(o, image), warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (o.s.keep_top_k >= 0 && all > o.s.keep_top_k) {
    uint64_t last = last_key(o, image, all);
    for (uint32_t c = warp; c < o.classes; c += DET_WARPS) {
      int64_t at = image * o.classes + c;
      uint32_t keep = 0;
      for (uint32_t k = 0; k < o.count[at]; k += 32) {
        bool is = k + lane < o.count[at] &&
                  det_key(det_key_score(o.key[at * o.keys + k + lane]), o.first[at] + k + lane) <= last;
        keep += __popc(__ballot_sync(~0u, is));
      }
      __syncwarp();
      if (lane == 0)
        o.count[at] = keep;
    }
    __syncthreads();
    all = sum_up(o, image);
  }
  if (threadIdx.x == 0)
    o.total[image] = all;
}

static __device__ void write_row(const struct output &o, int64_t row, float image, float c, uint64_t key,
                                 const struct det_box *b)
{
  const float v[] = {image, c, det_key_score(key), b->x1, b->y1, b->x2, b->y2};
  for (int i = 0; i < 7; i++)
    o.to[7 * row + i] = v[i];
}

__global__ void __launch_bounds__(DET_THREADS) write(const __grid_constant__ struct output o)
{
  int64_t image = blockIdx.x, begin = 0, end = 0;
  uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (int64_t i = 0; i < o.images; i++) {
    begin += i < image ? o.total[i] : 0;
    end += o.total[i];
  }
  for (uint32_t c = warp; c < o.classes; c += DET_WARPS) {
    int64_t at = image * o.classes + c;
    for (uint32_t k = lane; k < o.count[at]; k += 32) {
      uint64_t key = o.key[at * o.keys + k];
      write_row(o, begin + o.first[at] + k, float(image), float(class_of(o, c)), key,
                &o.box[image * o.s.priors * o.sets + det_key_index(key)]);
    }
  }
  int64_t step = int64_t(gridDim.x) * DET_THREADS, from = 7 * end + image * DET_THREADS + threadIdx.x;
  for (int64_t i = from; i < 7 * o.rows; i += step)
    o.to[i] = i % 7 == 0 ? -1.0f : 0.0f;
}

/* All but the addresses; false: too much. */
static bool describe(const struct det_node *n, struct output *o)
{
  int64_t most;
  *o = {};
  if (!det_output_read(n->node, n->in[2].dim[2] / 4, &o->s))
    return false;
  most = det_output_candidates(&o->s) * det_output_classes(&o->s);
  o->images = n->in[0].dim[0];
  o->loc = det_count(&n->in[0], 1);
  o->conf = det_count(&n->in[1], 1);
  o->rows = n->out[0].dim[2];
  o->sets = uint32_t(det_output_sets(&o->s));
  o->classes = uint32_t(det_output_classes(&o->s));
  if (o->s.priors > MOST_KEYS || most > MOST_KEYS || o->images * int64_t(o->classes) > INT32_MAX)
    return false;
  o->candidates = uint32_t(det_output_candidates(&o->s));
  o->keys = det_power(uint32_t(o->s.priors));
  o->sums = o->s.keep_top_k >= 0 ? det_power(uint32_t(most)) : 0;
  return true;
}

/* Divides the workspace, or counts its bytes when `base` is NULL; SIZE_MAX: too many. */
static size_t divide(struct output *o, char *base)
{
  size_t images = size_t(o->images), classes = size_t(o->classes), at = 0;
  const struct {
    void *to;
    size_t count, each, bytes;
  } parts[] = {{&o->key, images * classes, o->keys, sizeof *o->key},
               {&o->best, images, o->sums, sizeof *o->best},
               {&o->box, images * o->sets, size_t(o->s.priors), sizeof *o->box},
               {&o->count, images, classes, sizeof *o->count},
               {&o->first, images, classes, sizeof *o->first},
               {&o->total, images, 1, sizeof *o->total}};
  for (const auto &part : parts) {
    size_t bytes;
    char *here = base ? base + at : nullptr;
    memcpy(part.to, &here, sizeof here);
    if (__builtin_mul_overflow(part.count, part.each, &bytes) ||
        __builtin_mul_overflow(bytes, part.bytes, &bytes) || __builtin_add_overflow(at, bytes + 15, &at))
      return SIZE_MAX;
    at &= ~size_t(15);
  }
  return at;
}

static size_t output_workspace(const struct det_node *n)
{
  struct output o;
  return describe(n, &o) ? divide(&o, nullptr) : SIZE_MAX;
}

static gie_status run_output(const struct det_node *n, const struct gie_launch *l)
{
  struct output o;
  cudaStream_t stream = gie_cuda_stream(l);
  describe(n, &o);
  divide(&o, static_cast<char *>(l->workspace));
  o.locations = static_cast<const float *>(l->in[0]);
  o.confidences = static_cast<const float *>(l->in[1]);
  o.priors = static_cast<const float *>(l->in[2]);
  o.to = static_cast<float *>(l->out[0]);
  int64_t boxes = o.images * o.s.priors * o.sets, blocks = (boxes + DET_THREADS - 1) / DET_THREADS;
  if (o.rows == 0)
    return GIE_OK; /* of no images, no priors, or none that are kept */
  decode<<<unsigned(blocks < 65536 ? blocks : 65536), DET_THREADS, 0, stream>>>(o);
  choose<<<unsigned(o.images * o.classes), DET_THREADS, 0, stream>>>(o);
  cut<<<unsigned(o.images), DET_THREADS, 0, stream>>>(o);
  write<<<unsigned(o.images), DET_THREADS, 0, stream>>>(o);
  return gie_cuda_launched(l->ctx, "launching a detection_output");
}

/* ---- Proposal: a thread for each anchor of a cell, then one block for all of them */

struct proposal {
  struct det_anchors a;
  int64_t pre, post;
  float nms;
  uint32_t keys;
  const float *scores, *deltas, *image;
  float *region, *score; /* score: may be NULL */
  uint64_t *key;
  struct det_box *box;
};

__global__ void __launch_bounds__(DET_THREADS) propose(const __grid_constant__ struct proposal p)
{
  int64_t boxes = p.a.cells * p.a.n;
  for (int64_t i = blockIdx.x * int64_t(DET_THREADS) + threadIdx.x; i < p.keys;
       i += int64_t(gridDim.x) * DET_THREADS) {
    int64_t cell = i / p.a.n, k = i % p.a.n;
    p.key[i] = i < boxes && det_region_at(&p.a, cell, k, p.deltas, p.image, &p.box[i])
                   ? det_key(p.scores[(p.a.n + k) * p.a.cells + cell], uint32_t(i))
                   : DET_NO_KEY;
  }
}

/* How many of the sorted keys are some. */
static __device__ uint32_t count_keys(const uint64_t *key, uint32_t n)
{
  uint32_t low = 0;
  while (low < n) {
    uint32_t middle = low + (n - low) / 2;
    if (key[middle] == DET_NO_KEY)
      n = middle;
    else
      low = middle + 1;
  }
  return low;
}

__global__ void __launch_bounds__(DET_THREADS) pick(const __grid_constant__ struct proposal p)
{
  det_sort_block(p.key, p.keys);
  uint32_t found = count_keys(p.key, p.keys);
  if (p.pre > 0 && found > p.pre)
    found = uint32_t(p.pre);
  __syncthreads();
  const struct det_suppressing s = {p.box, p.nms, 1, 1, uint32_t(p.post)};
  found = det_suppress_block(s, p.key, found);
  for (int64_t i = threadIdx.x; i < p.post; i += DET_THREADS) {
    struct det_box b = {0, 0, 0, 0};
    if (i < found)
      b = p.box[det_key_index(p.key[i])];
    const float row[] = {0, b.x1, b.y1, b.x2, b.y2};
    for (int k = 0; k < 5; k++)
      p.region[5 * i + k] = row[k];
    if (p.score)
      p.score[i] = i < found ? det_key_score(p.key[i]) : 0;
  }
}

/* Keys, a power of two; 0: too many. */
static uint32_t proposal_keys(const struct det_node *n)
{
  struct det_proposing s;
  int64_t boxes;
  det_proposal_read(n->node, &s);
  if (__builtin_mul_overflow(det_count(&n->in[0], 2), int64_t(s.n_ratios) * s.n_scales, &boxes) ||
      boxes > MOST_KEYS)
    return 0;
  return det_power(uint32_t(boxes));
}

static size_t proposal_workspace(const struct det_node *n)
{
  size_t keys = proposal_keys(n);
  return keys ? keys * (sizeof(uint64_t) + sizeof(struct det_box)) : SIZE_MAX;
}

static gie_status run_proposal(const struct det_node *n, const struct gie_launch *l)
{
  struct det_proposing s;
  struct proposal p = {};
  cudaStream_t stream = gie_cuda_stream(l);
  det_proposal_read(n->node, &s);
  det_anchors_make(&s, n, &p.a);
  p.pre = s.pre;
  p.post = s.post;
  p.nms = s.nms;
  p.keys = proposal_keys(n);
  p.scores = static_cast<const float *>(l->in[0]);
  p.deltas = static_cast<const float *>(l->in[1]);
  p.image = static_cast<const float *>(l->in[2]);
  p.region = static_cast<float *>(l->out[0]);
  p.score = static_cast<float *>(n->n_out > 1 ? l->out[1] : nullptr);
  p.key = static_cast<uint64_t *>(l->workspace);
  p.box = reinterpret_cast<struct det_box *>(p.key + p.keys);
  uint32_t blocks = (p.keys + DET_THREADS - 1) / DET_THREADS;
  propose<<<blocks, DET_THREADS, 0, stream>>>(p);
  pick<<<1, DET_THREADS, 0, stream>>>(p);
  return gie_cuda_launched(l->ctx, "launching a proposal");
}

const struct det_layer det_cuda_detection_output = {nullptr, "detection_cuda.detection_output", run_output,
                                                    output_workspace};
const struct det_layer det_cuda_proposal = {nullptr, "detection_cuda.proposal", run_proposal,
                                            proposal_workspace};
