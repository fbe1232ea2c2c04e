/* Return bias + the sum of weight[c] x[c]. It stays below 2^24: the weights were chosen so. */
static int32_t linear_sum(const uint8_t *x, uint32_t inputs, const MINIKD_FLASH int8_t *weight, int32_t bias)
{
    uint32_t c;
    for (c = 0; c < inputs; c++) bias += (int32_t)weight[c] * (int32_t)x[c];
    return bias;
}
