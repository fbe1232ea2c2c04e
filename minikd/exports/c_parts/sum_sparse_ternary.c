/* Return bias + the sum of a row's listed weights, and move to the next row. The row begins with their number. Each
 * is a byte: the number of inputs to skip in the high six bits, q + 1 in the low bits. */
static int32_t sum_sparse_ternary(const uint8_t *x, uint32_t inputs, const MINIKD_FLASH uint8_t **weight, int32_t bias)
{
    const MINIKD_FLASH uint8_t *w = *weight;
    uint16_t count = (uint16_t)(w[0] | w[1] << 8);
    (void)inputs;
    for (w += 2; count > 0; count--, w++, x++) {
        x += *w >> 2;
        bias += ((int16_t)(*w & 3u) - 1) * *x;
    }
    *weight = w;
    return bias;
}
