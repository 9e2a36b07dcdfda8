/* The kernels of a GPU, in CUDA C: each does in one launch what forms.py says, by the formulas of the operation it
   names. Arrays have no gaps; a row is what lies along the last axis; a pointer may be null where it says so. The loops
   suit any number of blocks and any power of two of threads, one included: so tests/support/device.py runs this file
   on a CPU. No sum depends on who comes first. */

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

/* y and, unless null, the slope dy/dx of x times its sigmoid. */
extern "C" __global__ void times_sigmoid(const T *x, T *y, T *slope, whole n)
{
    EACH(i, n) {
        T s = 1 / (1 + exp(-x[i]));
        y[i] = x[i] * s;
        if (slope) slope[i] = s + y[i] * (1 - s);
    }
}

/* y, xhat and rstd of layer norm, or, not centred, of RMS norm; weight and bias may be null. */
extern "C" __global__ void layer_norm(
    const T *x, const T *weight, const T *bias, T *y, T *xhat, T *rstd, whole rows, whole C, whole centred, double eps)
{
    EACH_ROW(r, rows) {
        const T *row = x + r * C;
        T first = centred ? row[0] : 0, sum = 0, squares = 0;
        ALONG(c, C) sum += row[c] - first; /* so that equal numbers have exactly their mean */
        T mean = centred ? together(sum, 0) / C : 0;
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

/* dx = rstd (g - mean(g) - xhat mean(g xhat)), g = dy weight; not centred, without mean(g). */
extern "C" __global__ void layer_norm_back(
    const T *dy, const T *weight, const T *xhat, const T *rstd, T *dx, whole rows, whole C, whole centred)
{
    EACH_ROW(r, rows) {
        const T *d = dy + r * C, *h = xhat + r * C;
        T sum = 0, along = 0;
        ALONG(c, C) {
            T g = weight ? d[c] * weight[c] : d[c];
            sum += g;
            along += g * h[c];
        }
        T mean = centred ? together(sum, 0) / C : 0;
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

/* The pairs (i, i + half) of x (..., times, 2 half) turned by the angle way (start + t) theta^(-i / half). */
extern "C" __global__ void rotary(
    const T *x, T *y, whole pairs, whole times, whole half, whole start, double theta, double way)
{
    EACH(n, pairs) {
        whole i = n % half, a = 2 * (n - i) + i, b = a + half;
        double angle = way * (start + n / half % times) * pow(theta, -(double)i / half);
        T c = cos(angle), s = sin(angle);
        y[a] = x[a] * c - x[b] * s;
        y[b] = x[b] * c + x[a] * s;
    }
}

/* p = softmax(x) of each row, p may be x. With period > 0 the row r sees only its first r % period + 1 columns.
   Unless keep is null, kept = p keep factor, and p gets a minus where it is not kept. A row of -inf gives zeros. */
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
            whole i = r * C + c;
            T share = c < seen && sum != 0 ? exp(row[c] - top) / sum : 0;
            p[i] = keep && !keep[i] ? -share : share;
            if (keep) kept[i] = keep[i] ? share * (T)factor : 0;
        }
    }
}

/* dx = scale p (dp m - sum_j dp_j m_j p_j), with m = factor, or 0 where p has a minus; dx may be dp. Unless kept is
   null, it becomes p m. */
extern "C" __global__ void softmax_back(
    const T *p, const T *dp, T *kept, T *dx, whole rows, whole C, double factor, double scale)
{
    EACH_ROW(r, rows) {
        whole first = r * C;
        T sum = 0;
        ALONG(c, C) sum += p[first + c] < 0 ? 0 : p[first + c] * (T)factor * dp[first + c];
        sum = together(sum, 0);
        ALONG(c, C) {
            whole i = first + c;
            T m = p[i] < 0 ? 0 : (T)factor;
            dx[i] = (T)scale * fabs(p[i]) * ((m ? m * dp[i] : 0) - sum);
            if (kept) kept[i] = m * fabs(p[i]);
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

/* What follows works on many arrays: `where` has their addresses, and each row (array, from, to, place) of `table` is a
   piece for one block, which in a buffer of all arrays laid end to end begins at `place`. */
#define EACH_PIECE(piece) for (const whole *piece = table + 4 * blockIdx.x; piece < table + 4 * pieces; piece += 4 * gridDim.x)
#define IN_PIECE(i, piece) for (whole i = piece[1] + threadIdx.x; i < piece[2]; i += blockDim.x)

/* out = the sum of the squares of each piece. */
extern "C" __global__ void square_sums(const whole *where, const whole *table, T *out, whole pieces)
{
    EACH_PIECE(piece) {
        const T *x = (const T *)where[piece[0]];
        T sum = 0;
        IN_PIECE(i, piece) sum += x[i] * x[i];
        sum = together(sum, 0);
        if (threadIdx.x == 0) out[(piece - table) / 4] = sum;
    }
}

/* Every array is multiplied by the one number *factor. */
extern "C" __global__ void scale(const whole *where, const whole *table, const T *factor, whole pieces)
{
    EACH_PIECE(piece) {
        T *x = (T *)where[piece[0]];
        IN_PIECE(i, piece) x[i] *= *factor;
    }
}

/* One step of Adam, as nn/optim/adam.py has it: p scaled by `shrink`, or else `decay` p added to the gradient. */
extern "C" __global__ void adam(
    const whole *params, const whole *grads, const whole *table, T *m, T *v, whole pieces, double b1, double b2,
    double shrink, double decay, double eps, double lr)
{
    EACH_PIECE(piece) {
        T *p = (T *)params[piece[0]], *mean = m + piece[3] - piece[1], *square = v + piece[3] - piece[1];
        const T *grad = (const T *)grads[piece[0]];
        IN_PIECE(i, piece) {
            T g = grad[i] + (T)decay * p[i];
            mean[i] += (T)(1 - b1) * (g - mean[i]);
            square[i] += (T)(1 - b2) * (g * g - square[i]);
            p[i] = (T)shrink * p[i] - (T)lr * (mean[i] / (sqrt(square[i]) + (T)eps));
        }
    }
}

/* keep = True with probability 1 - p: elements 4 w to 4 w + 3 of row r from the counter of 128 bits that is
   (low, high) + r * words of a row + w, and the key, by Philox4x32. */
extern "C" __global__ void keep_mask(
    unsigned char *keep, whole rows, whole n, whole low, whole high, whole key, double p)
{
    whole words = (n + 3) / 4;
    EACH(i, rows * words) {
        unsigned long long first = (unsigned long long)low + i, second = high + (first < (unsigned long long)i);
        unsigned c[4] = {(unsigned)first, (unsigned)(first >> 32), (unsigned)second, (unsigned)(second >> 32)};
        unsigned k0 = (unsigned)key, k1 = (unsigned)((unsigned long long)key >> 32);
        for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
            unsigned long long a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
            c[0] = (unsigned)(b >> 32) ^ c[1] ^ k0;
            c[2] = (unsigned)(a >> 32) ^ c[3] ^ k1;
            c[1] = (unsigned)b;
            c[3] = (unsigned)a;
        }
        whole row = i / words, column = i % words * 4;
        for (int j = 0; j < 4 && column + j < n; j++) keep[row * n + column + j] = c[j] >= p * 4294967296.0;
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
