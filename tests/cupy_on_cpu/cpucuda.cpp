// A make-believe CUDA device in host memory: just enough of the public CUDA runtime + driver API
// (types from the public headers) for CuPy's own code to run with no GPU and no NVIDIA library.
// Device memory is malloc'ed and poisoned, so that reads of uninitialised memory show up.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <chrono>
#include <new>
#include <functional>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))
namespace {
thread_local int cur_dev = 0;
std::recursive_mutex mu;
struct Block { size_t n; int dev; bool host; };
std::map<uintptr_t, Block> blocks;
long long counters[9];   // 0 malloc 1 h2d 2 d2h 3 d2d 4 launches 5 syncs 6 bytes_h2d 7 bytes_d2h 8 memsets
int ndev() { const char* s = getenv("CPUCUDA_DEVICES"); return s ? atoi(s) : 1; }
size_t in_use;   // bytes of device memory
size_t memory() { const char* s = getenv("CPUCUDA_MEMORY"); return s ? strtoull(s, nullptr, 10) : 8ull << 30; }
const Block* find(const void* p) {
  auto it = blocks.upper_bound((uintptr_t)p);
  if (it == blocks.begin()) return nullptr;
  --it;
  return (uintptr_t)p < it->first + (it->second.n ? it->second.n : 1) ? &it->second : nullptr;
}
cudaError_t alloc(void** p, size_t n, bool host) {
  void* q = nullptr;
  std::lock_guard<std::recursive_mutex> g(mu);
  if (!host && in_use + n > memory()) return cudaErrorMemoryAllocation;
  if (posix_memalign(&q, 512, n ? n : 512)) return cudaErrorMemoryAllocation;
  memset(q, 0xA5, n);
  blocks[(uintptr_t)q] = {n, cur_dev, host};
  if (!host) { counters[0]++; in_use += n; }
  *p = q; return cudaSuccess;
}
cudaError_t release(void* p) {
  if (!p) return cudaSuccess;
  std::lock_guard<std::recursive_mutex> g(mu);
  auto it = blocks.find((uintptr_t)p);
  if (it == blocks.end()) return cudaErrorInvalidValue;
  if (!it->second.host) in_use -= it->second.n;
  blocks.erase(it);
  free(p); return cudaSuccess;
}
cudaError_t copy(void* d, const void* s, size_t n, cudaMemcpyKind k) {
  { std::lock_guard<std::recursive_mutex> g(mu);
    const Block *bd = find(d), *bs = find(s);
    bool dd = bd && !bd->host, ds = bs && !bs->host;
    if (n && ((k == cudaMemcpyHostToDevice && !dd) || (k == cudaMemcpyDeviceToHost && !ds) || (k == cudaMemcpyDeviceToDevice && !(dd && ds)))) return cudaErrorInvalidValue;
    if (dd && (uintptr_t)d + n > (--blocks.upper_bound((uintptr_t)d))->first + bd->n) return cudaErrorInvalidValue;
    if (ds && (uintptr_t)s + n > (--blocks.upper_bound((uintptr_t)s))->first + bs->n) return cudaErrorInvalidValue;
    int c = dd && ds ? 3 : dd ? 1 : ds ? 2 : 3; counters[c]++; if (c == 1) counters[6] += n; if (c == 2) counters[7] += n; }
  memmove(d, s, n); return cudaSuccess;
}
}  // namespace

API long long* cpucuda_counters() { return counters; }
API int cpucuda_is_device_pointer(const void* p) { std::lock_guard<std::recursive_mutex> g(mu); auto b = find(p); return b && !b->host; }

API char* cpucuda_stack(unsigned i, size_t bytes) {
  static char* base = (char*)mmap(nullptr, 1024 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); return base + (size_t)i * bytes; }

