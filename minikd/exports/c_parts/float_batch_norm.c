/* Batch norm in evaluation: a scale and a shift for each channel. */
static void batch_norm(const float *x, uint32_t channels, uint32_t area, const MINIKD_FLASH float *scale,
                       const MINIKD_FLASH float *shift, float *y)
{
    uint32_t c, i;
    for (c = 0; c < channels; c++)
        for (i = 0; i < area; i++) *y++ = *x++ * scale[c] + shift[c];
}
