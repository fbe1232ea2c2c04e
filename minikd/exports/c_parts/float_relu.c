static void relu(const float *x, uint32_t size, float *y)
{
    uint32_t i;
    for (i = 0; i < size; i++) y[i] = x[i] > 0.0f ? x[i] : 0.0f;
}
