static void hyperbolic_tangent(const float *x, uint32_t size, float *y)
{
    uint32_t i;
    for (i = 0; i < size; i++) y[i] = tanhf(x[i]);
}
