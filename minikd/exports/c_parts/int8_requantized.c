/* Return a sum as the next layer's byte: ReLU, divide by 2^shift, round half to even, saturate. */
static uint8_t requantized(int32_t sum, uint8_t shift)
{
    uint32_t u;
    if (sum <= 0) return 0;
    u = (uint32_t)sum;
    if (shift > 0) u = (u + (UINT32_C(1) << (shift - 1)) - 1u + ((u >> shift) & 1u)) >> shift;
    return (uint8_t)(u < 255u ? u : 255u);
}
