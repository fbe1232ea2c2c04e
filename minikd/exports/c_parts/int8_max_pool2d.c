/* The largest byte of each window; padding is never the largest, because no byte is below 0. */
static void max_pool2d(const uint8_t *x, const MINIKD_FLASH struct windows *w, uint8_t *y)
{
    int32_t c, p, q, r, s;
    for (c = 0; c < w->channels; c++)
        for (p = 0; p < w->rows; p++)
            for (q = 0; q < w->columns; q++) {
                uint8_t best = 0;
                for (r = 0; r < w->kernel[0]; r++)
                    for (s = 0; s < w->kernel[1]; s++) {
                        int32_t place = pixel_of(w, p, q, r, s);
                        if (place >= 0 && x[c * w->height * w->width + place] > best)
                            best = x[c * w->height * w->width + place];
                    }
                *y++ = best;
            }
}
