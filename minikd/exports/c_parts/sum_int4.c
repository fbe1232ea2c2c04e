/* Return bias + the sum of weight[c] x[c], and move to the next row. A byte holds two weights,
 * each as q + 8, the first one in the low bits. */
static int32_t sum_int4(const uint8_t *x, uint32_t inputs, const MINIKD_FLASH uint8_t **weight, int32_t bias)
{
    uint32_t c;
    for (c = 0; c + 1 < inputs; c += 2) {
        uint8_t byte = *(*weight)++;
        bias += ((int16_t)(byte & 15u) - 8) * x[c] + ((int16_t)(byte >> 4) - 8) * x[c + 1];
    }
    if (c < inputs) bias += ((int16_t)(*(*weight)++ & 15u) - 8) * x[c];
    return bias;
}
