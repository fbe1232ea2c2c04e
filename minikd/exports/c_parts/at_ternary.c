/* Return weight i. A byte holds five weights. Its product with 3 has the next weight, plus 1, above its low 8 bits. */
static int16_t at_ternary(const MINIKD_FLASH uint8_t *weight, uint32_t i)
{
    uint16_t byte = weight[i / 5u];
    for (i %= 5u; i > 0; i--) byte = (uint16_t)(byte * 3u & 255u);
    return (int16_t)((byte * 3u >> 8) - 1u);
}
