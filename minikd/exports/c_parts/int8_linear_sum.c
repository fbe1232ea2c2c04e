/* Return bias + the sum of weight[c] x[c]. It stays below 2^24: the weights were chosen so. A product is at most 127 * 255,
 * which any int holds, even of 16 bits. */
static int32_t linear_sum(const uint8_t *x, uint32_t inputs, const MINIKD_FLASH int8_t *weight, int32_t bias)
{
    const uint8_t *end = x + inputs;
    while (x < end) bias += *weight++ * *x++;
    return bias;
}
