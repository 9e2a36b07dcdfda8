/* The kernels of a GPU, in CUDA C: each does in one launch what forms.py says, by the formulas of the operation it
   names. Arrays have no gaps; a row is what lies along the last axis; a pointer may be null
   where it says so. The loops below suit any number of blocks and any power of two of threads, one included: so
   tests/support/device.py runs this file on a CPU. No sum depends on who comes first. */

typedef REAL T; /* float or double */
typedef long long whole;
#define LOWEST (sizeof(T) == 4 ? (T)-3.4028234663852886e38 : (T)-1.7976931348623157e308)
#define EACH(i, n) for (whole i = blockIdx.x * (whole)blockDim.x + threadIdx.x; i < n; i += (whole)gridDim.x * blockDim.x)
#define EACH_ROW(r, rows) for (whole r = blockIdx.x; r < rows; r += gridDim.x)
#define ALONG(c, n) for (whole c = threadIdx.x; c < n; c += blockDim.x)

/* The sum, or the largest, of the numbers that the threads of a block bring; every thread gets it. */
__device__ T together(T mine, int largest)
{
    __shared__ T part[1024];
    int t = threadIdx.x;
    part[t] = mine;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t < half) part[t] = largest ? fmax(part[t], part[t + half]) : part[t] + part[t + half];
    }
    __syncthreads();
    T all = part[0];
    __syncthreads(); /* before the next call writes here */
    return all;
}

/* y and, unless null, the slope dy/dx of the tanh-GELU. */
extern "C" __global__ void gelu_tanh(const T *x, T *y, T *slope, whole n)
{
    const T c0 = 0.7978845608028654, c1 = 0.044715;
    EACH(i, n) {
        T v = x[i], s = (T)0.5 + (T)0.5 * tanh(c0 * (v + c1 * v * v * v));
        y[i] = v * s;
        if (slope) slope[i] = s + 2 * y[i] * (1 - s) * (c0 + 3 * c0 * c1 * v * v);
    }
}

/* y, xhat and rstd of layer norm; weight and bias may be null. */
extern "C" __global__ void layer_norm(
    const T *x, const T *weight, const T *bias, T *y, T *xhat, T *rstd, whole rows, whole C, double eps)
{
    EACH_ROW(r, rows) {
        const T *row = x + r * C;
        T first = row[0], sum = 0, squares = 0;
        ALONG(c, C) sum += row[c] - first; /* so that equal numbers have exactly their mean */
        T mean = together(sum, 0) / C;
        ALONG(c, C) squares += (row[c] - first - mean) * (row[c] - first - mean);
        T scale = 1 / sqrt(together(squares, 0) / C + (T)eps);
        if (threadIdx.x == 0) rstd[r] = scale;
        ALONG(c, C) {
            T h = (row[c] - first - mean) * scale;
            xhat[r * C + c] = h;
            y[r * C + c] = (weight ? h * weight[c] : h) + (bias ? bias[c] : 0);
        }
    }
}

/* dx = rstd (g - mean(g) - xhat mean(g xhat)), g = dy weight. */
extern "C" __global__ void layer_norm_back(
    const T *dy, const T *weight, const T *xhat, const T *rstd, T *dx, whole rows, whole C)
{
    EACH_ROW(r, rows) {
        const T *d = dy + r * C, *h = xhat + r * C;
        T sum = 0, along = 0;
        ALONG(c, C) {
            T g = weight ? d[c] * weight[c] : d[c];
            sum += g;
            along += g * h[c];
        }
        T mean = together(sum, 0) / C;
        along = together(along, 0) / C;
        ALONG(c, C) dx[r * C + c] = rstd[r] * ((weight ? d[c] * weight[c] : d[c]) - mean - h[c] * along);
    }
}

/* Sums over the rows s, s + S, s + 2 S ... of a b and of a, for each s: out (S, 2, C). */
extern "C" __global__ void column_sums(const T *a, const T *b, T *out, whole rows, whole C, whole S)
{
    EACH(i, S * C) {
        whole s = i / C, c = i % C;
        T product = 0, sum = 0;
        for (whole r = s; r < rows; r += S) {
            product += a[r * C + c] * b[r * C + c];
            sum += a[r * C + c];
        }
        out[2 * s * C + c] = product;
        out[(2 * s + 1) * C + c] = sum;
    }
}

/* p = softmax(x) of each row, p may be x. With period > 0 the row r sees only its first r % period + 1 columns.
   Unless keep is null, kept = p keep factor. A row of -inf alone gives zeros. */
