/* 1/(1 + exp(-x)), written so that it never overflows. */
static void sigmoid(const float *x, uint32_t size, float *y)
{
    uint32_t i;
    for (i = 0; i < size; i++) y[i] = 0.5f * (1.0f + tanhf(0.5f * x[i]));
}