// ---- capture: what a stream is given is kept, and done when its graph is launched
struct Node { void (*run)(void*); void* data; };
static thread_local std::vector<Node>* recording; static thread_local cudaStream_t recorded;   // two threads may capture, each its own stream
static std::recursive_mutex one_stream;   // launches of several threads wait for each other, as on a stream
API int cpucuda_capturing() { return recording != nullptr; }
API void cpucuda_record(void (*run)(void*), void* data) { recording->push_back({run, data}); }
static void keep(std::function<void()> work) { cpucuda_record([](void* w) { (*(std::function<void()>*)w)(); }, new std::function<void()>(std::move(work))); }
API cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) { if (recording || !s) return cudaErrorIllegalState; recording = new std::vector<Node>(); recorded = s; return cudaSuccess; }
API cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) { if (!recording || s != recorded) return cudaErrorIllegalState; *g = (cudaGraph_t)recording; recording = nullptr; return cudaSuccess; }
API cudaError_t cudaGraphInstantiate(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) { *e = (cudaGraphExec_t)g; return cudaSuccess; }
API cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
API cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t) { std::lock_guard<std::recursive_mutex> g(one_stream); for (auto& n : *(std::vector<Node>*)e) n.run(n.data); return cudaSuccess; }
API cudaError_t cudaGraphDestroy(cudaGraph_t) { return cudaSuccess; }
API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) { return cudaSuccess; }

// ---- runtime API
API const char* cudaGetErrorName(cudaError_t e) {
  switch (e) { case cudaSuccess: return "cudaSuccess"; case cudaErrorInvalidValue: return "cudaErrorInvalidValue"; case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice"; case cudaErrorNoDevice: return "cudaErrorNoDevice"; case cudaErrorNotSupported: return "cudaErrorNotSupported"; case cudaErrorIllegalState: return "cudaErrorIllegalState"; case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported"; default: return "cudaErrorUnknown"; } }
API const char* cudaGetErrorString(cudaError_t e) { return e == cudaErrorNotSupported ? "operation not supported by the CPU stand-in for CUDA" : e == cudaErrorInvalidValue ? "invalid argument" : e == cudaErrorInvalidDevice ? "invalid device ordinal" : e == cudaErrorMemoryAllocation ? "out of memory" : e == cudaErrorNoDevice ? "no CUDA-capable device is detected" : "error"; }
API cudaError_t cudaGetLastError() { return cudaSuccess; }
API cudaError_t cudaDriverGetVersion(int* v) { *v = CUDART_VERSION; return cudaSuccess; }
API cudaError_t cudaRuntimeGetVersion(int* v) { *v = CUDART_VERSION; return cudaSuccess; }
API cudaError_t cudaGetDevice(int* d) { *d = cur_dev; return cudaSuccess; }
API cudaError_t cudaSetDevice(int d) { if (d < 0 || d >= ndev()) return cudaErrorInvalidDevice; cur_dev = d; return cudaSuccess; }
API cudaError_t cudaGetDeviceCount(int* c) { *c = ndev(); return *c ? cudaSuccess : cudaErrorNoDevice; }
API cudaError_t cudaDeviceSynchronize() { counters[5]++; return cudaSuccess; }
API cudaError_t cudaDeviceGetAttribute(int* v, cudaDeviceAttr a, int) {
  switch (a) { case cudaDevAttrComputeCapabilityMajor: *v = 9; break; case cudaDevAttrComputeCapabilityMinor: *v = 0; break; case cudaDevAttrWarpSize: *v = 32; break;
    case cudaDevAttrMaxThreadsPerBlock: *v = 1024; break; case cudaDevAttrMultiProcessorCount: *v = 4; break; case cudaDevAttrMaxSharedMemoryPerBlock: *v = 49152; break;
    case cudaDevAttrMaxGridDimX: *v = 2147483647; break; default: *v = 0; } return cudaSuccess; }
API cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int d) {
  if (d < 0 || d >= ndev()) return cudaErrorInvalidDevice;
  memset(p, 0, sizeof *p); strcpy(p->name, "CPU stand-in for CUDA (no GPU)"); p->major = 9; p->minor = 0; p->warpSize = 32; p->maxThreadsPerBlock = 1024; p->multiProcessorCount = 4;
  p->totalGlobalMem = memory(); p->sharedMemPerBlock = 49152; p->maxThreadsPerMultiProcessor = 2048; p->unifiedAddressing = 1; return cudaSuccess; }
