// The part of cuBLAS that CuPy's matmul/dot/tensordot/einsum use, as plain loops. Column major, like BLAS.
#include <complex>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>
#include <functional>
extern "C" int cpucuda_capturing(); extern "C" void cpucuda_record(void (*)(void*), void*);
static void keep(std::function<void()> w) { cpucuda_record([](void* x) { (*(std::function<void()>*)x)(); }, new std::function<void()>(std::move(w))); }
#define API extern "C" __attribute__((visibility("default")))
typedef std::complex<float> c64; typedef std::complex<double> c128; typedef _Float16 f16; typedef long long ll;
struct bf16 { uint16_t b; operator float() const { uint32_t u = (uint32_t)b << 16; float f; memcpy(&f, &u, 4); return f; } };
static int g_math, g_pointer; static void* g_stream; static ll calls;
API ll cpucuda_products() { return calls; }
API int cublasCreate_v2(void** h) { *h = &g_math; return 0; }
API int cublasDestroy_v2(void*) { return 0; }
API int cublasGetVersion_v2(void*, int* v) { *v = 120900; return 0; }
API int cublasSetWorkspace_v2(void*, void*, size_t) { return 0; }
API int cublasSetStream_v2(void*, void* s) { g_stream = s; return 0; }
API int cublasGetStream_v2(void*, void** s) { *s = g_stream; return 0; }
API int cublasSetMathMode(void*, int m) { g_math = m; return 0; }
API int cublasGetMathMode(void*, int* m) { *m = g_math; return 0; }
API int cublasSetPointerMode_v2(void*, int m) { g_pointer = m; return 0; }
API int cublasGetPointerMode_v2(void*, int* m) { *m = g_pointer; return 0; }
template <class T> T cj(T x) { return x; } template <class T> std::complex<T> cj(std::complex<T> x) { return std::conj(x); }
static float up(bf16 x) { return x; } static float up(f16 x) { return x; } template <class T> T up(T x) { return x; }
static void down(f16& d, float v) { d = (f16)v; } static void down(bf16& d, float v) { uint32_t u; memcpy(&u, &v, 4); d.b = (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16); } template <class T> void down(T& d, T v) { d = v; }
// C(m,n) = alpha op(A)(m,k) op(B)(k,n) + beta C, accumulated in W
template <class W, class TA, class TB, class TC>
static void gemm(int ta, int tb, int m, int n, int k, W alpha, const TA* A, ll lda, const TB* B, ll ldb, W beta, TC* C, ll ldc) {
  std::vector<W> a((size_t)m * k), col(m);
  for (int p = 0; p < k; p++) for (int i = 0; i < m; i++) { W v = W(up(ta ? A[p + i * lda] : A[i + p * lda])); a[i + (size_t)p * m] = ta == 2 ? cj(v) : v; }
  for (int j = 0; j < n; j++) { std::fill(col.begin(), col.end(), W(0));
    for (int p = 0; p < k; p++) { W b = W(up(tb ? B[j + p * ldb] : B[p + j * ldb])); if (tb == 2) b = cj(b); const W* ap = &a[(size_t)p * m]; for (int i = 0; i < m; i++) col[i] += ap[i] * b; }
    for (int i = 0; i < m; i++) { TC& c = C[i + j * ldc]; W r = alpha * col[i]; if (beta != W(0)) r += beta * W(up(c)); down(c, r); } } }
#define GEMM(S, T) API int cublas##S##gemm_v2(void*, int ta, int tb, int m, int n, int k, const T* al, const T* A, int lda, const T* B, int ldb, const T* be, T* C, int ldc) { calls++; if (cpucuda_capturing()) { T a0 = *al, b0 = *be; keep([=] { gemm<T>(ta, tb, m, n, k, a0, A, lda, B, ldb, b0, C, ldc); }); return 0; } gemm<T>(ta, tb, m, n, k, *al, A, lda, B, ldb, *be, C, ldc); return 0; } \
 API int cublas##S##gemmStridedBatched(void*, int ta, int tb, int m, int n, int k, const T* al, const T* A, int lda, ll sa, const T* B, int ldb, ll sb, const T* be, T* C, int ldc, ll sc, int bc) { calls++; T a0 = *al, b0 = *be; auto work = [=] { for (int i = 0; i < bc; i++) gemm<T>(ta, tb, m, n, k, a0, A + i * sa, lda, B + i * sb, ldb, b0, C + i * sc, ldc); }; if (cpucuda_capturing()) keep(work); else work(); return 0; } \
 API int cublas##S##gemmBatched(void*, int ta, int tb, int m, int n, int k, const T* al, const T* const* A, int lda, const T* const* B, int ldb, const T* be, T* const* C, int ldc, int bc) { calls++; for (int i = 0; i < bc; i++) gemm<T>(ta, tb, m, n, k, *al, A[i], lda, B[i], ldb, *be, C[i], ldc); return 0; } \
 API int cublas##S##axpy_v2(void*, int n, const T* a, const T* x, int ix, T* y, int iy) { for (int i = 0; i < n; i++) y[(ll)i * iy] += *a * x[(ll)i * ix]; return 0; } \
 API int cublas##S##scal_v2(void*, int n, const T* a, T* x, int ix) { for (int i = 0; i < n; i++) x[(ll)i * ix] *= *a; return 0; } \
 API int cublas##S##gemv_v2(void*, int t, int m, int n, const T* al, const T* A, int lda, const T* x, int ix, const T* be, T* y, int iy) { calls++; int r = t ? n : m, q = t ? m : n; for (int i = 0; i < r; i++) { T s = T(0); for (int p = 0; p < q; p++) { T v = t ? A[p + (ll)i * lda] : A[i + (ll)p * lda]; if (t == 2) v = cj(v); s += v * x[(ll)p * ix]; } T& o = y[(ll)i * iy]; o = *al * s + (*be != T(0) ? *be * o : T(0)); } return 0; } \
 API int cublas##S##geam(void*, int ta, int tb, int m, int n, const T* al, const T* A, int lda, const T* be, const T* B, int ldb, T* C, int ldc) { for (int j = 0; j < n; j++) for (int i = 0; i < m; i++) { T v = T(0); if (*al != T(0)) v += *al * (ta ? A[j + (ll)i * lda] : A[i + (ll)j * lda]); if (*be != T(0)) v += *be * (tb ? B[j + (ll)i * ldb] : B[i + (ll)j * ldb]); C[i + (ll)j * ldc] = v; } return 0; }
