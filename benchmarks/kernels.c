/* Reference kernels for benchmarks/kernels.py: gradient and curvature as gbobjectives has them.

   Compiled once with -DREAL=float and once with -DREAL=double, the type of the raw predictions;
   labels, weights and results are float32, as the libraries store them. A weight pointer may be
   null. Nothing is checked here: neither labels, nor that results are finite. */

#include <float.h>
#include <stddef.h>
#include <tgmath.h>

typedef REAL real;

#define INLINE static inline __attribute__((always_inline))
/* Few rows are not worth a second thread. */
#define ROWS _Pragma("omp parallel for simd num_threads(threads) if(parallel : n > 20000)")
#define SUMS _Pragma("omp parallel for simd num_threads(threads) if(parallel : n > 20000) reduction(+:sum, total)")

typedef struct { real g, h; } pair;

/* ---- losses of one residual: a is delta, b the slope of the quantile loss ---- */

INLINE pair huber_row(real y, real f, real a, real b) {
    real u = (f - y) / a;
    return (pair){fmin(fmax(u, (real)-1), (real)1) * a, 1 / fmax(fabs(u), (real)1)};
}

INLINE pair pseudo_huber_row(real y, real f, real a, real b) {
    real u = (f - y) / a, s = 1 / sqrt(1 + u * u);
    return (pair){u * s * a, s};
}

INLINE pair quantile_row(real y, real f, real a, real b) {
    real u = (f - y) / a, size = fmax(fabs(u), (real)FLT_MIN), t = tanh(size);
    return (pair){(copysign(t, u) + b) * a, t / size};
}

INLINE pair log_cosh_row(real y, real f, real a, real b) { return quantile_row(y, f, a, 0); }

/* ---- losses of a score ---- */

INLINE pair log_loss_row(real y, real f, real a, real b) {
    real e = exp(-fabs(f)), s = 1 / (1 + e);
    real p = f < 0 ? e * s : s, q = f < 0 ? s : e * s, up = y * q, down = (1 - y) * p;
    return (pair){down - up, fmax(p * q, (up + down) / 2)};
}

/* gamma = 2, hard labels; a is the weight of positives */
INLINE pair focal_row(real y, real f, real a, real b) {
    real sign = 2 * y - 1, z = sign * f, weight = a * y + (1 - a) * (1 - y);
    real e = exp(-fabs(z)), s = 1 / (1 + e), log_p = fmin(z, (real)0) - log1p(e);
    real p = z < 0 ? e * s : s, q = z < 0 ? s : e * s, muted = weight * q * q;
    real pull = muted * (q - 2 * p * log_p);
    return (pair){-sign * pull, fmax(muted * p * (5 * q + 2 * (q - 2 * p) * log_p), pull / 2)};
}

INLINE pair poisson_row(real y, real f, real a, real b) {
    real e = exp(f);
    return (pair){e - y, (y + 2 * e) / 3};
}

/* a is the power */
INLINE pair tweedie_row(real y, real f, real a, real b) {
    real up = y * exp((1 - a) * f), down = exp((2 - a) * f);
    return (pair){down - up, (a * up + (3 - a) * down) / 3};
}

/* ---- all rows ---- */

#define ARGUMENTS \
    ptrdiff_t n, const float *restrict y, const real *restrict f, const float *restrict w, \
        float *restrict g, float *restrict h, double first, double second, int threads

