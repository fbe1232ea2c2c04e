/* Return weight i. A byte holds two weights, each as q + 8, the first one in the low bits. */
static int16_t at_int4(const MINIKD_FLASH uint8_t *weight, uint32_t i)
{
    return (int16_t)((weight[i / 2u] >> (i % 2u * 4u) & 15) - 8);
}
