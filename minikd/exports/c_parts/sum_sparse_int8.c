/* Return bias + the sum of a row's listed weights, and move to the next row. The row begins with their number. Each
 * is two bytes: the number of inputs to skip, and q + 128. */
static int32_t sum_sparse_int8(const uint8_t *x, uint32_t inputs, const MINIKD_FLASH uint8_t **weight, int32_t bias)
{
    const MINIKD_FLASH uint8_t *w = *weight;
    uint16_t count = (uint16_t)(w[0] | w[1] << 8);
    (void)inputs;
    for (w += 2; count > 0; count--, w += 2, x++) {
        x += w[0];
        bias += ((int16_t)w[1] - 128) * *x;
    }
    *weight = w;
    return bias;
}