GEMM(S, float) GEMM(D, double) GEMM(C, c64) GEMM(Z, c128)
#define DOT(N, T, CJ) API int cublas##N(void*, int n, const T* x, int ix, const T* y, int iy, T* r) { calls++; T s = T(0); for (int i = 0; i < n; i++) s += (CJ ? cj(x[(ll)i * ix]) : x[(ll)i * ix]) * y[(ll)i * iy]; *r = s; return 0; }
DOT(Sdot_v2, float, 0) DOT(Ddot_v2, double, 0) DOT(Cdotu_v2, c64, 0) DOT(Zdotu_v2, c128, 0) DOT(Cdotc_v2, c64, 1) DOT(Zdotc_v2, c128, 1)
#define GER(N, T) API int cublas##N(void*, int m, int n, const T* a, const T* x, int ix, const T* y, int iy, T* A, int lda) { calls++; for (int j = 0; j < n; j++) for (int i = 0; i < m; i++) A[i + (ll)j * lda] += *a * x[(ll)i * ix] * y[(ll)j * iy]; return 0; }
GER(Sger_v2, float) GER(Dger_v2, double)
// typed gemm: 0 f32, 1 f64, 2 f16, 4 c64, 5 c128, 14 bf16
static size_t size_of(int t) { return t == 0 ? 4 : t == 1 ? 8 : t == 2 || t == 14 ? 2 : t == 4 ? 8 : t == 5 ? 16 : 0; }
static int ex(int ta, int tb, int m, int n, int k, const void* al, const void* A, int tA, int lda, const void* B, int tB, int ldb, const void* be, void* C, int tC, int ldc, int comp) {
#define CASE(a, b, c, W, TA, TB, TC) if (tA == a && tB == b && tC == c) { gemm<W>(ta, tb, m, n, k, *(const W*)al, (const TA*)A, lda, (const TB*)B, ldb, *(const W*)be, (TC*)C, ldc); return 0; }
  CASE(0, 0, 0, float, float, float, float) CASE(1, 1, 1, double, double, double, double) CASE(4, 4, 4, c64, c64, c64, c64) CASE(5, 5, 5, c128, c128, c128, c128)
  if (comp != 64) { CASE(2, 2, 2, float, f16, f16, f16) } else if (tA == 2) { float x = (float)*(const f16*)al, y = (float)*(const f16*)be; return ex(ta, tb, m, n, k, &x, A, tA, lda, B, tB, ldb, &y, C, tC, ldc, 68); }
  CASE(2, 2, 0, float, f16, f16, float) CASE(14, 14, 14, float, bf16, bf16, bf16) CASE(14, 14, 0, float, bf16, bf16, float)
  return 15; }
API int cublasGemmEx(void*, int ta, int tb, int m, int n, int k, const void* al, const void* A, int tA, int lda, const void* B, int tB, int ldb, const void* be, void* C, int tC, int ldc, int comp, int) { calls++; return ex(ta, tb, m, n, k, al, A, tA, lda, B, tB, ldb, be, C, tC, ldc, comp); }
API int cublasSgemmEx(void*, int ta, int tb, int m, int n, int k, const float* al, const void* A, int tA, int lda, const void* B, int tB, int ldb, const float* be, void* C, int tC, int ldc) { calls++; return ex(ta, tb, m, n, k, al, A, tA, lda, B, tB, ldb, be, C, tC, ldc, 68); }
API int cublasGemmStridedBatchedEx(void*, int ta, int tb, int m, int n, int k, const void* al, const void* A, int tA, int lda, ll sa, const void* B, int tB, int ldb, ll sb, const void* be, void* C, int tC, int ldc, ll sc, int bc, int comp, int) { calls++;
  for (int i = 0; i < bc; i++) if (int e = ex(ta, tb, m, n, k, al, (const char*)A + i * sa * size_of(tA), tA, lda, (const char*)B + i * sb * size_of(tB), tB, ldb, be, (char*)C + i * sc * size_of(tC), tC, ldc, comp)) return e; return 0; }
