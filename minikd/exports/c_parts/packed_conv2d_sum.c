/* Return a convolution's sum for output (o, p, q); border[c] is outside channel c. It stays below 2^24. Weights are
 * stored as $kind. */
static int32_t conv2d_sum_$kind(const uint8_t *x, const MINIKD_FLASH struct windows *w,
                                const MINIKD_FLASH uint8_t *weight, int32_t bias, const MINIKD_FLASH uint8_t *border,
                                int32_t o, int32_t p, int32_t q)
{
    int32_t each = w->channels / w->groups, first = o / (w->outputs / w->groups) * each;
    uint32_t i = (uint32_t)(o * each * w->kernel[0] * w->kernel[1]);
    int32_t c, r, s;
    for (c = first; c < first + each; c++)
        for (r = 0; r < w->kernel[0]; r++)
            for (s = 0; s < w->kernel[1]; s++) {
                int32_t place = pixel_of(w, p, q, r, s);
                uint8_t seen = place < 0 ? border[c] : x[c * w->height * w->width + place];
                bias += at_$kind(weight, i++) * seen;
            }
    return bias;
}