/* Derivatives times `factor` and the weight, curvatures at least `least`. */
#define FILL(name) \
    INLINE void name##_fill(ARGUMENTS, real least, real factor) { \
        const real a = first, b = second; \
        if (w) { \
            ROWS for (ptrdiff_t i = 0; i < n; i++) { \
                pair r = name##_row(y[i], f[i], a, b); \
                real by = w[i] * factor; \
                g[i] = r.g * by; \
                h[i] = fmax(r.h, least) * by; \
            } \
        } else { \
            ROWS for (ptrdiff_t i = 0; i < n; i++) { \
                pair r = name##_row(y[i], f[i], a, b); \
                g[i] = r.g * factor; \
                h[i] = fmax(r.h, least) * factor; \
            } \
        } \
    } \
    void name(ARGUMENTS) { name##_fill(n, y, f, w, g, h, first, second, threads, FLT_MIN, 1); }

/* The same for scale="auto": at least 1/20 of the weighted mean curvature, in units of it. */
#define NORMALISED(name) \
    FILL(name) \
    void name##_normalised(ARGUMENTS) { \
        const real a = first, b = second; \
        double sum = 0, total = n; \
        if (w) { \
            total = 0; \
            SUMS for (ptrdiff_t i = 0; i < n; i++) { \
                pair r = name##_row(y[i], f[i], a, b); \
                g[i] = r.g; \
                h[i] = r.h; \
                sum += w[i] * r.h; \
                total += w[i]; \
            } \
        } else { \
            SUMS for (ptrdiff_t i = 0; i < n; i++) { \
                pair r = name##_row(y[i], f[i], a, b); \
                g[i] = r.g; \
                h[i] = r.h; \
                sum += r.h; \
            } \
        } \
        float least = 0.05 * sum / total, factor = total / sum; \
        ROWS for (ptrdiff_t i = 0; i < n; i++) { \
            float by = w ? w[i] * factor : factor; \
            g[i] *= by; \
            h[i] = fmax(h[i], least) * by; \
        } \
    }

NORMALISED(huber)
NORMALISED(log_cosh)
NORMALISED(pseudo_huber)
NORMALISED(quantile)
FILL(log_loss)
FILL(focal)
FILL(poisson)
FILL(tweedie)

/* ---- softmax: K numbers a row, `row` and `column` apart ---- */

/* Rows at a time: all loops run along them, which the compiler turns into vectors. */
#define TILE 256

INLINE void softmax_tile(int K, ptrdiff_t row, ptrdiff_t column, int m, const float *restrict y,
                         const real *restrict f, const float *restrict w, float *restrict g,
                         float *restrict h) {
    real e[K][TILE], top[TILE], own[TILE], others[TILE];
    for (int i = 0; i < m; i++) top[i] = f[i * row], own[i] = others[i] = 0;
    for (int k = 1; k < K; k++)
        for (int i = 0; i < m; i++) top[i] = fmax(top[i], f[i * row + k * column]);
    for (int k = 0; k < K; k++)
        for (int i = 0; i < m; i++) {
            /* Summed apart: 1 - p is 0 where p rounds to 1. */
            e[k][i] = exp(f[i * row + k * column] - top[i]);
            own[i] += y[i] == k ? e[k][i] : 0;
            others[i] += y[i] == k ? 0 : e[k][i];
        }
    for (int i = 0; i < m; i++) own[i] = 1 / (own[i] + others[i]);
    for (int k = 0; k < K; k++)
        for (int i = 0; i < m; i++) {
            real pull = (y[i] == k ? others[i] : e[k][i]) * own[i], by = w ? w[i] : 1;
            g[i * row + k * column] = (y[i] == k ? -pull : pull) * by;
            h[i * row + k * column] = fmax(pull, (real)FLT_MIN) * by;
        }
}

INLINE void softmax_rows(int K, ptrdiff_t row, ptrdiff_t column, ARGUMENTS) {
    _Pragma("omp parallel for num_threads(threads) if(parallel : n > 20000)")
    for (ptrdiff_t i = 0; i < n; i += TILE) {
        int m = n - i < TILE ? n - i : TILE;
        ptrdiff_t at = i * row;
        softmax_tile(K, row, column, m, y + i, f + at, w ? w + i : NULL, g + at, h + at);
    }
}

/* `first` is 1 where the numbers of a row lie side by side, 0 where those of a class do. */
#define SOFTMAX(K) \
    void softmax##K(ARGUMENTS) { \
        if (first) softmax_rows(K, K, 1, n, y, f, w, g, h, first, second, threads); \
        else softmax_rows(K, 1, n, n, y, f, w, g, h, first, second, threads); \
    }

SOFTMAX(3)
SOFTMAX(10)
