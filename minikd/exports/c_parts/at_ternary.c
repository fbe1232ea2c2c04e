/* Return weight i of an array with five a byte: times 3, a byte carries out the next one plus 1. */
static int16_t at_ternary(const MINIKD_FLASH uint8_t *weight, uint32_t i)
{
    uint16_t byte = weight[i / 5u];
    for (i %= 5u; i > 0; i--) byte = (uint16_t)(byte * 3u & 255u);
    return (int16_t)((byte * 3u >> 8) - 1u);
}