extern "C" __global__ void softmax(
    const T *x, T *p, const unsigned char *keep, T *kept, whole rows, whole C, whole period, double factor)
{
    EACH_ROW(r, rows) {
        const T *row = x + r * C;
        whole seen = period && r % period + 1 < C ? r % period + 1 : C;
        T top = LOWEST, sum = 0;
        ALONG(c, seen) top = fmax(top, row[c]);
        top = together(top, 1);
        ALONG(c, seen) sum += exp(row[c] - top);
        sum = together(sum, 0);
        ALONG(c, C) {
            T share = c < seen && sum != 0 ? exp(row[c] - top) / sum : 0;
            p[r * C + c] = share;
            if (keep) kept[r * C + c] = keep[r * C + c] ? share * (T)factor : 0;
        }
    }
}

/* dx = scale p (dp m - sum_j dp_j m_j p_j), with m = keep factor, or 1; dx may be dp. kept as above. */
extern "C" __global__ void softmax_back(
    const T *p, const T *dp, const unsigned char *keep, T *kept, T *dx, whole rows, whole C, double factor, double scale)
{
    EACH_ROW(r, rows) {
        whole first = r * C;
        T sum = 0;
        ALONG(c, C) sum += p[first + c] * (keep ? keep[first + c] ? dp[first + c] * (T)factor : 0 : dp[first + c]);
        sum = together(sum, 0);
        ALONG(c, C) {
            whole i = first + c;
            T d = keep ? keep[i] ? dp[i] * (T)factor : 0 : dp[i];
            if (keep) kept[i] = keep[i] ? p[i] * (T)factor : 0;
            dx[i] = (T)scale * p[i] * (d - sum);
        }
    }
}

/* The cross-entropy of each row, and its largest logit and sum of exponentials, stats (rows, 2). A target that is
   no column makes the loss NaN: nobody could be told here. */
extern "C" __global__ void nll(
    const T *x, const whole *targets, T *loss, T *stats, whole rows, whole V, whole ignore, double smoothing)
{
    EACH_ROW(r, rows) {
        const T *row = x + r * V;
        whole target = targets[r];
        T top = LOWEST, sum = 0, shifted = 0;
        ALONG(v, V) top = fmax(top, row[v]);
        top = together(top, 1);
        ALONG(v, V) {
            sum += exp(row[v] - top);
            shifted += row[v] - top;
        }
        sum = together(sum, 0);
        if (smoothing) shifted = together(shifted, 0);
        if (threadIdx.x) continue;
        stats[2 * r] = top;
        stats[2 * r + 1] = sum;
        T own = 0 <= target && target < V ? row[target] - top : (T)0 / (T)0;
        loss[r] = -(T)(1 - smoothing) * own + log(sum);
        if (smoothing) loss[r] -= (T)(smoothing / V) * shifted;
        if (target == ignore) loss[r] = 0;
    }
}

/* dx = d (e^(x - top) / sum - w), w = (1 - smoothing) onehot(target) + smoothing / V; step: 0 for one d for all rows. */
extern "C" __global__ void nll_back(
    const T *x, const whole *targets, const T *stats, const T *d, T *dx, whole rows, whole V, whole step, whole ignore,
    double smoothing)
{
    EACH_ROW(r, rows) {
        T top = stats[2 * r], sum = stats[2 * r + 1], scale = d[r * step];
        ALONG(v, V) {
            T w = (T)(smoothing / V) + (v == targets[r] ? (T)(1 - smoothing) : 0);
            dx[r * V + v] = targets[r] == ignore ? 0 : scale * (exp(x[r * V + v] - top) / sum - w);
        }
    }
}

/* One step of Adam, by the formulas of nn/optim/adam.py; decoupled: AdamW. */
extern "C" __global__ void adam(
    T *p, const T *grad, T *m, T *v, whole n, double lr, double b1, double b2, double eps, double decay, whole decoupled,
    double bias1, double root)
{
    EACH(i, n) {
        T w = decoupled ? p[i] * (T)(1 - lr * decay) : p[i], g = decoupled ? grad[i] : grad[i] + (T)decay * p[i];
        m[i] += (T)(1 - b1) * (g - m[i]);
        v[i] += (T)(1 - b2) * (g * g - v[i]);
        p[i] = w - (T)(lr * root / bias1) * (m[i] / (sqrt(v[i]) + (T)(eps * root)));
    }
}

/* out[id] = the sum of the rows values[order[n]] with that id, in the order of n; ids[order] ascend. */
extern "C" __global__ void sum_by_id(
    const T *values, const whole *ids, const whole *order, T *out, whole N, whole C)
{
    EACH(i, N * C) {
        whole n = i / C, c = i % C, id = ids[order[n]];
        if (n && ids[order[n - 1]] == id) continue; /* another thread's */
        T sum = 0;
        for (; n < N && ids[order[n]] == id; n++) sum += values[order[n] * C + c];
        out[id * C + c] = sum;
    }
}
