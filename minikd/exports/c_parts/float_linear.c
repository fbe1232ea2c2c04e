/* A dense layer. Four partial sums have smaller rounding errors than one long sum. */
static void linear(const float *x, uint32_t inputs, uint32_t outputs, const MINIKD_FLASH float *weight,
                   const MINIKD_FLASH float *bias, float *y)
{
    uint32_t o, c;
    for (o = 0; o < outputs; o++) {
        float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        for (c = 0; c < inputs; c++) sum[c & 3u] += *weight++ * x[c];
        y[o] = (sum[0] + sum[1]) + (sum[2] + sum[3]) + bias[o];
    }
}
