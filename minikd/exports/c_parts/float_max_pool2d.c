/* The largest value of each window; padding is never the largest. */
static void max_pool2d(const float *x, const MINIKD_FLASH struct windows *w, float *y)
{
    int32_t c, p, q, r, s;
    for (c = 0; c < w->channels; c++)
        for (p = 0; p < w->rows; p++)
            for (q = 0; q < w->columns; q++) {
                int32_t best = -1; /* its index */
                for (r = 0; r < w->kernel[0]; r++)
                    for (s = 0; s < w->kernel[1]; s++) {
                        int32_t place = pixel_of(w, p, q, r, s);
                        const float *plane = x + c * w->height * w->width;
                        if (place >= 0 && (best < 0 || plane[place] > plane[best])) best = place;
                    }
                *y++ = x[c * w->height * w->width + best];
            }
}
