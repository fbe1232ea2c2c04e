/* Return bias + the sum of weight[c] x[c]. The weights were chosen so that it stays below 2^24. A product is at most
 * 127 * 255, which fits into an int of 16 bits. */
static int32_t linear_sum(const uint8_t *x, uint32_t inputs, const MINIKD_FLASH int8_t *weight, int32_t bias)
{
    const uint8_t *end = x + inputs;
    while (x < end) bias += *weight++ * *x++;
    return bias;
}
