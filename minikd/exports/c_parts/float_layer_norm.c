/* Layer norm: each group of `size` values gets mean 0 and variance 1, then a learned scale and shift. */
static void layer_norm(const float *x, uint32_t runs, uint32_t size, const MINIKD_FLASH float *scale,
                       const MINIKD_FLASH float *shift, float epsilon, float *y)
{
    uint32_t n, i;
    for (n = 0; n < runs; n++, x += size, y += size) {
        float mean = 0.0f, variance = 0.0f;
        for (i = 0; i < size; i++) mean += x[i];
        mean /= (float)size;
        for (i = 0; i < size; i++) variance += (x[i] - mean) * (x[i] - mean);
        variance /= (float)size;
        for (i = 0; i < size; i++) y[i] = (x[i] - mean) / sqrtf(variance + epsilon) * scale[i] + shift[i];
    }
}
