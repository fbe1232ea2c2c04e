/* Return bias + the sum of weight[c] x[c], and move to the next row. A byte holds five weights, -1, 0 or 1. Its
 * product with 3 has the next weight, plus 1, above its low 8 bits. The weights need no product with x. */
static int32_t sum_ternary(const uint8_t *x, uint32_t inputs, const MINIKD_FLASH uint8_t **weight, int32_t bias)
{
    const uint8_t *end = x + inputs;
    while (x < end) {
        uint16_t byte = *(*weight)++;
        uint8_t i;
        for (i = 0; i < 5 && x < end; i++, x++) {
            byte = (uint16_t)((byte & 255u) * 3u);
            if (byte >= 512u) bias += *x;
            else if (byte < 256u) bias -= *x;
        }
    }
    return bias;
}