API cudaError_t cudaDeviceCanAccessPeer(int* c, int, int) { *c = 0; return cudaSuccess; }
API cudaError_t cudaMalloc(void** p, size_t n) { return alloc(p, n, false); }
API cudaError_t cudaMallocManaged(void** p, size_t n, unsigned) { return alloc(p, n, false); }
API cudaError_t cudaMallocAsync(void** p, size_t n, cudaStream_t) { return alloc(p, n, false); }
API cudaError_t cudaFree(void* p) { return release(p); }
API cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return release(p); }
API cudaError_t cudaHostAlloc(void** p, size_t n, unsigned) { return alloc(p, n, true); }
API cudaError_t cudaFreeHost(void* p) { return release(p); }
API cudaError_t cudaMemGetInfo(size_t* f, size_t* t) { *t = memory(); *f = *t - in_use; return cudaSuccess; }
API cudaError_t cudaMemcpy(void* d, const void* s, size_t n, cudaMemcpyKind k) { return copy(d, s, n, k); }
API cudaError_t cudaMemcpyAsync(void* d, const void* s, size_t n, cudaMemcpyKind k, cudaStream_t) { if (recording) { keep([=] { copy(d, s, n, k); }); return cudaSuccess; } return copy(d, s, n, k); }
API cudaError_t cudaMemcpyPeer(void* d, int, const void* s, int, size_t n) { return copy(d, s, n, cudaMemcpyDeviceToDevice); }
API cudaError_t cudaMemcpyPeerAsync(void* d, int, const void* s, int, size_t n, cudaStream_t) { return copy(d, s, n, cudaMemcpyDeviceToDevice); }
API cudaError_t cudaMemcpy2D(void* d, size_t dp, const void* s, size_t sp, size_t w, size_t h, cudaMemcpyKind k) { for (size_t i = 0; i < h; i++) if (auto e = copy((char*)d + i * dp, (const char*)s + i * sp, w, k)) return e; return cudaSuccess; }
API cudaError_t cudaMemcpy2DAsync(void* d, size_t dp, const void* s, size_t sp, size_t w, size_t h, cudaMemcpyKind k, cudaStream_t) { return cudaMemcpy2D(d, dp, s, sp, w, h, k); }
API cudaError_t cudaMemset(void* p, int v, size_t n) { if (n && !cpucuda_is_device_pointer(p)) return cudaErrorInvalidValue; counters[8]++; memset(p, v, n); return cudaSuccess; }
API cudaError_t cudaMemsetAsync(void* p, int v, size_t n, cudaStream_t) { if (recording) { counters[8]++; keep([=] { memset(p, v, n); }); return cudaSuccess; } return cudaMemset(p, v, n); }
API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) {
  std::lock_guard<std::recursive_mutex> g(mu); auto b = find(p); memset(a, 0, sizeof *a);
  a->type = !b ? cudaMemoryTypeUnregistered : b->host ? cudaMemoryTypeHost : cudaMemoryTypeDevice; a->device = b ? b->dev : -2; a->devicePointer = b ? (void*)p : nullptr; a->hostPointer = b && b->host ? (void*)p : nullptr; return cudaSuccess; }
