/* Prepare the bytes as in the training: (pixel/255 - mean)/std for each channel, as a scale and a shift. */
static void normalize(const uint8_t *x, uint32_t channels, uint32_t area, const MINIKD_FLASH float *scale,
                      const MINIKD_FLASH float *shift, float *y)
{
    uint32_t c, i;
    for (c = 0; c < channels; c++)
        for (i = 0; i < area; i++) *y++ = (float)*x++ * scale[c] - shift[c];
}