static char tokens[1 << 16]; static unsigned ntok = 1;
API cudaError_t cudaStreamCreate(cudaStream_t* s) { *s = (cudaStream_t)&tokens[ntok++ % sizeof tokens]; return cudaSuccess; }
API cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) { return cudaStreamCreate(s); }
API cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned, int) { return cudaStreamCreate(s); }
API cudaError_t cudaStreamGetFlags(cudaStream_t, unsigned* f) { *f = 0; return cudaSuccess; }
API cudaError_t cudaStreamGetPriority(cudaStream_t, int* f) { *f = 0; return cudaSuccess; }
API cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
API cudaError_t cudaStreamSynchronize(cudaStream_t) { if (recording) return cudaErrorStreamCaptureUnsupported; counters[5]++; return cudaSuccess; }
API cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
API cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
API cudaError_t cudaStreamIsCapturing(cudaStream_t t, cudaStreamCaptureStatus* s) { *s = recording && t == recorded ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone; return cudaSuccess; }
struct Ev { std::chrono::steady_clock::time_point t; };
API cudaError_t cudaEventCreate(cudaEvent_t* e) { *e = (cudaEvent_t) new Ev(); return cudaSuccess; }
API cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return cudaEventCreate(e); }
API cudaError_t cudaEventDestroy(cudaEvent_t e) { delete (Ev*)e; return cudaSuccess; }
API cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
API cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t) { ((Ev*)e)->t = std::chrono::steady_clock::now(); return cudaSuccess; }
API cudaError_t cudaEventSynchronize(cudaEvent_t) { counters[5]++; return cudaSuccess; }
API cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t a, cudaEvent_t b) { *ms = std::chrono::duration<float, std::milli>(((Ev*)b)->t - ((Ev*)a)->t).count(); return cudaSuccess; }

// ---- driver API. A "module image" is the text CPUMOD:<path of a host .so that holds the kernels>.
static int dummy_ctx;
#define CU API CUresult
CU cuGetErrorName(CUresult, const char** s) { *s = "CUDA_ERROR"; return CUDA_SUCCESS; }
CU cuGetErrorString(CUresult, const char** s) { *s = "error in the CPU stand-in for CUDA"; return CUDA_SUCCESS; }
CU cuCtxGetCurrent(CUcontext* c) { *c = (CUcontext)&dummy_ctx; return CUDA_SUCCESS; }
CU cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
CU cuCtxGetDevice(CUdevice* d) { *d = cur_dev; return CUDA_SUCCESS; }
CU cuStreamGetCtx(CUstream, CUcontext* c) { return cuCtxGetCurrent(c); }
CU cuModuleLoadData(CUmodule* m, const void* image) {
  const char* s = (const char*)image;
  if (strncmp(s, "CPUMOD:", 7)) return CUDA_ERROR_INVALID_IMAGE;
  void* h = dlopen(s + 7, RTLD_NOW | RTLD_LOCAL);
  if (!h) { fprintf(stderr, "cpucuda: %s\n", dlerror()); return CUDA_ERROR_INVALID_IMAGE; }
  *m = (CUmodule)h; return CUDA_SUCCESS; }
CU cuModuleUnload(CUmodule) { return CUDA_SUCCESS; }
CU cuModuleGetFunction(CUfunction* f, CUmodule m, const char* name) {
  void* p = dlsym((void*)m, (std::string("__cpucuda_launch_") + name).c_str()); if (!p) return CUDA_ERROR_NOT_FOUND; *f = (CUfunction)p; return CUDA_SUCCESS; }
CU cuModuleGetGlobal_v2(CUdeviceptr* d, size_t* n, CUmodule m, const char* name) { void* p = dlsym((void*)m, name); if (!p) return CUDA_ERROR_NOT_FOUND; *d = (CUdeviceptr)p; if (n) *n = 0; return CUDA_SUCCESS; }
CU cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shm, CUstream, void** params, void**) {
  if ((unsigned long long)bx * by * bz > 1024 || !gx || !gy || !gz || !bx) return CUDA_ERROR_INVALID_VALUE;
  std::lock_guard<std::recursive_mutex> g(one_stream); counters[4]++;
  ((void (*)(unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void**))f)(gx, gy, gz, bx, by, bz, shm, params); return CUDA_SUCCESS; }
CU cuFuncGetAttribute(int* v, CUfunction_attribute a, CUfunction) { *v = a == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0; return CUDA_SUCCESS; }
CU cuFuncSetAttribute(CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; }
CU cuOccupancyMaxActiveBlocksPerMultiprocessor(int* n, CUfunction, int, size_t) { *n = 4; return CUDA_SUCCESS; }
CU cuOccupancyMaxPotentialBlockSize(int* g, int* b, CUfunction, CUoccupancyB2DSize, size_t, int) { *g = 4; *b = 256; return CUDA_SUCCESS; }
